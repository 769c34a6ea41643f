//! Whether a model still is what it was.

use super::{Source, SourceKind};
use crate::{Bundle, Error, Repository, Result};

/// What was found of a model that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where it came from, if it was fetched: only then the hashes of all files
    /// are known.
    pub source: Option<Source>,
    /// Tensors whose values are finite, those of language models inside too.
    pub tensors: usize,
}

impl Repository {
    /// Checks a model from its first byte to its last: the hashes of its files, if
    /// it was fetched; those of the language models inside; length and header of
    /// every file of tensors, and that each value is finite.
    ///
    /// # Errors
    /// If there is no such model, or what is first found wrong with it.
    pub fn verify(&self, name: &str) -> Result<Verified> {
        let bundle = self.find(name)?;
        let source = match bundle.path() {
            Some(folder) => Source::of(folder)?,
            None => None,
        };
        if let (Some(source), Some(folder)) = (&source, bundle.path()) {
            source.verify(folder)?;
            if source.kind == SourceKind::Checkpoint {
                return Ok(Verified { source: Some(source.clone()), tensors: 0 });
            }
            if let Some(file) =
                bundle.files()?.into_iter().find(|file| !source.files.contains_key(file))
            {
                let reason = "it did not come with the model; remove it";
                return Err(bundle.damaged(&file, reason));
            }
        }
        bundle.kind()?;
        for hash in bundle.language_models()? {
            bundle.language_model(&hash)?.kind()?;
        }
        Ok(Verified { source, tensors: finite_tensors(&bundle)? })
    }
}

/// Number of tensors, all of whose values are finite.
fn finite_tensors(bundle: &Bundle) -> Result<usize, Error> {
    let mut count = 0;
    for file in bundle.files()?.iter().filter(|file| file.ends_with(".safetensors")) {
        for tensor in bundle.tensors(file)? {
            if !tensor.read()?.iter().all(|value| value.is_finite()) {
                let reason =
                    format!("tensor `{}` has a value that is not a finite number", tensor.name());
                return Err(bundle.damaged(file, reason));
            }
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{super::source::tests::source, *};
    use crate::{StoredPrecision, Tensor, write_tensors};

    fn write(folder: &Path, value: f32) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("config.json"), r#"{"kind": "tagger", "format": 1}"#).unwrap();
        let tensor = Tensor { name: "bias".into(), shape: vec![2], values: vec![0.5, value] };
        let bytes = write_tensors(&[tensor], StoredPrecision::F32).unwrap();
        fs::write(folder.join("model.safetensors"), bytes).unwrap();
    }

    fn damage(repository: &Repository) -> String {
        let error = repository.verify("mine").unwrap_err();
        let Error::Damaged { model, file, reason } = error else { panic!("{error}") };
        assert!(model.contains("mine"), "{model}");
        format!("{file}: {reason}")
    }

    #[test]
    fn a_whole_model_is_told_from_a_damaged_one() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("mine");
        let repository = Repository::new(Some(cache.path().to_owned()));
        write(&folder, 1.5);
        assert_eq!(repository.verify("mine").unwrap(), Verified { source: None, tensors: 1 });
        let source = source(&folder, SourceKind::Model, &["config.json", "model.safetensors"]);
        source.write(&folder).unwrap();
        assert_eq!(repository.verify("mine").unwrap().source, Some(source));
        write(&folder, 2.5);
        assert!(damage(&repository).contains("SHA-256"));
        write(&folder, 1.5);
        fs::write(folder.join("dictionary-0.json"), "[]").unwrap();
        assert!(damage(&repository).starts_with("dictionary-0.json: it did not come"));
    }

    #[test]
    fn values_sizes_and_versions_are_checked_where_no_hash_is_known() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("mine");
        let repository = Repository::new(Some(cache.path().to_owned()));
        for value in [f32::NAN, f32::INFINITY] {
            write(&folder, value);
            assert!(damage(&repository).contains("tensor `bias` has a value"));
        }
        write(&folder, 1.0);
        let path = folder.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(damage(&repository).contains("shorter than its header says"));
        write(&folder, 1.0);
        fs::write(folder.join("config.json"), r#"{"kind": "tagger", "format": 9}"#).unwrap();
        assert!(matches!(repository.verify("mine"), Err(Error::Incompatible { .. })));
        assert!(matches!(repository.verify("absent"), Err(Error::NotFound { .. })));
    }

    #[test]
    fn a_language_model_inside_is_checked_by_its_hash() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("mine");
        let repository = Repository::new(Some(cache.path().to_owned()));
        write(&folder, 1.0);
        let inner = cache.path().join("inner");
        write(&inner, 2.0);
        let hash = Bundle::folder(&inner).content_hash().unwrap();
        fs::create_dir(folder.join("lm")).unwrap();
        let place = folder.join("lm").join(&hash);
        fs::rename(&inner, &place).unwrap();
        assert_eq!(repository.verify("mine").unwrap().tensors, 2);
        write(&place, 3.0);
        assert!(damage(&repository).contains("not those that the hash names"));
    }
}

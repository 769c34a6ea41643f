//! The language models inside a tagger's bundle, and what identifies them.

use std::{borrow::Cow, sync::Arc};

use sha2::{Digest, Sha256};

use super::{Bundle, Place, names};
use crate::{Error, Result, tensors::Source};

impl Bundle {
    /// Hashes of the language models in `lm/<hash>/`, in order.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn language_models(&self) -> Result<Vec<String>> {
        let files = self.files()?;
        let hashes = files.iter().filter_map(|file| Some(names::nested(file)?.0.to_owned()));
        let mut hashes: Vec<String> = hashes.collect();
        hashes.dedup();
        Ok(hashes)
    }

    /// The language model in `lm/<hash>/`, a bundle of its own. In memory, the
    /// two share the content of its files.
    ///
    /// # Errors
    /// If there is none of that hash, or its files are not those that the hash
    /// names.
    pub fn language_model(&self, hash: &str) -> Result<Self> {
        let folder = format!("lm/{hash}");
        // What is no hash is not the name of a file either.
        self.read(&format!("{folder}/config.json"))?;
        let place = match &self.place {
            Place::Folder(path) => Place::Folder(path.join("lm").join(hash)),
            Place::Memory(files) => {
                let inner = files.iter().filter_map(|(name, content)| match names::nested(name) {
                    Some((of, file)) if of == hash => Some((file.to_owned(), Arc::clone(content))),
                    _ => None,
                });
                Place::Memory(inner.collect())
            }
        };
        let name = format!("{}/lm/{hash:.12}", self.name);
        let model = Self::new(name, place);
        if self.trusted.contains(&hash) {
            return Ok(Self { hash: Some(hash.to_owned()), ..model });
        }
        let found = model.content_hash()?;
        if found != hash {
            let reason = format!("its files are not those that the hash names; theirs is {found}");
            return Err(self.damaged(&folder, reason));
        }
        Ok(Self { hash: Some(found), ..model })
    }

    /// The model in memory, whatever happens to its folder: its own files, those
    /// of language models inside left out.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn in_memory(&self) -> Result<Self> {
        let files = self.contents()?.into_iter().map(|(file, content)| {
            let content: Cow<'static, [u8]> = content.into_owned().into();
            (file, Arc::new(content))
        });
        Ok(Self::new(self.name.clone(), Place::Memory(files.collect())))
    }

    /// SHA-256, in lower-case hexadecimal, of what is computed with: all own
    /// files but cards (`*.md`), in order of names. Each gives its name,
    /// then its content, both after their length in bytes (`u64`,
    /// little-endian). Language models inside do not count, for whoever uses
    /// them names their hashes.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn content_hash(&self) -> Result<String> {
        if let Some(hash) = &self.hash {
            return Ok(hash.clone());
        }
        let mut hash = Sha256::new();
        for file in self.own_files()?.iter().filter(|file| !file.ends_with(".md")) {
            let content = self.open(file)?;
            let failed = |error| Error::of_file(&self.name, file, None, error);
            // The content may be larger than memory should hold at once.
            for part in [Source::Memory(file.as_bytes()), content.source()] {
                hash.update(part.len().to_le_bytes());
                part.read(0..part.len(), |piece| hash.update(piece)).map_err(failed)?;
            }
        }
        Ok(format!("{:x}", hash.finalize()))
    }

    /// Name and content of all own files, in order of names; language models
    /// inside are left out.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn contents(&self) -> Result<Vec<(String, Cow<'_, [u8]>)>> {
        let with_content = |file: String| self.read(&file).map(|content| (file, content));
        self.own_files()?.into_iter().map(with_content).collect()
    }

    fn own_files(&self) -> Result<Vec<String>> {
        let mut files = self.files()?;
        files.retain(|file| names::nested(file).is_none());
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::bundle::tests::{HASH, LANGUAGE_MODEL, TAGGER, write};

    /// The tagger built in, in memory and in this folder.
    fn everywhere(folder: &Path) -> [Bundle; 3] {
        let built_in = Bundle::built_in("test", TAGGER);
        let archive = Bundle::from_bytes(&built_in.to_bytes().unwrap()).unwrap();
        write(&built_in, folder);
        [built_in, archive, Bundle::folder(folder)]
    }

    #[test]
    fn a_language_model_is_a_bundle_of_its_own_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        for bundle in everywhere(folder.path()) {
            assert_eq!(bundle.language_models().unwrap(), [HASH]);
            let model = bundle.language_model(HASH).unwrap();
            assert_eq!(model.name(), format!("{}/lm/{}", bundle.name(), &HASH[..12]));
            let path = bundle.path().map(|path| path.join("lm").join(HASH));
            assert_eq!(model.path(), path.as_deref());
            let contents = model.contents().unwrap();
            let contents: Vec<_> = contents.iter().map(|(n, c)| (n.as_str(), &**c)).collect();
            assert_eq!(contents, LANGUAGE_MODEL);
            assert!(model.language_models().unwrap().is_empty());
            assert!(model.config::<serde_json::Value>("language model").is_ok());
        }
    }

    #[test]
    fn content_in_memory_is_shared_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let [built_in, archive, _] = everywhere(folder.path());
        for bundle in [built_in, archive] {
            let model = bundle.language_model(HASH).unwrap();
            let outer = bundle.read(&format!("lm/{HASH}/model.safetensors")).unwrap();
            let inner = model.read("model.safetensors").unwrap();
            assert!(matches!((&outer, &inner), (Cow::Borrowed(_), Cow::Borrowed(_))));
            assert_eq!(outer.as_ptr(), inner.as_ptr());
        }
    }

    #[test]
    fn contents_and_hash_are_the_same_everywhere_and_leave_language_models_out() {
        let folder = tempfile::tempdir().unwrap();
        let own = Bundle::built_in("test", TAGGER).content_hash().unwrap();
        for bundle in everywhere(folder.path()) {
            assert_eq!(bundle.content_hash().unwrap(), own);
            let contents = bundle.contents().unwrap();
            let names: Vec<&str> = contents.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["README.md", "config.json", "model.safetensors"]);
            assert_eq!(*contents[2].1, *b"tagger");
        }
    }

    #[test]
    fn the_hash_is_of_names_and_contents_but_not_of_the_card() {
        let hash = |files| Bundle::built_in("test", files).content_hash().unwrap();
        assert_eq!(hash(LANGUAGE_MODEL), HASH);
        assert_eq!(hash(&LANGUAGE_MODEL[1..]), HASH);
        assert_ne!(hash(&LANGUAGE_MODEL[2..]), HASH);
        // The same bytes in a row, cut elsewhere.
        let cut: &[(&str, &[u8])] = &[("config.json", b"x"), ("tokenizer.json", b"")];
        assert_ne!(hash(&[("config.json", b"xtokenizer.json")]), hash(cut));
        // A tagger's own hash is not that of its language models.
        const OWN: &[(&str, &[u8])] = &[TAGGER[0], TAGGER[1], TAGGER[6]];
        assert_eq!(hash(OWN), hash(TAGGER));
    }

    #[test]
    fn an_absent_language_model_is_missed_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let other = HASH.replace('0', "1");
        fs::create_dir_all(folder.path().join("lm").join(&other)).unwrap();
        for bundle in everywhere(folder.path()) {
            for hash in [&other, "", "..", "../..", &HASH[1..], &HASH.to_uppercase()] {
                let error = bundle.language_model(hash).unwrap_err();
                let Error::MissingFile { model, file } = error else { panic!("{error}") };
                assert_eq!(
                    (model.as_str(), file),
                    (bundle.name(), format!("lm/{hash}/config.json"))
                );
            }
        }
        assert!(Bundle::built_in("test", LANGUAGE_MODEL).language_models().unwrap().is_empty());
    }

    #[test]
    fn a_language_model_that_was_tampered_with_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [.., bundle] = everywhere(folder.path());
        let inner = folder.path().join("lm").join(HASH);
        let refused = |bundle: &Bundle| {
            let error = bundle.language_model(HASH).unwrap_err();
            let Error::Damaged { model, file, reason } = error else { panic!("{error}") };
            assert_eq!((model.as_str(), file), (bundle.name(), format!("lm/{HASH}")));
            assert!(reason.contains("not those that the hash names"), "{reason}");
        };
        let both = || {
            refused(&bundle);
            refused(&Bundle::from_bytes(&bundle.to_bytes().unwrap()).unwrap());
        };
        fs::write(inner.join("model.safetensors"), "Weights").unwrap();
        both();
        fs::write(inner.join("model.safetensors"), "weights").unwrap();
        fs::write(inner.join("tokenizer.json"), "{}").unwrap();
        both();
        fs::remove_file(inner.join("tokenizer.json")).unwrap();
        // What belongs to no model changes nothing.
        fs::write(inner.join("scores.json"), "{}").unwrap();
        fs::write(inner.join("README.md"), "# another card").unwrap();
        assert!(bundle.language_model(HASH).is_ok());
        fs::remove_file(inner.join("dictionary.json")).unwrap();
        both();
        fs::remove_file(inner.join("config.json")).unwrap();
        assert!(matches!(bundle.language_model(HASH), Err(Error::MissingFile { .. })));
    }
}

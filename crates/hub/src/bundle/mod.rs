//! A model's files, wherever they lie.

mod archive;
mod language_models;
mod names;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Error, Result, StoredTensor,
    builtin::{File, Inner},
    tensors::{Content, OpenFile},
};

pub(crate) use names::is_part;

/// Version of the folder's format that this release writes, and the newest it reads.
pub const FORMAT: u64 = 1;

/// The files of one model. A tagger's may hold the language models that it
/// reads, each a bundle of its own in `lm/<hash>/` ([`Bundle::language_model`]).
#[derive(Clone, Debug)]
pub struct Bundle {
    name: String,
    place: Place,
    /// The content's hash, once it was computed and nothing can change since
    /// but on disk.
    hash: Option<String>,
    /// Language models inside whose hashes need no check.
    trusted: Vec<&'static str>,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    /// Shared with the bundles of language models inside.
    Memory(BTreeMap<String, Arc<Cow<'static, [u8]>>>),
}

impl Bundle {
    fn new(name: String, place: Place) -> Self {
        Self { name, place, hash: None, trusted: Vec::new() }
    }

    /// A folder on disk.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::new(path.display().to_string(), Place::Folder(path))
    }

    /// Files that are part of the program; a language model's are named
    /// `lm/<hash>/<file>`. What is no file of a model is ignored, as in a folder.
    pub fn built_in(name: &str, files: &'static [(&'static str, &'static [u8])]) -> Self {
        let parts = files.iter().filter(|(file, _)| names::is_part(file));
        let files = parts.map(|&(file, bytes)| (file.to_owned(), Arc::new(bytes.into())));
        Self::new(name.to_owned(), Place::Memory(files.collect()))
    }

    /// The same with language models inside, each under its content hash, which
    /// is taken on trust: it is part of the program as the files are.
    pub(crate) fn built_in_with(
        name: &str,
        files: &'static [File],
        language_models: &'static [Inner],
    ) -> Self {
        let mut bundle = Self::built_in(name, files);
        for (hash, files) in language_models {
            let model = Self::built_in(name, files);
            if let (Place::Memory(all), Place::Memory(own)) = (&mut bundle.place, model.place) {
                let inner = own.into_iter();
                all.extend(inner.map(|(file, content)| (format!("lm/{hash}/{file}"), content)));
            }
        }
        bundle.trusted = language_models.iter().map(|(hash, _)| *hash).collect();
        bundle
    }

    /// The same under another name for messages.
    #[must_use]
    pub fn called(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Name for messages: the built-in model's, or the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of the files, in order, those of language models as
    /// `lm/<hash>/<file>`; other folders inside are not entered, and a run's own
    /// files are left out.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn files(&self) -> Result<Vec<String>> {
        let path = match &self.place {
            Place::Memory(files) => return Ok(files.keys().cloned().collect()),
            Place::Folder(path) => path,
        };
        let mut files = Vec::new();
        self.list(path, "", &mut files)?;
        files.sort();
        Ok(files)
    }

    /// Adds the files of a folder, whose name inside the model is `prefix`.
    fn list(&self, folder: &Path, prefix: &str, files: &mut Vec<String>) -> Result<()> {
        let unreadable = |source| self.unreadable(&format!("{prefix}."), source);
        for entry in folder.read_dir().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = format!("{prefix}{}", name.to_string_lossy());
            if names::is_part(&name) && path.is_file() {
                files.push(name);
            } else if names::is_folder(&name) && path.is_dir() {
                self.list(&path, &format!("{name}/"), files)?;
            }
        }
        Ok(())
    }

    /// Content of a file; in memory and built in, it is not copied.
    ///
    /// # Errors
    /// If it is missing, no file of a model, or cannot be read.
    pub fn read(&self, file: &str) -> Result<Cow<'_, [u8]>> {
        let bytes = match &self.place {
            Place::Memory(files) => files.get(file).map(|b| Cow::Borrowed(&***b)),
            Place::Folder(_) if !names::is_part(file) => None,
            Place::Folder(path) => match std::fs::read(path.join(file)) {
                Ok(bytes) => Some(bytes.into()),
                Err(error) => return Err(Error::of_file(&self.name, file, None, error)),
            },
        };
        bytes.ok_or_else(|| self.missing(file))
    }

    /// A file whose content is read later, or is in memory already.
    fn open(&self, file: &str) -> Result<Content> {
        let content = match &self.place {
            Place::Memory(files) => files.get(file).map(|b| Content::Memory(Arc::clone(b))),
            Place::Folder(_) if !names::is_part(file) => None,
            Place::Folder(path) => match OpenFile::open(&path.join(file)) {
                Ok(open) => Some(Content::File(open)),
                Err(error) => return Err(Error::of_file(&self.name, file, None, error)),
            },
        };
        content.ok_or_else(|| self.missing(file))
    }

    /// A JSON file.
    ///
    /// # Errors
    /// If it is missing or does not hold what is expected.
    pub fn json<T: DeserializeOwned>(&self, file: &str) -> Result<T> {
        serde_json::from_slice(&self.read(file)?).map_err(|error| self.damaged(file, error))
    }

    /// `config.json`, once its kind and format version are checked.
    ///
    /// # Errors
    /// If the model is of another kind or a newer format, or the file is damaged.
    pub fn config<T: DeserializeOwned>(&self, kind: &str) -> Result<T> {
        let config: Value = self.json("config.json")?;
        let found = config["kind"].as_str().unwrap_or("nothing known");
        if found != kind {
            return Err(self.incompatible(format!("it is a {found}, not a {kind}")));
        }
        self.check_format(&config)?;
        serde_json::from_value(config).map_err(|error| self.damaged("config.json", error))
    }

    /// The kind of model that it is, once the format version is checked.
    ///
    /// # Errors
    /// If it is of a newer format, or `config.json` is damaged or another program's.
    pub fn kind(&self) -> Result<String> {
        let config: Value = self.json("config.json")?;
        let Some(kind) = config["kind"].as_str() else {
            let reason = "its config.json names no `kind`, so it is no model of this program";
            return Err(self.incompatible(reason.to_owned()));
        };
        self.check_format(&config)?;
        Ok(kind.to_owned())
    }

    fn check_format(&self, config: &Value) -> Result<()> {
        let format = config["format"].as_u64().unwrap_or(0);
        if (1..=FORMAT).contains(&format) {
            return Ok(());
        }
        Err(self.incompatible(format!(
            "format version {format} is not one of 1 to {FORMAT} that this release reads"
        )))
    }

    /// Tensors of a safetensors file, in order of names. What the file says of
    /// their types, sizes and places is checked; the values are read when they
    /// are asked for, one tensor after another.
    ///
    /// # Errors
    /// If the file is missing or damaged.
    pub fn tensors(&self, file: &str) -> Result<Vec<StoredTensor>> {
        StoredTensor::all(&self.name, file, self.open(file)?)
    }

    /// An error about a file of this model.
    pub fn damaged(&self, file: &str, reason: impl ToString) -> Error {
        let (model, file) = (self.name.clone(), file.to_owned());
        Error::Damaged { model, file, reason: reason.to_string() }
    }

    fn missing(&self, file: &str) -> Error {
        Error::MissingFile { model: self.name.clone(), file: file.to_owned() }
    }

    fn incompatible(&self, reason: String) -> Error {
        Error::Incompatible { model: self.name.clone(), reason }
    }

    fn unreadable(&self, file: &str, source: io::Error) -> Error {
        Error::Read { model: self.name.clone(), file: file.to_owned(), source }
    }

    /// The folder, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(path) => Some(path),
            Place::Memory(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type File = (&'static str, &'static [u8]);

    /// A language model.
    pub(super) const LANGUAGE_MODEL: &[File] = &[
        ("README.md", b"# language model"),
        ("config.json", br#"{"kind": "language model", "format": 1}"#),
        ("dictionary.json", br#"["a"]"#),
        ("model.safetensors", b"weights"),
    ];

    /// Its hash, computed by another program.
    pub(super) const HASH: &str =
        "e2848451d4ee0050341678e30911df47e019ecfb786e167271e2c532cbec9405";

    /// A tagger that holds it.
    pub(super) const TAGGER: &[File] = &[
        ("README.md", b"# card"),
        ("config.json", br#"{"kind": "tagger", "format": 1, "layer": "ner"}"#),
        (
            "lm/e2848451d4ee0050341678e30911df47e019ecfb786e167271e2c532cbec9405/README.md",
            LANGUAGE_MODEL[0].1,
        ),
        (
            "lm/e2848451d4ee0050341678e30911df47e019ecfb786e167271e2c532cbec9405/config.json",
            LANGUAGE_MODEL[1].1,
        ),
        (
            "lm/e2848451d4ee0050341678e30911df47e019ecfb786e167271e2c532cbec9405/dictionary.json",
            LANGUAGE_MODEL[2].1,
        ),
        (
            "lm/e2848451d4ee0050341678e30911df47e019ecfb786e167271e2c532cbec9405/model.safetensors",
            LANGUAGE_MODEL[3].1,
        ),
        ("model.safetensors", b"tagger"),
    ];

    /// Writes all files of a bundle into a folder.
    pub(super) fn write(bundle: &Bundle, folder: &Path) {
        for file in bundle.files().unwrap() {
            let path = folder.join(&file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bundle.read(&file).unwrap()).unwrap();
        }
    }

    #[test]
    fn files_built_in_are_not_copied() {
        let bundle = Bundle::built_in("test", TAGGER);
        for (name, content) in TAGGER {
            let Cow::Borrowed(read) = bundle.read(name).unwrap() else { panic!("{name}") };
            assert_eq!(read.as_ptr(), content.as_ptr());
        }
    }

    #[test]
    fn what_is_no_file_of_a_model_is_ignored_wherever_it_lies() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("model");
        write(&Bundle::built_in("test", TAGGER), &folder);
        let files = Bundle::folder(&folder).files().unwrap();
        let inner = format!("lm/{HASH}");
        for dir in ["sub", "lm/other", &format!("{inner}/{inner}"), &format!("{inner}/sub")] {
            std::fs::create_dir_all(folder.join(dir)).unwrap();
            std::fs::write(folder.join(dir).join("x.json"), "{}").unwrap();
        }
        std::fs::write(folder.join("lm/x.json"), "{}").unwrap();
        std::fs::write(folder.join("log.jsonl"), "{}").unwrap();
        std::fs::write(root.path().join("x.json"), "{}").unwrap();
        let bundle = Bundle::folder(&folder);
        assert_eq!(bundle.files().unwrap(), files);
        for name in ["../x.json", "sub/x.json", "lm/x.json", "lm/other/x.json", "log.jsonl"] {
            assert!(matches!(bundle.read(name), Err(Error::MissingFile { .. })), "{name}");
        }
        let more: &[File] = &[("config.json", b"{}"), ("sub/x.json", b"{}"), ("notes.txt", b"")];
        assert_eq!(Bundle::built_in("test", more).files().unwrap(), ["config.json"]);
    }

    #[test]
    fn a_file_may_be_called_lm() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        std::fs::write(folder.path().join("lm"), "").unwrap();
        assert_eq!(Bundle::folder(folder.path()).files().unwrap(), ["config.json"]);
    }

    #[test]
    fn kind_and_version_are_checked_first() {
        let bundle = Bundle::built_in("test", TAGGER);
        assert!(bundle.config::<serde_json::Value>("tagger").is_ok());
        let error = bundle.config::<serde_json::Value>("translator").unwrap_err();
        assert_eq!(error.to_string(), "model test: it is a tagger, not a translator");
        let newer: &[File] = &[("config.json", br#"{"kind": "tagger", "format": 2}"#)];
        let bundle = Bundle::built_in("newer", newer);
        let error = bundle.config::<serde_json::Value>("tagger").unwrap_err();
        assert!(error.to_string().contains("format version 2"), "{error}");
    }
}

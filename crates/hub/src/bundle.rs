//! A model's files, wherever they lie.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use crate::{Error, Result, Tensor, read_tensors};

/// Version of the folder's format that this release writes, and the newest it reads.
pub const FORMAT: u64 = 1;

/// The files of one model.
#[derive(Clone, Debug)]
pub struct Bundle {
    name: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    Memory(BTreeMap<String, Cow<'static, [u8]>>),
}

impl Bundle {
    /// A folder on disk.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { name: path.display().to_string(), place: Place::Folder(path) }
    }

    /// Files that are part of the program.
    pub fn built_in(name: &str, files: &'static [(&'static str, &'static [u8])]) -> Self {
        let files = files.iter().map(|&(file, bytes)| (file.to_owned(), bytes.into())).collect();
        Self { name: name.to_owned(), place: Place::Memory(files) }
    }

    /// An archive made by [`Bundle::to_bytes`], or by `tar` in the model's folder.
    ///
    /// # Errors
    /// If the bytes are no such archive.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = |error: io::Error| Error::Damaged {
            model: "in memory".to_owned(),
            file: "archive".to_owned(),
            reason: error.to_string(),
        };
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(bytes).entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().map_err(damaged)?;
            let name = path.strip_prefix(".").unwrap_or(&path).display().to_string();
            if !is_part(&name) {
                continue;
            }
            // The size in a header is a claim; what is there bounds the read.
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(damaged)?;
            if files.insert(name.clone(), content.into()).is_some() {
                return Err(damaged(io::Error::other(format!("`{name}` is in it twice"))));
            }
        }
        if files.is_empty() {
            return Err(damaged(io::Error::other("it holds no files")));
        }
        Ok(Self { name: "in memory".to_owned(), place: Place::Memory(files) })
    }

    /// The files as one archive (tar).
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for file in self.files()? {
            let content = self.read(&file)?;
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive
                .append_data(&mut header, &file, &*content)
                .map_err(|source| self.unreadable(&file, source))?;
        }
        archive.into_inner().map_err(|source| self.unreadable("archive", source))
    }

    /// Name for messages: the built-in model's, or the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of the files, in order; folders inside are not entered, and a
    /// run's own files are left out.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn files(&self) -> Result<Vec<String>> {
        let path = match &self.place {
            Place::Memory(files) => return Ok(files.keys().cloned().collect()),
            Place::Folder(path) => path,
        };
        let mut names = Vec::new();
        for entry in path.read_dir().map_err(|source| self.unreadable(".", source))? {
            let entry = entry.map_err(|source| self.unreadable(".", source))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_part(&name) && entry.path().is_file() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Content of a file.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub fn read(&self, file: &str) -> Result<Cow<'_, [u8]>> {
        let missing = || Error::MissingFile { model: self.name.clone(), file: file.to_owned() };
        match &self.place {
            Place::Memory(files) => {
                files.get(file).map(|b| Cow::Borrowed(&**b)).ok_or_else(missing)
            }
            Place::Folder(path) => match std::fs::read(path.join(file)) {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                Err(source) => Err(self.unreadable(file, source)),
            },
        }
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
        let config: serde_json::Value = self.json("config.json")?;
        let found = config["kind"].as_str().unwrap_or("nothing known");
        if found != kind {
            return Err(self.incompatible(format!("it is a {found}, not a {kind}")));
        }
        let format = config["format"].as_u64().unwrap_or(0);
        if !(1..=FORMAT).contains(&format) {
            return Err(self.incompatible(format!(
                "format version {format} is not one of 1 to {FORMAT} that this release reads"
            )));
        }
        serde_json::from_value(config).map_err(|error| self.damaged("config.json", error))
    }

    /// Tensors of a safetensors file, widened to `f32`.
    ///
    /// # Errors
    /// If the file is missing or damaged.
    pub fn tensors(&self, file: &str) -> Result<Vec<Tensor>> {
        read_tensors(&self.read(file)?).map_err(|reason| self.damaged(file, reason))
    }

    /// An error about a file of this model.
    pub fn damaged(&self, file: &str, reason: impl ToString) -> Error {
        let (model, file) = (self.name.clone(), file.to_owned());
        Error::Damaged { model, file, reason: reason.to_string() }
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

/// Whether a file of that name belongs to a model.
fn is_part(name: &str) -> bool {
    let plain = !name.contains(['/', '\\']);
    plain && [".json", ".safetensors", ".md"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[(&str, &[u8])] = &[
        ("README.md", b"# card"),
        ("config.json", br#"{"kind": "tagger", "format": 1, "layer": "ner"}"#),
    ];

    #[test]
    fn an_archive_and_a_folder_hold_the_same_files() {
        let built_in = Bundle::built_in("test", FILES);
        let archive = Bundle::from_bytes(&built_in.to_bytes().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for file in archive.files().unwrap() {
            std::fs::write(folder.path().join(&file), archive.read(&file).unwrap()).unwrap();
        }
        std::fs::write(folder.path().join("log.jsonl"), "{}").unwrap();
        let folder = Bundle::folder(folder.path());
        assert_eq!(folder.files().unwrap(), ["README.md", "config.json"]);
        assert_eq!(folder.read("README.md").unwrap(), built_in.read("README.md").unwrap());
    }

    #[test]
    fn damaged_archives_are_refused() {
        let bytes = Bundle::built_in("test", FILES).to_bytes().unwrap();
        assert!(Bundle::from_bytes(&[]).is_err());
        assert!(Bundle::from_bytes(&bytes[..700]).is_err());
        assert!(Bundle::from_bytes(&[7; 2048]).is_err());
    }

    #[test]
    fn an_archive_with_a_file_twice_or_outside_of_it_is_not_trusted() {
        let archive = |names: &[&str]| {
            let mut archive = tar::Builder::new(Vec::new());
            for name in names {
                let mut header = tar::Header::new_old();
                header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
                header.set_size(2);
                header.set_cksum();
                archive.append(&header, &b"{}"[..]).unwrap();
            }
            Bundle::from_bytes(&archive.into_inner().unwrap())
        };
        assert!(archive(&["config.json", "./config.json"]).is_err());
        let bundle = archive(&["config.json", "../evil.json", "/etc/evil.json", "sub/a.json"]);
        assert_eq!(bundle.unwrap().files().unwrap(), ["config.json"]);
    }

    #[test]
    fn kind_and_version_are_checked_first() {
        let bundle = Bundle::built_in("test", FILES);
        assert!(bundle.config::<serde_json::Value>("tagger").is_ok());
        let error = bundle.config::<serde_json::Value>("translator").unwrap_err();
        assert_eq!(error.to_string(), "model test: it is a tagger, not a translator");
        let newer: &[(&str, &[u8])] = &[("config.json", br#"{"kind": "tagger", "format": 2}"#)];
        let bundle = Bundle::from_bytes(
            &Bundle {
                name: "x".into(),
                place: Place::Memory(
                    newer.iter().map(|&(f, b)| (f.to_owned(), b.into())).collect(),
                ),
            }
            .to_bytes()
            .unwrap(),
        );
        let error = bundle.unwrap().config::<serde_json::Value>("tagger").unwrap_err();
        assert!(error.to_string().contains("format version 2"), "{error}");
    }
}

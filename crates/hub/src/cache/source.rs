//! `source.json`: where a model of the cache came from, and what came.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::is_plain;
use crate::{
    Error, Result, bundle,
    tensors::{OpenFile, Source as Bytes},
};

/// Name of the file in a model's folder; it is no part of the model.
const FILE: &str = "source.json";

/// Longest file that is read, in bytes.
const MAX_LEN: u64 = 16 << 20;

/// Where a model of the cache came from, and the files that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Address of the hub.
    pub endpoint: String,
    /// Owner and name of the repository.
    pub repository: String,
    /// The revision that was asked for.
    pub revision: String,
    /// The commit that it was then.
    pub commit: String,
    /// What came.
    pub kind: SourceKind,
    /// The files, by name.
    pub files: BTreeMap<String, SourceFile>,
}

/// What was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A model's folder.
    Model,
    /// One file: a checkpoint of another toolkit, to be converted.
    Checkpoint,
}

/// A file as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

impl Source {
    /// What the folder of a model says of itself; nothing if it was not fetched.
    ///
    /// # Errors
    /// If the file is there, but cannot be read.
    pub fn of(folder: &Path) -> Result<Option<Self>> {
        let model = folder.display().to_string();
        let path = folder.join(FILE);
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::of_file(&model, FILE, None, error)),
        };
        let mut json = Vec::new();
        let read = file.take(MAX_LEN).read_to_end(&mut json);
        read.map_err(|error| Error::of_file(&model, FILE, None, error))?;
        let source = serde_json::from_slice::<Self>(&json).map_err(|error| error.to_string());
        let source = source.and_then(|source| source.check().map(|()| source));
        source.map(Some).map_err(|reason| Error::Damaged { model, file: FILE.to_owned(), reason })
    }

    /// The checkpoint of a folder that holds one.
    pub(crate) fn checkpoint(folder: &Path) -> Option<PathBuf> {
        let source = Self::of(folder).ok()??;
        let file = source.files.keys().next()?;
        (source.kind == SourceKind::Checkpoint).then(|| folder.join(file))
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.values().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// Whether the files are those of their kind, and nothing outside the folder.
    fn check(&self) -> Result<(), String> {
        let fits = |name: &String| match self.kind {
            SourceKind::Model => bundle::is_part(name),
            SourceKind::Checkpoint => is_plain(name),
        };
        match self.files.keys().find(|name| !fits(name)) {
            Some(name) => Err(format!("`{name}` is no file of a {}", self.kind.name())),
            None => Ok(()),
        }
    }

    /// Writes it into a folder.
    ///
    /// # Errors
    /// If it cannot be written.
    #[cfg(any(feature = "network", test))]
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let json = serde_json::to_string_pretty(self).map_err(io::Error::from);
        let written = json.and_then(|json| {
            let mut file = fs::File::create(&path)?;
            io::Write::write_all(&mut file, format!("{json}\n").as_bytes())?;
            file.sync_all()
        });
        written.map_err(Error::write(&path))
    }

    /// Checks length and hash of all files of a folder.
    ///
    /// # Errors
    /// If one is missing, cannot be read, or is not what came.
    pub(crate) fn verify(&self, folder: &Path) -> Result<()> {
        let model = folder.display().to_string();
        for (name, want) in &self.files {
            let found = hashed(&folder.join(name));
            let found = found.map_err(|error| Error::of_file(&model, name, None, error))?;
            if found != *want {
                let (model, file) = (model.clone(), name.clone());
                let reason = format!(
                    "it has {} bytes and the SHA-256 {}, but what came from {} had {} and {}; \
                     remove it and fetch it again",
                    found.size, found.sha256, self.repository, want.size, want.sha256
                );
                return Err(Error::Damaged { model, file, reason });
            }
        }
        Ok(())
    }

    /// Whether all files are in the folder, and as long as they were.
    #[cfg(feature = "network")]
    pub(crate) fn is_whole(&self, folder: &Path) -> bool {
        let is_there = |(name, file): (&String, &SourceFile)| {
            folder.join(name).metadata().is_ok_and(|found| found.len() == file.size)
        };
        self.files.iter().all(is_there)
    }
}

impl SourceKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Checkpoint => "checkpoint",
        }
    }
}

/// Length and hash of a file.
fn hashed(path: &Path) -> io::Result<SourceFile> {
    let file = OpenFile::open(path)?;
    let (bytes, mut hash) = (Bytes::File(&file), Sha256::new());
    bytes.read(0..bytes.len(), |piece| hash.update(piece))?;
    Ok(SourceFile { size: bytes.len(), sha256: format!("{:x}", hash.finalize()) })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// That of a folder with these files, as they are now.
    pub(crate) fn source(folder: &Path, kind: SourceKind, files: &[&str]) -> Source {
        let file = |name: &&str| ((*name).to_owned(), hashed(&folder.join(name)).unwrap());
        Source {
            endpoint: "https://hub".to_owned(),
            repository: "owner/name".to_owned(),
            revision: "main".to_owned(),
            commit: "0".repeat(40),
            kind,
            files: files.iter().map(file).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Source::of(folder.path()).unwrap(), None);
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        let source = source(folder.path(), SourceKind::Model, &["config.json"]);
        source.write(folder.path()).unwrap();
        assert_eq!(Source::of(folder.path()).unwrap(), Some(source.clone()));
        assert_eq!(source.size(), 2);
        source.verify(folder.path()).unwrap();
        // Of `printf '{}' | sha256sum`.
        let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(source.files["config.json"].sha256, hash);
    }

    #[test]
    fn a_file_outside_the_folder_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let write = |source: &Source| {
            source.write(folder.path()).unwrap();
            Source::of(folder.path())
        };
        for (kind, name) in [
            (SourceKind::Model, "../config.json"),
            (SourceKind::Model, "/etc/config.json"),
            (SourceKind::Model, "model.pt"),
            (SourceKind::Checkpoint, "../model.pt"),
            (SourceKind::Checkpoint, "a/model.pt"),
        ] {
            let mut source = source(folder.path(), kind, &[]);
            write(&source).unwrap();
            source.files.insert(name.into(), SourceFile { size: 0, sha256: String::new() });
            assert!(matches!(write(&source), Err(Error::Damaged { .. })), "{name}");
        }
        fs::write(folder.path().join(FILE), "{").unwrap();
        let error = Source::of(folder.path()).unwrap_err().to_string();
        assert!(error.contains("`source.json` is damaged"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_what_came_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pt");
        fs::write(&path, "weights").unwrap();
        let source = source(folder.path(), SourceKind::Checkpoint, &["model.pt"]);
        source.write(folder.path()).unwrap();
        assert_eq!(Source::checkpoint(folder.path()), Some(path.clone()));
        fs::write(&path, "Weights").unwrap();
        let error = source.verify(folder.path()).unwrap_err();
        let Error::Damaged { file, reason, .. } = &error else { panic!("{error}") };
        assert!(file == "model.pt" && reason.contains("7 bytes"), "{error}");
        fs::remove_file(&path).unwrap();
        assert!(matches!(source.verify(folder.path()), Err(Error::MissingFile { .. })));
    }
}

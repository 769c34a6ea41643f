//! A model as one archive (tar).

use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::Arc,
};

use super::{Bundle, Place, names};
use crate::{Error, Result};

impl Bundle {
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
            if !names::is_part(&name) {
                continue;
            }
            // The size in a header is a claim; what is there bounds the read.
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(damaged)?;
            if files.insert(name.clone(), Arc::new(content.into())).is_some() {
                return Err(damaged(io::Error::other(format!("`{name}` is in it twice"))));
            }
        }
        if files.is_empty() {
            return Err(damaged(io::Error::other("it holds no files")));
        }
        Ok(Self::new("in memory".to_owned(), Place::Memory(files)))
    }

    /// The files, those of language models too, as one archive (tar).
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
}

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use super::*;
    use crate::bundle::tests::{HASH, TAGGER, write};

    /// An archive with these names as they are; those that end in `/` are folders.
    fn archive(names: &[&str]) -> Result<Bundle> {
        let mut archive = tar::Builder::new(Vec::new());
        for name in names {
            let content: &[u8] = if name.ends_with('/') { b"" } else { b"{}" };
            let mut header = tar::Header::new_old();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            if content.is_empty() {
                header.set_entry_type(EntryType::Directory);
            }
            header.set_cksum();
            archive.append(&header, content).unwrap();
        }
        Bundle::from_bytes(&archive.into_inner().unwrap())
    }

    #[test]
    fn an_archive_and_a_folder_hold_the_same_files() {
        let built_in = Bundle::built_in("test", TAGGER);
        let archive = Bundle::from_bytes(&built_in.to_bytes().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write(&archive, folder.path());
        std::fs::write(folder.path().join("log.jsonl"), "{}").unwrap();
        let folder = Bundle::folder(folder.path());
        let names: Vec<&str> = TAGGER.iter().map(|(name, _)| *name).collect();
        assert_eq!(folder.files().unwrap(), names);
        for (name, content) in TAGGER {
            assert_eq!(folder.read(name).unwrap(), *content);
        }
        assert_eq!(folder.to_bytes().unwrap(), built_in.to_bytes().unwrap());
    }

    #[test]
    fn damaged_archives_are_refused() {
        let bytes = Bundle::built_in("test", TAGGER).to_bytes().unwrap();
        assert!(Bundle::from_bytes(&[]).is_err());
        assert!(Bundle::from_bytes(&bytes[..700]).is_err());
        assert!(Bundle::from_bytes(&[7; 2048]).is_err());
    }

    #[test]
    fn an_archive_with_a_file_twice_or_outside_of_it_is_not_trusted() {
        assert!(archive(&["config.json", "./config.json"]).is_err());
        let inner = format!("lm/{HASH}/config.json");
        assert!(archive(&[&inner, &format!("./{inner}")]).is_err());
        let bundle = archive(&[
            "config.json",
            "../evil.json",
            "/etc/evil.json",
            "sub/a.json",
            "lm/evil.json",
            "lm/../evil.json",
            &format!("lm/{HASH}/../evil.json"),
            &format!("lm/{HASH}/sub/evil.json"),
            &format!("lm/{}/evil.json", HASH.to_uppercase()),
        ]);
        assert_eq!(bundle.unwrap().files().unwrap(), ["config.json"]);
    }

    #[test]
    fn folders_in_an_archive_are_no_files() {
        let hash = format!("./lm/{HASH}/");
        let inner = format!("{hash}config.json");
        let bundle = archive(&["./", "./config.json", "./lm/", &hash, &inner]).unwrap();
        assert_eq!(bundle.files().unwrap(), ["config.json", &inner[2..]]);
        assert_eq!(bundle.language_models().unwrap(), [HASH]);
    }
}

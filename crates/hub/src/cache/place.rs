//! A model's place in the cache, and who may change it.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// Folder of what is no model yet, or no longer. No model has a name like it.
const STAGING: &str = ".fetch";

/// Folder of converted checkpoints, which is no model.
pub(crate) const CONVERTED: &str = "converted";

/// Longest name of a model, in bytes.
const MAX_NAME: usize = 96;

/// A model of the cache, there or to come.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    /// The model.
    pub(crate) folder: PathBuf,
    /// What is on its way here, or out.
    pub(crate) staging: PathBuf,
}

/// The right to change a place, as long as it is kept.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "open, it is locked")] File);

impl Place {
    /// The place of a name; nothing is made yet.
    ///
    /// # Errors
    /// If the name cannot be one.
    pub(crate) fn new(cache: &Path, name: &str) -> Result<Self> {
        check_name(name)?;
        let staging = cache.join(STAGING).join(name);
        Ok(Self { name: name.to_owned(), folder: cache.join(name), staging })
    }

    /// Whether there is a model, or something else.
    pub(crate) fn is_taken(&self) -> bool {
        self.folder.symlink_metadata().is_ok()
    }

    /// The right to change the place. If somebody else has it, `busy` is asked
    /// whether to wait.
    ///
    /// # Errors
    /// That of `busy`, or if the file that stands for the right cannot be made or
    /// locked.
    pub(crate) fn lock(&self, busy: impl FnOnce() -> Result<()>) -> Result<Lock> {
        let (path, file) = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                busy()?;
                file.lock().map_err(Error::write(&path))?;
            }
            Err(TryLockError::Error(source)) => return Err(Error::Write { path, source }),
        }
        Ok(Lock(file))
    }

    /// The file stays: whoever removed it would remove another's lock.
    fn lock_file(&self) -> Result<(PathBuf, File)> {
        let folder = self.staging.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(Error::write(folder))?;
        let path = folder.join(format!("{}.lock", self.name));
        let options = File::options().write(true).create(true).truncate(false).open(&path);
        let file = options.map_err(Error::write(&path))?;
        Ok((path, file))
    }

    /// Moves the model out of its place, in one step, and returns where it is now.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub(crate) fn move_out(&self, _lock: &Lock) -> Result<PathBuf> {
        fs::create_dir_all(&self.staging).map_err(Error::write(&self.staging))?;
        let old = self.staging.join("old");
        remove_all(&old)?;
        fs::rename(&self.folder, &old).map_err(Error::write(&self.folder))?;
        Ok(old)
    }
}

/// Removes a file, a link or a folder with all in it, if it is there. Links are
/// not followed.
///
/// # Errors
/// If it cannot be removed.
pub(crate) fn remove_all(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.map_err(Error::write(path))
}

/// Whether a name is a folder's on every system, is no path and not hidden.
pub(crate) fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && !name.ends_with('.')
        && name.chars().all(plain)
}

/// Checks the name of a model in the cache.
///
/// # Errors
/// If it is not plain, or the cache needs it.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let problem = if !is_plain(name) {
        format!(
            "a model's name in the cache has up to {MAX_NAME} letters, digits, `-`, `_` and `.`, \
             and does not begin with `-` or `.`; a path is none"
        )
    } else if name == CONVERTED {
        "the cache keeps converted models under that name; choose another".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Name { name: name.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        for name in ["ner-english", "a", "x_1.0", &"a".repeat(MAX_NAME)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".fetch",
            "-m",
            "a/b",
            "../a",
            "/a",
            "a\\b",
            "C:",
            "a b",
            "a.",
            "é",
            "a\n",
            "converted",
            &"a".repeat(MAX_NAME + 1),
        ] {
            assert!(matches!(check_name(name), Err(Error::Name { .. })), "{name:?}");
        }
    }

    #[test]
    fn a_place_is_changed_by_one_at_a_time() {
        let cache = tempfile::tempdir().unwrap();
        let place = Place::new(cache.path(), "model").unwrap();
        let lock = |place: &Place| place.lock(|| Err(Error::NoCache));
        let held = lock(&place).unwrap();
        assert!(matches!(lock(&place), Err(Error::NoCache)), "somebody has it");
        lock(&Place::new(cache.path(), "other").unwrap()).unwrap();
        drop(held);
        lock(&place).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_removed_and_not_what_it_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let [folder, link] = ["folder", "link"].map(|name| root.path().join(name));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        remove_all(&link).unwrap();
        assert!(folder.join("file").is_file() && link.symlink_metadata().is_err());
        remove_all(&link).unwrap();
    }
}

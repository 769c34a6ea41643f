//! The folder of a run: the best model, the checkpoints and the log.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Error, Result, files};

/// The folder of a run and the names in it.
#[derive(Debug)]
pub(crate) struct Folder {
    /// The folder itself; also the loadable best model.
    pub(crate) out: PathBuf,
}

impl Folder {
    /// Makes the folder ready: for a new run, what an earlier run left in
    /// `checkpoints` and the log is removed; for a resumed one, half-made files
    /// are, and a swap of the best model that was cut off is settled.
    pub(crate) fn open(out: &Path, resume: bool) -> Result<Self> {
        let folder = Self { out: out.to_owned() };
        let checkpoints = folder.checkpoints();
        if !resume {
            remove(fs::remove_dir_all(&checkpoints)).map_err(Error::io(&checkpoints))?;
            remove(fs::remove_file(folder.log())).map_err(Error::io(&folder.log()))?;
        }
        let last = checkpoints.join("last");
        fs::create_dir_all(&last).map_err(Error::io(&last))?;
        folder.recover().map_err(Error::io(&checkpoints))?;
        files::remove_stale(out).map_err(Error::io(out))?;
        Ok(folder)
    }

    /// The log of events.
    pub(crate) fn log(&self) -> PathBuf {
        self.out.join("log.jsonl")
    }

    /// The last checkpoint.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.checkpoints().join("last").join("checkpoint.safetensors")
    }

    /// The last checkpoint, if one has been written.
    pub(crate) fn existing_checkpoint(&self) -> Option<PathBuf> {
        Some(self.checkpoint()).filter(|path| path.exists())
    }

    fn checkpoints(&self) -> PathBuf {
        self.out.join("checkpoints")
    }

    /// The best model so far, as a folder.
    pub(crate) fn best(&self) -> PathBuf {
        self.checkpoints().join("best")
    }

    fn new_best(&self) -> PathBuf {
        self.checkpoints().join(".best.new")
    }

    fn old_best(&self) -> PathBuf {
        self.checkpoints().join(".best.old")
    }

    /// An empty folder for the next best model.
    pub(crate) fn prepare_best(&self) -> io::Result<PathBuf> {
        let new = self.new_best();
        remove(fs::remove_dir_all(&new))?;
        fs::create_dir(&new)?;
        Ok(new)
    }

    /// Puts the prepared model in the place of the best one. A crash leaves
    /// the old or the new one, at the latest after [`open`](Self::open).
    pub(crate) fn swap_best(&self) -> io::Result<()> {
        let (best, old) = (self.best(), self.old_best());
        remove(fs::remove_dir_all(&old))?;
        files::sync_dir(&self.new_best())?;
        remove(fs::rename(&best, &old))?;
        fs::rename(self.new_best(), &best)?;
        files::sync_dir(&self.checkpoints())?;
        remove(fs::remove_dir_all(&old))
    }

    /// Settles a swap that was cut off.
    fn recover(&self) -> io::Result<()> {
        if !self.best().exists() {
            remove(fs::rename(self.old_best(), self.best()))?;
        }
        remove(fs::remove_dir_all(self.old_best()))?;
        remove(fs::remove_dir_all(self.new_best()))
    }
}

/// What does not exist is removed already.
fn remove(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path, content: &str) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("model"), content).unwrap();
    }

    fn get(dir: &Path) -> Option<String> {
        fs::read_to_string(dir.join("model")).ok()
    }

    fn settled(folder: &Folder) -> Option<String> {
        let folder = Folder::open(&folder.out, true).unwrap();
        assert!(!folder.old_best().exists() && !folder.new_best().exists());
        get(&folder.best())
    }

    #[test]
    fn a_swap_replaces_the_whole_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), false).unwrap();
        for content in ["first", "second"] {
            put(&folder.prepare_best().unwrap(), content);
            fs::write(folder.new_best().join(content), "").unwrap();
            folder.swap_best().unwrap();
            assert_eq!(get(&folder.best()).as_deref(), Some(content));
        }
        assert!(!folder.best().join("first").exists());
        assert!(!folder.old_best().exists());
    }

    #[test]
    fn a_crash_at_any_point_of_the_swap_leaves_one_model() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), false).unwrap();
        put(&folder.new_best(), "half");
        assert_eq!(settled(&folder), None, "a first model that is only half there");
        put(&folder.best(), "old");
        put(&folder.new_best(), "new");
        assert_eq!(settled(&folder).as_deref(), Some("old"), "before the first move");
        put(&folder.new_best(), "new");
        fs::rename(folder.best(), folder.old_best()).unwrap();
        assert_eq!(settled(&folder).as_deref(), Some("old"), "between the moves");
        put(&folder.old_best(), "old");
        put(&folder.best(), "new");
        assert_eq!(settled(&folder).as_deref(), Some("new"), "after the second move");
    }

    #[test]
    fn a_new_run_forgets_the_earlier_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), false).unwrap();
        fs::write(folder.checkpoint(), "").unwrap();
        fs::write(folder.log(), "").unwrap();
        assert!(Folder::open(dir.path(), true).unwrap().existing_checkpoint().is_some());
        let folder = Folder::open(dir.path(), false).unwrap();
        assert!(folder.existing_checkpoint().is_none() && !folder.log().exists());
    }
}

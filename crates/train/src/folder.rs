//! The folder of a run: the best model, the checkpoints and the log.

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::{Error, Result, disk, files};

/// The file of a checkpoint.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// What an earlier model can leave in the folder, beside its numbered
/// dictionaries and the language models of a tagger: first the file without
/// which nothing loads it.
const MODEL: [&str; 4] = ["config.json", "model.safetensors", "README.md", "dictionary.json"];

/// The folder of a run and the names in it.
#[derive(Debug)]
pub(crate) struct Folder {
    /// The folder itself; also the loadable best model.
    pub(crate) out: PathBuf,
    /// Held as long as the run; the system lets it go with the process.
    lock: Option<File>,
}

impl Folder {
    /// The folder as it is, neither looked at nor locked.
    pub(crate) fn at(out: &Path) -> Self {
        Self { out: out.to_owned(), lock: None }
    }

    /// Makes the folder ready and locks it: for a new run, what an earlier one
    /// left is removed; for a resumed one, half-made files are, and a swap of
    /// the best model that was cut off is settled.
    pub(crate) fn open(out: &Path, resume: bool) -> Result<Self> {
        let mut folder = Self::at(out);
        folder.check(resume)?;
        let checkpoints = folder.checkpoints();
        disk::create_dir_all(&checkpoints).map_err(Error::io(&checkpoints))?;
        let mut options = File::options();
        folder.lock = folder.lock(options.create(true).truncate(false).write(true))?;
        if !resume {
            folder.clear().map_err(Error::io(out))?;
        }
        let last = folder.last();
        disk::create_dir_all(&last).map_err(Error::io(&last))?;
        folder.recover().map_err(Error::io(&checkpoints))?;
        for dir in [out, &checkpoints, &last, &folder.best()] {
            files::remove_stale(dir).map_err(Error::io(dir))?;
        }
        Ok(folder)
    }

    /// Refuses a folder that is in use, or that has nothing to resume.
    pub(crate) fn check(&self, resume: bool) -> Result<()> {
        self.lock(File::options().write(true))?;
        let resumable = || self.is_resumable().map_err(Error::io(&self.out));
        match resume && !resumable()? {
            true => Err(Error::NothingToResume { path: self.out.clone() }),
            false => Ok(()),
        }
    }

    /// Locks the folder; nothing where there is no file to lock, or the file
    /// system has no locks.
    fn lock(&self, options: &fs::OpenOptions) -> Result<Option<File>> {
        let path = self.lock_file();
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::io(&path))?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path: self.out.clone() }),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(None)
            }
            Err(TryLockError::Error(error)) => Err(Error::io(&path)(error)),
        }
    }

    /// Whether there is a checkpoint, or no more than what a run leaves that is
    /// cut off before its first one.
    fn is_resumable(&self) -> io::Result<bool> {
        if self.existing_checkpoint().is_some() {
            return Ok(true);
        }
        Ok(holds_only(&self.out, &["config.toml", "log.jsonl", "checkpoints"])?
            && holds_only(&self.checkpoints(), &["last", "lock"])?
            && holds_only(&self.last(), &[])?)
    }

    /// Removes what an earlier run left: first what it would be resumed from,
    /// then its model, then the rest.
    fn clear(&self) -> io::Result<()> {
        disk::remove(&self.checkpoint())?;
        for name in MODEL {
            disk::remove(&self.out.join(name))?;
        }
        for name in names(&self.out)? {
            let text = name.to_string_lossy();
            if text.starts_with("dictionary-") && text.ends_with(".json") {
                disk::remove(&self.out.join(&name))?;
            }
        }
        self.clear_language_models()?;
        for name in names(&self.checkpoints())? {
            let path = self.checkpoints().join(name);
            if path != self.lock_file() {
                disk::remove(&path)?;
            }
        }
        disk::remove(&self.log())
    }

    /// Removes `lm/<sha256>`, and `lm` if nothing else is in it.
    fn clear_language_models(&self) -> io::Result<()> {
        let models = self.out.join("lm");
        if !models.is_dir() {
            return Ok(());
        }
        let is_hash = |name: &str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        let mut others = false;
        for name in names(&models)? {
            match name.to_str().is_some_and(is_hash) {
                true => disk::remove(&models.join(name))?,
                false => others = true,
            }
        }
        if others { Ok(()) } else { disk::remove(&models) }
    }

    /// The log of events.
    pub(crate) fn log(&self) -> PathBuf {
        self.out.join("log.jsonl")
    }

    /// The last checkpoint.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.last().join(CHECKPOINT)
    }

    /// The last checkpoint, if one has been written.
    pub(crate) fn existing_checkpoint(&self) -> Option<PathBuf> {
        Some(self.checkpoint()).filter(|path| path.exists())
    }

    fn checkpoints(&self) -> PathBuf {
        self.out.join("checkpoints")
    }

    fn lock_file(&self) -> PathBuf {
        self.checkpoints().join("lock")
    }

    fn last(&self) -> PathBuf {
        self.checkpoints().join("last")
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
        disk::remove(&new)?;
        disk::create_dir_all(&new)?;
        Ok(new)
    }

    /// Puts the prepared model in the place of the best one. A crash leaves
    /// the old or the new one, at the latest after [`open`](Self::open).
    pub(crate) fn swap_best(&self) -> io::Result<()> {
        let (best, old) = (self.best(), self.old_best());
        disk::remove(&old)?;
        files::sync_dir(&self.new_best())?;
        if best.exists() {
            disk::rename(&best, &old)?;
        }
        disk::rename(&self.new_best(), &best)?;
        files::sync_dir(&self.checkpoints())?;
        disk::remove(&old)
    }

    /// Settles a swap that was cut off.
    fn recover(&self) -> io::Result<()> {
        if !self.best().exists() && self.old_best().exists() {
            disk::rename(&self.old_best(), &self.best())?;
        }
        disk::remove(&self.old_best())?;
        disk::remove(&self.new_best())
    }
}

/// Names of what is in a folder; nothing is in a folder that does not exist.
fn names(dir: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name())).collect(),
    }
}

/// Whether nothing is in a folder but these, and what killed writers left.
fn holds_only(dir: &Path, known: &[&str]) -> io::Result<bool> {
    let is_known = |name: &OsStr| known.iter().any(|known| name == *known);
    Ok(names(dir)?.iter().all(|name| is_known(name) || files::is_temporary(name)))
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
        folder.recover().unwrap();
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
        let folder = Folder::at(dir.path());
        drop(Folder::open(dir.path(), false).unwrap());
        put(&folder.best(), "old");
        fs::write(folder.checkpoint(), "").unwrap();
        let own =
            ["config.json", "dictionary-1.json", "log.jsonl", "model.safetensors", "README.md"];
        for name in own.into_iter().chain(["notes.json"]) {
            fs::write(dir.path().join(name), "old").unwrap();
        }
        drop(Folder::open(dir.path(), true).unwrap());
        assert!(own.iter().all(|name| dir.path().join(name).exists()), "resumed");
        drop(Folder::open(dir.path(), false).unwrap());
        assert!(!own.iter().any(|name| dir.path().join(name).exists()), "begun anew");
        assert!(folder.existing_checkpoint().is_none() && get(&folder.best()).is_none());
        assert!(dir.path().join("notes.json").exists(), "what is not a model's stays");
    }

    #[test]
    fn only_a_checkpoint_or_a_run_before_its_first_one_can_be_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let folder = Folder::at(&out);
        folder.check(true).unwrap();
        drop(Folder::open(&out, true).unwrap());
        for name in ["config.toml", "log.jsonl", ".config.toml.7-0.gloss-tmp"] {
            fs::write(out.join(name), "").unwrap();
        }
        drop(Folder::open(&out, true).unwrap());
        for odd in [out.join("model.safetensors"), folder.last().join("notes"), folder.best()] {
            fs::write(&odd, "").unwrap();
            let error = Folder::open(&out, true).unwrap_err();
            assert!(matches!(error, Error::NothingToResume { .. }), "{}: {error}", odd.display());
            let shown = format!("nothing to resume in {}: there is no checkpoint", out.display());
            assert!(error.to_string().starts_with(&shown), "{error}");
            fs::remove_file(&odd).unwrap();
        }
        fs::write(out.join("model.safetensors"), "").unwrap();
        fs::write(folder.checkpoint(), "").unwrap();
        folder.check(true).unwrap();
    }

    #[test]
    fn a_folder_is_trained_in_by_one_run_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::open(dir.path(), false).unwrap();
        fs::write(first.checkpoint(), "").unwrap();
        for resume in [true, false] {
            let error = Folder::open(dir.path(), resume).unwrap_err();
            assert!(matches!(error, Error::InUse { .. }), "{error}");
            assert!(error.to_string().ends_with("is being trained by another process"));
        }
        assert!(first.checkpoint().exists());
        drop(first);
        Folder::open(dir.path(), true).unwrap();
    }

    #[test]
    fn a_new_run_removes_language_models_and_nothing_else_of_lm() {
        let dir = tempfile::tempdir().unwrap();
        let models = dir.path().join("lm");
        let hash = models.join("0123456789abcdef".repeat(4));
        put(&hash, "old");
        put(&models.join("mine"), "kept");
        Folder::open(dir.path(), false).unwrap();
        assert!(!hash.exists());
        assert_eq!(get(&models.join("mine")).as_deref(), Some("kept"));
        fs::remove_dir_all(models.join("mine")).unwrap();
        put(&hash, "old");
        Folder::open(dir.path(), false).unwrap();
        assert!(!models.exists());
    }
}

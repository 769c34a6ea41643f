//! Files that are either the old or the new ones, whenever the power fails.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::disk;

/// Ending of the files that are being written.
const TEMPORARY: &str = ".gloss-tmp";

/// Replaces the file at `path` in one move.
///
/// `write` fills a temporary file in the same folder, which is flushed to the
/// disk and renamed; then the folder is flushed too. After an error the old
/// file is as it was.
///
/// # Errors
/// Those of `write`, and of the file system.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary_path(path)?;
    let result = fill(&temporary, write).and_then(|()| disk::rename(&temporary, path));
    if result.is_err() {
        // The first error is the one to report.
        let _ = disk::remove(&temporary);
        return result;
    }
    sync_dir(parent(path))
}

fn fill(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 18, disk::create(path)?);
    write(&mut file)?;
    disk::flush(&mut file)?;
    disk::sync(file.get_ref())
}

/// A name beside `path` that no other writer uses.
fn temporary_path(path: &Path) -> io::Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file")
    })?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    temporary.push(format!(".{}-{count}{TEMPORARY}", process::id()));
    Ok(parent(path).join(temporary))
}

/// The folder that holds `path`; `.` for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Flushes the entries of a folder to the disk, where the system can.
///
/// # Errors
/// Those of the file system.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { disk::sync(&File::open(dir)?) } else { Ok(()) }
}

/// Removes what killed writers have left in `dir`, its subfolders not included.
/// Where there is no such folder, nothing was left.
///
/// # Errors
/// Those of the file system.
pub fn remove_stale(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() && is_temporary(&entry.file_name()) {
            disk::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether a file of that name was being written.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') && name.ends_with(TEMPORARY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_a_file_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, "old and longer").unwrap();
        write_atomically(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["config.json"]);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, "old").unwrap();
        let result = write_atomically(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert_eq!(result.unwrap_err().to_string(), "disk full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["config.json"]);
    }

    #[test]
    fn stale_files_go_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("inner")).unwrap();
        let stale = temporary_path(&dir.path().join("model.safetensors")).unwrap();
        let own = dir.path().join(".hidden.tmp");
        let deeper = temporary_path(&dir.path().join("inner/model.safetensors")).unwrap();
        for path in [&stale, &own, &deeper] {
            fs::write(path, "half").unwrap();
        }
        remove_stale(dir.path()).unwrap();
        assert!(!stale.exists() && own.exists());
        assert!(deeper.exists(), "a subfolder is somebody else's");
        remove_stale(&dir.path().join("absent")).unwrap();
    }
}

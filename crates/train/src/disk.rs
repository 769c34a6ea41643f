//! Changes to files and folders, one by one. Tests can make any of them fail.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

pub(crate) fn create(path: &Path) -> io::Result<File> {
    fault()?;
    File::create(path)
}

pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    fault()?;
    fs::create_dir_all(path)
}

pub(crate) fn flush(file: &mut impl Write) -> io::Result<()> {
    fault()?;
    file.flush()
}

pub(crate) fn sync(file: &File) -> io::Result<()> {
    fault()?;
    // Tests do not cut the power, and have many files.
    if cfg!(test) { Ok(()) } else { file.sync_all() }
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fault()?;
    fs::rename(from, to)
}

/// Removes a file, or a folder with all that is in it; what does not exist is
/// removed already.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let is_dir = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    fault()?;
    if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(not(test))]
fn fault() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use faults::fault;

#[cfg(test)]
pub(crate) mod faults {
    use std::{cell::Cell, io};

    /// How a disk fails.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Failure {
        /// One operation fails, the next ones do not.
        Once,
        /// All fail from one on, as if the process had been killed there.
        Forever,
    }

    thread_local! {
        static PLAN: Cell<Option<(usize, Failure)>> = const { Cell::new(None) };
    }

    /// Lets the operation number `n` of this thread fail, counted from 1.
    pub(crate) fn failing<T>(n: usize, failure: Failure, run: impl FnOnce() -> T) -> T {
        PLAN.set(Some((n, failure)));
        let result = run();
        PLAN.set(None);
        result
    }

    pub(super) fn fault() -> io::Result<()> {
        let left = match PLAN.get() {
            None => return Ok(()),
            Some((0, Failure::Once)) => return Ok(()),
            Some((0, Failure::Forever)) => 0,
            Some((left, failure)) => {
                PLAN.set(Some((left - 1, failure)));
                left - 1
            }
        };
        if left == 0 { Err(io::Error::other("the disk fails")) } else { Ok(()) }
    }
}

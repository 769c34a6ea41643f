//! What a conversion writes: it appears when it is complete.

use std::{fs, path::Path};

use super::Error;
use crate::Result;

/// Lets `make` write a file or a folder beside its place, and moves it there.
///
/// # Errors
/// That of `make`, or if something is at the place or it cannot be written.
pub(super) fn write(place: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if place.symlink_metadata().is_ok() {
        return Err(Error::Exists { path: place.to_owned() }.into());
    }
    let parent = match place.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let failed = |source| Error::Write { path: place.to_owned(), source };
    fs::create_dir_all(parent).map_err(failed)?;
    let temporary = tempfile::Builder::new().prefix(".convert-").tempdir_in(parent);
    let temporary = temporary.map_err(failed)?;
    let made = temporary.path().join("made");
    make(&made)?;
    Ok(fs::rename(&made, place).map_err(failed)?)
}

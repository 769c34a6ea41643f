//! Files as memory: the only place of a memory map.

use std::{fs::File, io, ops::Deref, path::Path};

use memmap2::Mmap;

/// A file whose content is read from the disk where it is looked at.
///
/// Whoever cuts the file while it is mapped takes the program down with it
/// (`SIGBUS`), and whoever changes it changes what is read: map what is replaced,
/// not overwritten.
#[derive(Debug)]
pub struct Map(Option<Mmap>);

impl Map {
    /// Maps a file.
    ///
    /// # Errors
    /// If it cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // Nothing cannot be mapped.
        if file.metadata()?.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the bytes are only read, as plain numbers and text that is
        // checked each time; what a change underneath means is told above.
        Ok(Self(Some(unsafe { Mmap::map(&file) }?)))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_the_content_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for content in [&b""[..], b"some bytes"] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(&*Map::open(&path).unwrap(), content);
        }
        assert!(Map::open(&folder.path().join("none")).is_err());
        assert!(Map::open(folder.path()).is_err());
    }
}

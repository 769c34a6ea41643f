use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files;
use super::lines::FileLines;
use crate::Result;

/// A document and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawDocument {
    /// The text, which ends with a line feed unless the line goes on.
    pub text: String,
    /// The file.
    pub path: Arc<Path>,
    /// The line in it, from 1.
    pub line: usize,
}

/// The documents of a file or folder, in order; it ends behind the first error.
pub struct Documents {
    files: std::vec::IntoIter<PathBuf>,
    open: Option<(FileLines, Arc<Path>)>,
}

/// Reads the documents of a file or a folder one after another.
///
/// # Errors
/// If there is no such file or folder, or no text file in the folder. All other
/// errors come with the document they are in.
pub fn documents(path: &Path) -> Result<Documents> {
    Ok(Documents { files: files::list(path)?.into_iter(), open: None })
}

impl Documents {
    fn read(&mut self) -> Result<Option<RawDocument>> {
        loop {
            if let Some((lines, path)) = &mut self.open
                && lines.advance()?
            {
                let line = lines.line();
                let (text, path, line) = (line.document(), path.clone(), line.number);
                return Ok(Some(RawDocument { text, path, line }));
            }
            let Some(file) = self.files.next() else {
                self.open = None;
                return Ok(None);
            };
            self.open = Some((FileLines::open(&file)?, file.into()));
        }
    }
}

impl Iterator for Documents {
    type Item = Result<RawDocument>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().transpose();
        if matches!(next, Some(Err(_))) {
            (self.files, self.open) = (Vec::new().into_iter(), None);
        }
        next
    }
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").field("files", &self.files).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_know_their_lines() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("a.txt"), "one\n\ntwo").expect("file");
        std::fs::write(folder.path().join("b.txt"), "three\n").expect("file");
        std::fs::write(folder.path().join("c.txt"), b"four\nbad \xFF\nfive").expect("file");
        let found: Vec<_> = documents(folder.path()).expect("files").collect();
        let places: Vec<_> = found
            .iter()
            .flatten()
            .map(|document| {
                (document.text.as_str(), document.path.file_name().expect("name"), document.line)
            })
            .collect();
        assert_eq!(
            places[..3],
            [
                ("one\n", "a.txt".as_ref(), 1),
                ("two\n", "a.txt".as_ref(), 3),
                ("three\n", "b.txt".as_ref(), 1)
            ]
        );
        assert!(found.last().is_some_and(Result::is_err));
        assert_eq!(found.iter().filter(|document| document.is_err()).count(), 1);
    }
}

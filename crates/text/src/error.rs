use std::io;
use std::path::{Path, PathBuf};

use crate::corpus::BadData;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with text and corpora.
///
/// Lines are counted from 1. Where another error is the reason, it is kept as
/// the source and not repeated in the message.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened or read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Output could not be written. A closed pipe is the source's kind
    /// [`io::ErrorKind::BrokenPipe`].
    #[error("the output cannot be written")]
    Write {
        /// What the system said.
        source: io::Error,
    },
    /// A format that holds the places of one document was given a second one.
    #[error(
        "the output holds the places of one document, and this is a second: write each by itself \
         (--from text reads a file as one)"
    )]
    SecondDocument,
    /// A `.gz`, `.xz` or `.zst` file is truncated or damaged.
    #[error("{}: the compressed data is truncated or damaged", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: io::Error,
    },
    /// A byte that is not UTF-8.
    #[error(
        "{}:{line}: byte {offset} (0x{byte:02X}) is not UTF-8; convert the file to UTF-8; `tag`, `eval` and `embed` read it with --lossy, which replaces such bytes",
        path.display()
    )]
    Utf8 {
        /// The file.
        path: PathBuf,
        /// The line that holds the byte.
        line: usize,
        /// Offset of the byte in the (decompressed) file, from 0.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// A file that opens with the byte order mark of UTF-16.
    #[error("{}: the file is UTF-16; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)", path.display())]
    Utf16 {
        /// The file.
        path: PathBuf,
    },
    /// A row with too few or too many columns.
    #[error("{}:{line}: expected {want} columns, found {found}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// The row's line.
        line: usize,
        /// Columns the format or the rows before ask for.
        want: usize,
        /// Columns of this row.
        found: usize,
    },
    /// A tab in a file whose columns are separated by spaces.
    #[error("{}:{line}: a tab in a file whose columns are separated by spaces", path.display())]
    Tab {
        /// The file.
        path: PathBuf,
        /// The row's line.
        line: usize,
    },
    /// A row without a word.
    #[error("{}:{line}: the token is empty", path.display())]
    EmptyToken {
        /// The file.
        path: PathBuf,
        /// The row's line.
        line: usize,
    },
    /// A CoNLL-U id that cannot stand here.
    #[error("{}:{line}: id {found:?} where {want} should stand", path.display())]
    Id {
        /// The file.
        path: PathBuf,
        /// The row's line.
        line: usize,
        /// What stands there.
        found: String,
        /// What could stand there.
        want: String,
    },
    /// A line that is not JSON.
    #[error("{}:{line}: not a JSON object", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A JSON object that is not a document.
    #[error("{}:{line}: {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with which field.
        problem: String,
    },
    /// Token ranges that are empty, overlap, are out of order, out of the text
    /// or inside a character.
    #[error(
        "token {index} ({start}..{end}) is empty, out of order or not inside the text of {len} bytes"
    )]
    Tokens {
        /// The token, from 0.
        index: usize,
        /// Its first byte.
        start: usize,
        /// The byte after it.
        end: usize,
        /// Bytes of the sentence's text.
        len: usize,
    },
    /// Column names that cannot be used: none is the token, or one stands twice.
    #[error("columns {columns:?}: {problem}")]
    ColumnNames {
        /// The names asked for.
        columns: String,
        /// What is wrong with them.
        problem: &'static str,
    },
    /// A name that is none of the known ones.
    #[error("unknown {what} {name:?}; known are {known}")]
    Name {
        /// What is named, such as "format".
        what: &'static str,
        /// The name given.
        name: String,
        /// The known names.
        known: String,
    },
    /// A file or folder of raw text without any, or that cannot be read again.
    #[error("{}: {problem}", path.display())]
    NoText {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Raw text that is too short to hold out a part of it.
    #[error(
        "{}: the text has {n_chars} characters in {n_documents} lines, too few to take development text out of it; name a development file (data.dev)",
        path.display()
    )]
    TooShort {
        /// The file or folder.
        path: PathBuf,
        /// Characters of the text.
        n_chars: usize,
        /// Lines that are not empty.
        n_documents: usize,
    },
    /// A file that is not as it was when it was first read.
    #[error("{}: the file has changed since it was first read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A dictionary that holds an item twice.
    #[error("the dictionary holds {item:?} twice")]
    Duplicate {
        /// The item.
        item: String,
    },
}

impl Error {
    /// Whether the system failed (a missing file, a full disk), not the data.
    pub fn is_io(&self) -> bool {
        matches!(self, Error::Read { .. } | Error::Write { .. })
    }

    /// Whether the options were at fault, not the data.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Error::ColumnNames { .. }
                | Error::Name { .. }
                | Error::TooShort { .. }
                | Error::SecondDocument
        )
    }

    /// The error of a failed read: damaged compressed data, or the system's.
    pub(crate) fn read(path: &Path, source: io::Error) -> Error {
        let path = path.to_path_buf();
        match BadData::is_in(&source) {
            true => Error::Compressed { path, source },
            false => Error::Read { path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_and_system_are_told_apart() {
        let missing = Error::read(Path::new("x"), io::ErrorKind::NotFound.into());
        assert!(missing.is_io());
        let damaged = BadData::wrap(io::ErrorKind::UnexpectedEof.into());
        assert!(!Error::read(Path::new("x.gz"), damaged).is_io());
    }

    #[test]
    fn messages_name_the_place() {
        let path = PathBuf::from("a.conll");
        let error = Error::Columns { path, line: 4, want: 10, found: 9 };
        assert_eq!(error.to_string(), "a.conll:4: expected 10 columns, found 9");
    }
}

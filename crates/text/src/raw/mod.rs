//! Raw text for character language models: one file or a folder of files, of
//! which no more than a split is ever in memory.
//!
//! A document is a line, given out with its line feed, which is the delimiter a
//! model learns to write; empty lines and the carriage return of a CRLF are
//! dropped. A line of more than [`MAX_CHARS`] characters comes in pieces, and
//! only the last of them ends with a line feed. In a folder, the files that end
//! in `.txt`, `.gz`, `.xz` or `.zst` are read in the order of their paths,
//! folders in it included and hidden names left out.

mod counts;
mod documents;
mod files;
mod held_out;
mod lines;
mod reader;
mod scan;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use documents::{Documents, RawDocument, documents};
pub use lines::MAX_CHARS;
pub use reader::SplitReader;

use crate::Result;
use counts::Tally;
use held_out::Plan;

/// How raw text is shared out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// Characters of a split at least: what is held in memory at a time.
    pub split_chars: usize,
    /// Whether a part is taken out as development text.
    pub held_out: Option<HeldOut>,
}

/// Which part of a text is its development text.
///
/// The text is divided into blocks of consecutive documents, and one block in
/// many, twenty or more, is held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldOut {
    /// Chooses the blocks.
    pub seed: u64,
    /// Characters held out at most; one document is held out in any case.
    pub max_chars: usize,
}

/// A run of consecutive documents of the training part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Split {
    /// Characters, delimiters included.
    pub n_chars: usize,
    /// Documents.
    pub n_documents: usize,
    /// Index of the file in which the split begins.
    pub first_file: usize,
    checksum: u64,
}

/// Raw text that was read once from end to end, and can be read again by splits.
#[derive(Clone, Debug)]
pub struct RawText(Arc<Scanned>);

/// What a scan found out.
#[derive(Debug)]
struct Scanned {
    files: Arc<[PathBuf]>,
    /// Of every file, its held-out documents included.
    tallies: Vec<Tally>,
    plan: Option<Plan>,
    counts: BTreeMap<char, usize>,
    splits: Vec<Split>,
    held_out: Vec<String>,
    fingerprint: String,
}

impl RawText {
    /// Reads a file or a folder from end to end.
    ///
    /// # Errors
    /// If a file cannot be read, is damaged or is not UTF-8, if there is no text,
    /// or if there is too little to hold out a part of it.
    pub fn scan(path: &Path, options: &TextOptions) -> Result<RawText> {
        scan::scan(path, options).map(|scanned| RawText(Arc::new(scanned)))
    }

    /// The files in the order they are read.
    pub fn files(&self) -> &[PathBuf] {
        &self.0.files
    }

    /// How often each character stands in the training part, delimiters included.
    pub fn counts(&self) -> &BTreeMap<char, usize> {
        &self.0.counts
    }

    /// Characters of the training part, delimiters included.
    pub fn n_chars(&self) -> usize {
        self.0.splits.iter().map(|split| split.n_chars).sum()
    }

    /// The splits of the training part, in order; there is at least one.
    ///
    /// Each has as many characters as were asked for, or a document more. The last
    /// may have fewer; were it less than a quarter, it is joined to the one before.
    pub fn splits(&self) -> &[Split] {
        &self.0.splits
    }

    /// The documents held out, in order.
    pub fn held_out(&self) -> &[String] {
        &self.0.held_out
    }

    /// SHA-256, in hexadecimal digits, of all documents and of how they are shared
    /// out.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// A reader of the splits, which stands before the first.
    pub fn reader(&self) -> SplitReader {
        SplitReader::new(self.0.clone())
    }
}

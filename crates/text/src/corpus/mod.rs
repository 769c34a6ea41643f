//! Corpus formats: readers that stream sentences, writers that keep what was
//! read.
//!
//! A reader is an iterator of sentences. It holds one sentence at a time and,
//! for raw text, a bounded window; a file of columns is written back byte for
//! byte but for the columns added. Lines of such a file that belong to no
//! sentence come with one without tokens: those of a file without a row, and a
//! long run of comments or blank lines, in pieces.
//!
//! A byte order mark is accepted. In raw text, lines and tokens it counts in the
//! offsets, which point into the file as it is: what follows it starts at byte 3.

mod align;
mod block;
mod broken;
mod columns;
mod compressed;
mod conll;
mod conllu;
mod format;
mod input;
mod json_fields;
mod jsonl;
mod lines;
mod text;
mod write;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub(crate) use compressed::BadData;
pub use format::Format;
pub(crate) use input::Input;
pub use write::{Offsets, OutputFormat, WriteOptions, Writer, writer};

use crate::{Error, Result, Sentence};

/// How to read a corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; guessed by default.
    pub format: Format,
    /// Names of the columns of a CoNLL file, one of them "token"; guessed if
    /// absent.
    pub columns: Option<Vec<String>>,
    /// Whether bytes that are not UTF-8 are replaced by U+FFFD and counted, not
    /// refused.
    pub lossy: bool,
}

/// What a reader let pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warnings {
    /// Places where bytes that are not UTF-8 were replaced.
    pub lossy: usize,
    /// Sentences of raw text ended because of their length.
    pub forced_breaks: usize,
}

/// A reader of one format.
trait Reader: Send {
    /// The next sentence, or nothing at the end.
    fn next(&mut self) -> Result<Option<Sentence>>;

    /// What was let pass until now.
    fn warnings(&self) -> &Warnings;

    /// Passes over rows that cannot be from now on, where a format has rows.
    fn skip_broken(&mut self) {}

    /// What was passed over since this was asked last.
    fn broken(&mut self) -> Vec<Error> {
        Vec::new()
    }
}

/// The sentences of a corpus, in order; it ends behind the first error.
pub struct Sentences {
    reader: Box<dyn Reader>,
    format: Format,
    ended: bool,
}

impl Sentences {
    /// The format that is read, never [`Format::Auto`].
    pub fn format(&self) -> Format {
        self.format
    }

    /// What was let pass until now.
    pub fn warnings(&self) -> &Warnings {
        self.reader.warnings()
    }

    /// Passes over rows of columns, and JSON objects, that cannot be, rather than end with
    /// the first of them (but with the 10,000th).
    #[must_use]
    pub fn skipping_broken(mut self) -> Self {
        self.reader.skip_broken();
        self
    }

    /// What is wrong with those that were passed over, with file and line, since this was
    /// asked last.
    pub fn broken(&mut self) -> Vec<Error> {
        self.reader.broken()
    }
}

impl fmt::Debug for Sentences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentences").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Iterator for Sentences {
    type Item = Result<Sentence>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.reader.next().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Reads `input`; `path` is its name in messages, and its ending may tell the
/// format. `document` is the index of the file or of its first line.
///
/// # Errors
/// If the input cannot be read, is UTF-16 or damaged, or if the columns' names
/// cannot be used. All other errors come with the sentence they are in.
pub fn read(
    input: Box<dyn Read + Send>,
    path: &Path,
    document: usize,
    options: &ReadOptions,
) -> Result<Sentences> {
    let mut input = Input::new(input, path, options.lossy)?;
    let format = match options.format {
        Format::Auto => match Format::of_path(path) {
            Some(format) => format,
            None => Format::of_content(&mut input)?,
        },
        format => format,
    };
    let reader: Box<dyn Reader> = match format {
        Format::Auto | Format::Text => Box::new(text::TextReader::new(input, document)),
        Format::Lines => Box::new(lines::LineReader::raw(input, document)),
        Format::Tokens => Box::new(lines::LineReader::tokens(input, document)),
        Format::Conll => {
            Box::new(conll::ConllReader::new(input, document, options.columns.as_deref())?)
        }
        Format::Conllu => Box::new(conllu::ConlluReader::new(input, document)),
        Format::Jsonl => Box::new(jsonl::JsonlReader::new(input, document)),
    };
    Ok(Sentences { reader, format, ended: false })
}

/// Opens and reads a file; see [`read`].
///
/// # Errors
/// As [`read`], and if the file cannot be opened.
pub fn open(path: &Path, document: usize, options: &ReadOptions) -> Result<Sentences> {
    let file = File::open(path).map_err(|source| Error::read(path, source))?;
    read(Box::new(file), path, document, options)
}

/// The lines of a text file, plain or compressed, without their line ends.
///
/// # Errors
/// If the file cannot be opened or read, or is not UTF-8.
pub fn text_lines(path: &Path) -> Result<impl Iterator<Item = Result<String>> + use<>> {
    let file = File::open(path).map_err(|source| Error::read(path, source))?;
    text_lines_of(Box::new(file), path)
}

/// As [`text_lines`], of an input that errors call by a name.
///
/// # Errors
/// If it cannot be read, or is not UTF-8.
pub fn text_lines_of(
    input: Box<dyn Read + Send>,
    name: &Path,
) -> Result<impl Iterator<Item = Result<String>> + use<>> {
    let mut input = Input::new(input, name, false)?;
    Ok(std::iter::from_fn(move || {
        let mut line = String::new();
        match input.read_line(&mut line) {
            Ok(true) => {
                line.truncate(line.trim_end_matches(['\n', '\r']).len());
                Some(Ok(line))
            }
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }))
}

/// Whether a file is compressed in a way that is read here.
///
/// # Errors
/// If it cannot be opened or read.
pub fn is_compressed(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(|source| Error::read(path, source))?;
    file.take(8).read_to_end(&mut start).map_err(|source| Error::read(path, source))?;
    Ok(compressed::begins(&start))
}

/// The content of a file, decompressed if it is compressed.
///
/// # Errors
/// If it cannot be opened or read.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|source| Error::read(path, source))?;
    let mut bytes = Vec::new();
    compressed::decompressed(Box::new(file), path)
        .and_then(|mut input| input.read_to_end(&mut bytes))
        .map_err(|source| Error::read(path, source))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;

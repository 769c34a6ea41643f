//! Models of other toolkits, made into folders of this one's format.
//!
//! What is read is a checkpoint of PyTorch, as data: nothing in it is executed.
//! A converted model computes what the original computes; where that differs
//! from what a model made here would, it lists so ([`Quirk`]).

mod cache;
mod error;
mod flair;
mod folder;
mod output;
mod source;
mod stanza;
mod to_flair;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use glossator_pickle::Checkpoint;

pub use error::Error;
use folder::Draft;
use source::Source;
pub use to_flair::to_flair;

pub(crate) use cache::cached;

use crate::{Quirk, Result};

/// How a model is converted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConvertOptions {
    /// Other files that the model needs: language models and word vectors of a tagger
    /// of Stanza. If there are none, those that it names are looked for beside it, in
    /// the folders that Stanza keeps them in.
    pub others: Vec<PathBuf>,
    /// Whether the model is to compute as one made here, although it gives other
    /// labels so than the original.
    pub without_quirks: bool,
}

/// What came of a conversion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conversion {
    /// What the model is, part by part.
    pub found: Vec<String>,
    /// What of the file is not in the converted model, and why.
    pub left_out: Vec<String>,
    /// What it computes otherwise than a model made here.
    pub quirks: Vec<Quirk>,
}

/// Converts a checkpoint of another toolkit into a model's folder, which must
/// not exist and appears when it is complete.
///
/// # Errors
/// If the file cannot be read, is damaged, or holds what has no counterpart
/// here; if the folder exists or cannot be written.
pub fn convert(file: &Path, folder: &Path, options: &ConvertOptions) -> Result<Conversion> {
    if file.is_file() && !is_checkpoint(file) {
        let problem = "it is no checkpoint of PyTorch, which begins as an archive or as a pickle";
        return Err(Error::Unfit { path: file.to_owned(), problem: problem.to_owned() }.into());
    }
    let checkpoint =
        Checkpoint::open(file).map_err(|source| Error::Read { path: file.to_owned(), source })?;
    let source = Source::new(file, &checkpoint);
    let draft = draft(&source, options)?;
    draft.write(&source, folder)?;
    Ok(draft.conversion)
}

/// Whether a file begins as a checkpoint of PyTorch does: an archive, or a
/// pickle.
pub(crate) fn is_checkpoint(file: &Path) -> bool {
    let mut start = [0; 4];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && (start == *b"PK\x03\x04" || start[0] == 0x80 && (2..=5).contains(&start[1]))
}

/// What becomes of a checkpoint, before any weight is read.
fn draft(source: &Source<'_>, options: &ConvertOptions) -> Result<Draft> {
    if let Some(kind) = flair::Kind::of(source.root()) {
        return kind.draft(source, options);
    }
    match stanza::Kind::of(source.root()) {
        Some(kind) => kind.draft(source, options),
        None => Err(source.problem(format!(
            "it is no model that can be converted: {}; known are language models and sequence \
             taggers of Flair, language models and entity taggers of Stanza",
            source.root().summary()
        ))),
    }
}

/// The other files that a conversion of this one would read.
fn others(file: &Path) -> Result<Vec<PathBuf>> {
    let checkpoint =
        Checkpoint::open(file).map_err(|source| Error::Read { path: file.to_owned(), source })?;
    let source = Source::new(file, &checkpoint);
    let kind = stanza::Kind::of(source.root());
    Ok(kind.map_or_else(Vec::new, |kind| kind.others(&source, &ConvertOptions::default())))
}

#[cfg(test)]
mod tests;

//! Files of given word vectors, in every common form: word2vec (text and
//! binary), GloVe, fastText (text and binary), finalfusion.

mod data;
mod fasttext;
mod finalfusion;
mod subwords;
mod text;
mod word2vec;

use std::{path::Path, sync::Arc};

use ::finalfusion::{
    norms::NdNorms,
    storage::{NdArray, Storage},
};
use glossator_text::Dictionary;

use crate::{Error, Result, lookup::Lookup};
use data::Data;
pub(crate) use subwords::{Ngrams, Subwords, SubwordsIndexer, SubwordsShape};

/// Given vectors. Word 0 stands for unknown ones.
#[derive(Clone, Debug)]
pub(crate) struct WordVectors {
    pub(crate) dim: usize,
    pub(crate) dictionary: Dictionary,
    pub(super) rows: Rows,
    /// How words are looked for that are made of nothing else.
    pub(crate) lookup: Lookup,
    /// What words are made of; without, unknown words are zero.
    pub(crate) subwords: Option<Subwords>,
}

/// Where vectors lie.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    /// In memory, row by row, that of the unknown word first.
    Values(Arc<Vec<f32>>),
    /// In a file, word by word, each at its place; the unknown word has none.
    Scattered { data: Arc<Data>, places: Arc<[usize]> },
    /// In a file, row by row from a place on; the unknown word has none.
    Table { data: Arc<Data>, start: usize },
    /// In a matrix of finalfusion, row by row; the first of them, those of words,
    /// may have been divided by norms. The unknown word has none.
    Matrix { matrix: Arc<NdArray>, norms: Option<Arc<NdNorms>> },
}

impl Rows {
    /// Adds row `row`, the first one being 1, to a vector.
    fn add(&self, row: usize, to: &mut [f32]) {
        let dim = to.len();
        let bytes = match self {
            Self::Values(values) => {
                let row = &values[row * dim..(row + 1) * dim];
                to.iter_mut().zip(row).for_each(|(to, value)| *to += value);
                return;
            }
            Self::Scattered { data, places } => data.get(places[row - 1]..),
            Self::Table { data, start } => data.get(start + (row - 1) * dim * 4..),
            Self::Matrix { matrix, norms } => {
                let norm = norms.as_ref().and_then(|norms| norms.get(row - 1));
                let norm = norm.copied().unwrap_or(1.0);
                let row = matrix.embedding(row - 1);
                to.iter_mut().zip(&row).for_each(|(to, value)| *to += norm * value);
                return;
            }
        };
        // What was checked when the file was read can only be gone if it was cut.
        let (values, _) = bytes.unwrap_or_default().as_chunks::<4>();
        to.iter_mut().zip(values).for_each(|(to, value)| *to += f32::from_le_bytes(*value));
    }
}

impl WordVectors {
    pub(super) fn new(
        dictionary: Dictionary,
        rows: Rows,
        dim: usize,
        subwords: Option<Subwords>,
    ) -> Self {
        Self { dim, dictionary, rows, lookup: Lookup::default(), subwords }
    }

    /// Vectors in memory, `[words, dim]`.
    pub(crate) fn of_values(
        dictionary: Dictionary,
        values: Arc<Vec<f32>>,
        dim: usize,
        subwords: Option<Subwords>,
    ) -> Self {
        Self::new(dictionary, Rows::Values(values), dim, subwords)
    }

    /// Puts the vector of a word, as it stands, into `to`.
    pub(crate) fn write(&self, word: &str, to: &mut [f32]) {
        to.fill(0.0);
        let Some(subwords) = &self.subwords else {
            let id = self.lookup.id(&self.dictionary, word);
            match &self.rows {
                Rows::Values(_) => self.rows.add(id as usize, to),
                _ if id > 0 => self.rows.add(id as usize, to),
                _ => {}
            }
            return;
        };
        match self.dictionary.get(word).filter(|id| *id > 0) {
            Some(id) => self.known(id as usize, to),
            None => subwords.write(word, to),
        }
    }

    /// Adds the vector of a word by its number.
    fn known(&self, id: usize, to: &mut [f32]) {
        match (&self.rows, &self.subwords) {
            // In a file of fastText, a word is what it is made of, too.
            (Rows::Table { .. }, Some(subwords)) => {
                self.rows.add(id, to);
                subwords.mean_with(self.dictionary.item(id as u32), to);
            }
            _ => self.rows.add(id, to),
        }
    }

    /// All vectors, `[words, dim]`, that of the unknown word zero.
    #[cfg(any(test, feature = "train"))]
    pub(crate) fn values(&self) -> Vec<f32> {
        if let Rows::Values(values) = &self.rows {
            return values.to_vec();
        }
        let mut all = vec![0.0; self.dictionary.len() * self.dim];
        for (id, row) in all.chunks_exact_mut(self.dim).enumerate().skip(1) {
            self.known(id, row);
        }
        all
    }
}

/// Reads a file of vectors, plain or compressed, at most `max` words of it. A
/// binary one is mapped, not read, if it is not compressed.
pub(crate) fn read(path: &Path, max: Option<usize>) -> Result<WordVectors> {
    let max = max.unwrap_or(usize::MAX);
    let data = Data::open(path)?;
    if fasttext::is_one(&data) {
        return fasttext::read(path, data, max);
    }
    if finalfusion::is_one(&data) {
        return finalfusion::read(path, &data, max);
    }
    if word2vec::is_one(&data) {
        return word2vec::read(path, data, max);
    }
    drop(data);
    text::read(path, max)
}

/// An error about a file of vectors, at a byte of it.
fn damaged(path: &Path, byte: usize, problem: impl Into<String>) -> Error {
    let problem = format!("byte {byte}: {}", problem.into());
    Error::Data { path: path.to_owned(), line: None, problem }
}

/// Adds a word under the next number, whatever it is called: what stands there
/// already, or cannot be text, has a name that no word has.
fn add_word(dictionary: &mut Dictionary, word: &[u8]) {
    let number = dictionary.len();
    match std::str::from_utf8(word) {
        Ok(word) if dictionary.get(word).is_none() => dictionary.add(word),
        _ => dictionary.add(&format!("\u{0}{number}")),
    };
}

#[cfg(all(test, feature = "train"))]
mod tests;

//! Word vectors, trained with the tagger or given.

use std::path::PathBuf;

use glossator_nn::Weights;
use serde::{Deserialize, Serialize};

use super::{
    Columns, Embedding, TokenBatch, Vocabulary, prefix,
    vectors::{Subwords, SubwordsShape, WordVectors},
};
use crate::{Result, limits::is_default, lookup::Lookup};

/// Settings of word vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WordsConfig {
    /// Dimensions of trained vectors; given ones have their own.
    pub dim: usize,
    /// Words seen fewer times in training are one unknown word.
    pub min_count: usize,
    /// Whether trained words keep their case and digits in the dictionary; a
    /// word that is not in it is still looked for in lower case.
    pub cased: bool,
    /// A file of given vectors (of word2vec, GloVe or fastText, text or binary, or
    /// of finalfusion), which stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vectors: Option<PathBuf>,
    /// Take only so many rows of the file, its first ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_vectors: Option<usize>,
    /// Train the given vectors on, too.
    pub tune: bool,
    /// In a model: how its words are looked for.
    #[serde(skip_serializing_if = "is_default")]
    pub lookup: Lookup,
    /// In a model: how words that have no vector are made of their n-grams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subwords: Option<SubwordsShape>,
}

impl Default for WordsConfig {
    fn default() -> Self {
        let (vectors, max_vectors) = (None, None);
        let (tune, subwords) = (false, None);
        let lookup = Lookup::default();
        Self { dim: 100, min_count: 2, cased: false, vectors, max_vectors, tune, lookup, subwords }
    }
}

impl WordsConfig {
    /// Whether the vectors are given and stay as they are.
    #[cfg(feature = "train")]
    pub(super) fn is_frozen(&self) -> bool {
        self.vectors.is_some() && !self.tune
    }
}

/// Word vectors for inference.
#[derive(Clone)]
pub(super) struct Words(WordVectors);

impl Words {
    pub(super) fn new(
        config: &WordsConfig,
        index: usize,
        vocabulary: Vocabulary,
        weights: &mut Weights,
    ) -> glossator_nn::Result<Self> {
        let Vocabulary { dictionary, ngrams } = vocabulary;
        let dim = config.dim;
        let values = weights.take(&tensor(index), &[dictionary.len(), dim])?;
        let subwords = config.subwords.map(|shape| {
            let rows = shape.buckets.saturating_add(1);
            let values = weights.take(&subword_tensor(index), &[rows, dim])?;
            Ok::<_, glossator_nn::Error>(Subwords::of_values(shape, ngrams, values.into()))
        });
        let subwords = subwords.transpose()?;
        let vectors = WordVectors::of_values(dictionary, values.into(), dim, subwords);
        Ok(Self(WordVectors { lookup: config.lookup, ..vectors }))
    }

    /// The vectors of a file.
    pub(super) fn given(read: WordVectors) -> Self {
        Self(read)
    }

    /// Vectors of all tokens, `[tokens, dim]`.
    #[cfg(feature = "train")]
    pub(super) fn vectors(&self, batch: &TokenBatch<'_>) -> Vec<f32> {
        let mut vectors = vec![0.0; batch.tokens.len() * self.0.dim];
        for (row, token) in vectors.chunks_exact_mut(self.0.dim).zip(&batch.tokens) {
            self.0.write(token, row);
        }
        vectors
    }
}

/// Name of the vectors of embedding number `index`.
pub(super) fn tensor(index: usize) -> String {
    format!("{}.words.weight", prefix(index))
}

/// Name of the vectors that its words are made of.
pub(super) fn subword_tensor(index: usize) -> String {
    format!("{}.subwords.weight", prefix(index))
}

impl Embedding for Words {
    fn dim(&self) -> usize {
        self.0.dim
    }

    fn write(&self, batch: &TokenBatch<'_>, mut out: Columns<'_>) -> Result<()> {
        for (row, token) in batch.tokens.iter().enumerate() {
            self.0.write(token, out.row(row));
        }
        Ok(())
    }
}

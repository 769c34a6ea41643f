//! Word vectors, trained with the tagger or given.

use std::path::PathBuf;

use glossator_nn::Weights;
use glossator_text::Dictionary;
use serde::{Deserialize, Serialize};

use super::{Columns, Embedding, TokenBatch, prefix, vectors::WordVectors};
use crate::{Result, lookup::word_id};

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
    /// A file of given vectors (word2vec or GloVe text), which stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vectors: Option<PathBuf>,
    /// Take only so many rows of the file, its first ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_vectors: Option<usize>,
    /// Train the given vectors on, too.
    pub tune: bool,
}

impl Default for WordsConfig {
    fn default() -> Self {
        let (vectors, max_vectors) = (None, None);
        Self { dim: 100, min_count: 2, cased: false, vectors, max_vectors, tune: false }
    }
}

/// Word vectors for inference.
pub(super) struct Words {
    dim: usize,
    dictionary: Dictionary,
    vectors: Vec<f32>,
}

impl Words {
    pub(super) fn new(
        config: &WordsConfig,
        index: usize,
        dictionary: Dictionary,
        weights: &mut Weights,
    ) -> glossator_nn::Result<Self> {
        let name = format!("{}.words.weight", prefix(index));
        let vectors = weights.take(&name, &[dictionary.len(), config.dim])?;
        Ok(Self { dim: config.dim, dictionary, vectors })
    }

    /// The vectors of a file.
    pub(super) fn given(read: WordVectors) -> Self {
        Self { dim: read.dim, dictionary: read.dictionary, vectors: read.values }
    }
}

impl Embedding for Words {
    fn dim(&self) -> usize {
        self.dim
    }

    fn write(&self, batch: &TokenBatch<'_>, mut out: Columns<'_>) -> Result<()> {
        for (row, token) in batch.tokens.iter().enumerate() {
            let from = word_id(&self.dictionary, token) as usize * self.dim;
            out.row(row).copy_from_slice(&self.vectors[from..from + self.dim]);
        }
        Ok(())
    }
}

//! Pooled contextual string embeddings (Akbik et al., 2019): beside the vector
//! of a word here and now, one of all its places in the training data.
//!
//! The paper's memory grows while it is read, so a vector depends on what came
//! before. Here it is made once, of the training data, and is part of the model:
//! the same sentence always gets the same vectors. A word without a memory gets
//! its own vector twice, as the paper's does at its first place.

use glossator_nn::Weights;
use glossator_text::Dictionary;
use serde::{Deserialize, Serialize};

use super::{
    Columns, ContextualConfig, Embedding, Spacing, TokenBatch, contextual::Contextual, prefix,
};
use crate::Result;

/// How the vectors of a word become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The least value of each dimension.
    #[default]
    Min,
    /// The greatest value of each dimension.
    Max,
    /// The mean.
    Mean,
}

/// Settings of pooled contextual string embeddings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PooledConfig {
    /// As in [`ContextualConfig`].
    pub model: String,
    /// As in [`ContextualConfig`].
    #[serde(default)]
    pub spacing: Spacing,
    /// As in [`ContextualConfig`].
    #[serde(default)]
    pub lower: bool,
    /// As in [`ContextualConfig`].
    #[serde(default)]
    pub inside: bool,
    /// How the vectors of a word become one.
    #[serde(default)]
    pub pooling: Pooling,
    /// Only words that begin with a capital have a memory.
    #[serde(default)]
    pub only_capitalized: bool,
    /// Rarer words have none.
    #[serde(default = "two")]
    pub min_count: usize,
}

fn two() -> usize {
    2
}

impl PooledConfig {
    /// The embedding that is pooled.
    pub(crate) fn contextual(&self) -> ContextualConfig {
        let Self { spacing, lower, inside, .. } = *self;
        ContextualConfig { model: self.model.clone(), spacing, lower, inside }
    }

    /// Whether a word may have a memory.
    #[cfg(feature = "train")]
    pub(crate) fn takes(&self, word: &str) -> bool {
        !self.only_capitalized || word.chars().next().is_some_and(char::is_uppercase)
    }
}

/// A contextual embedding and the memory of words.
pub(crate) struct Pooled {
    contextual: Contextual,
    words: Dictionary,
    /// `[words, dim]`; the row of the unknown word is not used.
    memory: Vec<f32>,
}

impl Pooled {
    pub(crate) fn new(contextual: Contextual, words: Dictionary, memory: Vec<f32>) -> Self {
        Self { contextual, words, memory }
    }

    /// Takes the memory from a model's weights.
    pub(crate) fn take(
        contextual: Contextual,
        index: usize,
        words: Dictionary,
        weights: &mut Weights,
    ) -> glossator_nn::Result<Self> {
        let memory = weights.take(&tensor(index), &[words.len(), contextual.dim()])?;
        Ok(Self::new(contextual, words, memory))
    }

    /// Vectors and memories of all tokens, `[tokens, 2 * dim]`.
    pub(crate) fn vectors(&self, batch: &TokenBatch<'_>) -> Result<Vec<f32>> {
        let dim = self.contextual.dim();
        let own = self.contextual.vectors(batch)?;
        let mut vectors = Vec::with_capacity(2 * own.len());
        for (vector, token) in own.chunks_exact(dim).zip(&batch.tokens) {
            vectors.extend_from_slice(vector);
            vectors.extend_from_slice(match self.words.id(token) as usize {
                0 => vector,
                word => &self.memory[word * dim..(word + 1) * dim],
            });
        }
        Ok(vectors)
    }
}

/// Name of the memory of embedding number `index`.
pub(crate) fn tensor(index: usize) -> String {
    format!("{}.memory.weight", prefix(index))
}

impl Embedding for Pooled {
    fn dim(&self) -> usize {
        2 * self.contextual.dim()
    }

    fn write(&self, batch: &TokenBatch<'_>, mut out: Columns<'_>) -> Result<()> {
        let vectors = self.vectors(batch)?;
        for (token, vector) in vectors.chunks_exact(self.dim()).enumerate() {
            out.row(token).copy_from_slice(vector);
        }
        Ok(())
    }

    fn knows(&self, c: char) -> bool {
        self.contextual.knows(c)
    }
}

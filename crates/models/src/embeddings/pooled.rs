//! Pooled contextual string embeddings (Akbik et al., 2019): beside the vector
//! of a word here and now, one of all its places in the training data.
//!
//! The paper's memory grows while it is read, so a vector depends on what came
//! before. Here it is made once, of the training data, and is part of the model:
//! the same sentence always gets the same vectors. A word without a memory gets
//! its own vector twice, as the paper's does at its first place.

use std::collections::HashMap;

use glossator_nn::Weights;
use glossator_text::Dictionary;
use serde::{Deserialize, Serialize};

use super::{
    Columns, ContextualConfig, Embedding, Spacing, TokenBatch, contextual::Contextual, prefix,
};
use crate::{
    Result,
    quirk::{Quirk, Quirks},
};

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
    /// The mean of the last vector and of what those before it became.
    Fade,
}

impl Pooling {
    /// Adds a vector to what those before it became, if there were any; the
    /// [`Mean`](Self::Mean) is that of a sum, once all are added.
    pub(super) fn add(self, pooled: &mut [f32], vector: &[f32], is_first: bool) {
        for (old, new) in pooled.iter_mut().zip(vector) {
            *old = match self {
                _ if is_first => *new,
                Self::Min => old.min(*new),
                Self::Max => old.max(*new),
                Self::Mean => *old + *new,
                Self::Fade => f32::midpoint(*old, *new),
            };
        }
    }
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
    /// How sentences remember their own words ([`Quirk::SentenceMemory`]).
    of_sentence: Option<PooledConfig>,
}

impl Pooled {
    pub(crate) fn new(contextual: Contextual, words: Dictionary, memory: Vec<f32>) -> Self {
        Self { contextual, words, memory, of_sentence: None }
    }

    /// The same with the quirks of a model.
    pub(super) fn with_quirks(self, quirks: &Quirks, config: &PooledConfig) -> Self {
        let of_sentence = quirks.contains(&Quirk::SentenceMemory).then(|| config.clone());
        Self { of_sentence, ..self }
    }

    /// Vectors and those of all places in the sentence, `[tokens, 2 * dim]`.
    fn of_sentences(&self, config: &PooledConfig, batch: &TokenBatch<'_>, own: &[f32]) -> Vec<f32> {
        let dim = self.contextual.dim();
        let mut vectors = Vec::with_capacity(2 * own.len());
        let (mut tokens, mut own) = (&batch.tokens[..], own);
        for &length in &batch.lengths {
            let (words, rest) = tokens.split_at(length);
            let (rows, others) = own.split_at(length * dim);
            (tokens, own) = (rest, others);
            let mut memory: HashMap<&str, (Vec<f32>, usize)> = HashMap::new();
            for (word, row) in words.iter().zip(rows.chunks_exact(dim)) {
                if config.takes(word) {
                    let (pooled, count) = memory.entry(word).or_insert_with(|| (vec![0.0; dim], 0));
                    config.pooling.add(pooled, row, *count == 0);
                    *count += 1;
                }
            }
            for (word, row) in words.iter().zip(rows.chunks_exact(dim)) {
                vectors.extend_from_slice(row);
                match (memory.get(word), config.pooling) {
                    (None, _) => vectors.extend_from_slice(row),
                    (Some((sum, count)), Pooling::Mean) => {
                        vectors.extend(sum.iter().map(|value| value / *count as f32));
                    }
                    (Some((pooled, _)), _) => vectors.extend_from_slice(pooled),
                }
            }
        }
        vectors
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
        if let Some(config) = &self.of_sentence {
            return Ok(self.of_sentences(config, batch, &own));
        }
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

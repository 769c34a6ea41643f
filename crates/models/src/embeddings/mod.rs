//! Vectors for the tokens of a batch.
//!
//! An embedding has an inference face ([`Embedding`]: writes its columns of the
//! unpadded matrix `[tokens, dim]`) and, with the feature `train`, a trained
//! one that gives the same values as a graph.

#[cfg(feature = "train")]
pub(crate) mod cache;
mod characters;
mod contextual;
mod embedder;
mod pooled;
#[cfg(feature = "train")]
mod prepare;
pub(crate) mod vectors;
mod words;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use glossator_hub::Bundle;
use glossator_nn::{Precision, Weights};
use glossator_text::{Dictionary, Sentence};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
pub use characters::CharactersConfig;
pub use contextual::{ContextualConfig, Spacing};
pub use embedder::Embedder;
pub(crate) use embedder::write_all;
pub use pooled::{PooledConfig, Pooling};
#[cfg(feature = "train")]
pub(crate) use prepare::{Prepared, TrainedEmbedding};
pub use words::WordsConfig;

/// One part of the vectors that a tagger sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum EmbeddingConfig {
    /// Character features: a BiLSTM over the word's characters, the last state
    /// of each direction (Lample et al., 2016).
    Characters(CharactersConfig),
    /// Word vectors: trained with the tagger, or given.
    Words(WordsConfig),
    /// Contextual string embeddings of a language model (Akbik et al., 2018).
    Contextual(ContextualConfig),
    /// Pooled contextual string embeddings (Akbik et al., 2019).
    Pooled(PooledConfig),
}

/// The tokens of some sentences, one after the other.
#[derive(Debug, Default)]
pub struct TokenBatch<'a> {
    /// The sentences.
    pub sentences: Vec<&'a Sentence>,
    /// All tokens.
    pub tokens: Vec<&'a str>,
    /// Tokens of each sentence.
    pub lengths: Vec<usize>,
    /// What several taggers compute alike, if there are several.
    shared: Option<Mutex<SharedVectors>>,
}

/// Vectors of a batch by language model and settings.
type SharedVectors = HashMap<(String, ContextualConfig), Arc<[f32]>>;

impl<'a> TokenBatch<'a> {
    /// The tokens of these sentences.
    pub fn new(sentences: impl IntoIterator<Item = &'a Sentence>) -> Self {
        let mut batch = Self::default();
        for sentence in sentences {
            batch.tokens.extend(sentence.tokens());
            batch.lengths.push(sentence.len());
            batch.sentences.push(sentence);
        }
        batch
    }

    /// The same for several taggers: what their embeddings compute alike is
    /// computed once.
    pub(crate) fn for_several(self) -> Self {
        Self { shared: Some(Mutex::default()), ..self }
    }

    /// Vectors that may have been computed for another tagger.
    pub(crate) fn shared(
        &self,
        name: (String, ContextualConfig),
        compute: impl FnOnce() -> Result<Vec<f32>>,
    ) -> Result<Arc<[f32]>> {
        let Some(shared) = &self.shared else { return Ok(compute()?.into()) };
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vectors) = shared.get(&name) {
            return Ok(vectors.clone());
        }
        let vectors: Arc<[f32]> = compute()?.into();
        shared.insert(name, vectors.clone());
        Ok(vectors)
    }

    /// The distinct words in order of their first use, and for each token the
    /// number of its word.
    pub(crate) fn distinct(&self) -> (Vec<&'a str>, Vec<u32>) {
        let mut numbers = std::collections::HashMap::new();
        let mut words = Vec::new();
        let number = |&token: &&'a str| {
            *numbers.entry(token).or_insert_with(|| {
                words.push(token);
                words.len() as u32 - 1
            })
        };
        let ids = self.tokens.iter().map(number).collect();
        (words, ids)
    }
}

/// Some columns of a row-major matrix, row by row.
#[derive(Debug)]
pub struct Columns<'a>(Vec<&'a mut [f32]>);

impl<'a> Columns<'a> {
    /// Parts of a matrix that stand side by side, each of so many columns.
    ///
    /// # Panics
    /// If there are no columns.
    pub fn side_by_side(matrix: &'a mut [f32], dims: &[usize]) -> Vec<Self> {
        let width: usize = dims.iter().sum();
        let rows = matrix.len() / width;
        let mut parts: Vec<Self> = dims.iter().map(|_| Self(Vec::with_capacity(rows))).collect();
        for mut row in matrix.chunks_exact_mut(width) {
            for (part, dim) in parts.iter_mut().zip(dims) {
                let (own, rest) = row.split_at_mut(*dim);
                part.0.push(own);
                row = rest;
            }
        }
        parts
    }

    /// The part of a row that lies in these columns.
    pub fn row(&mut self, row: usize) -> &mut [f32] {
        self.0[row]
    }
}

/// A source of vectors for tokens; immutable, shared by threads.
pub trait Embedding: Send + Sync {
    /// Columns it writes.
    fn dim(&self) -> usize;

    /// Writes its columns of the unpadded matrix `[tokens of the batch, …]`.
    ///
    /// # Errors
    /// If a layer refuses its arguments.
    fn write(&self, batch: &TokenBatch<'_>, out: Columns<'_>) -> Result<()>;

    /// Whether a character means something to it; true where characters do not
    /// matter.
    fn knows(&self, c: char) -> bool {
        let _ = c;
        true
    }
}

/// Name of the file with the dictionary of embedding number `index`.
pub(crate) fn dictionary_file(index: usize) -> String {
    format!("dictionary-{index}.json")
}

/// The dictionary of embedding number `index`; its first item stands for
/// everything unknown.
pub(crate) fn read_dictionary(index: usize, bundle: &Bundle) -> Result<Dictionary> {
    let file = dictionary_file(index);
    let dictionary: Dictionary = bundle.json(&file)?;
    if dictionary.iter().next() == Some("<unk>") {
        return Ok(dictionary);
    }
    Err(bundle.damaged(&file, "its first item is not <unk>").into())
}

/// Prefix of the tensors of embedding number `index`.
pub(crate) fn prefix(index: usize) -> String {
    format!("embeddings.{index}")
}

impl EmbeddingConfig {
    /// Loads embedding number `index` of a model, which itself computes in the
    /// format `own`.
    pub(crate) fn load(
        &self,
        index: usize,
        bundle: &Bundle,
        weights: &mut Weights,
        precision: Option<Precision>,
        own: Precision,
    ) -> Result<Box<dyn Embedding>> {
        let named = |source| Error::Model { model: bundle.name().to_owned(), source };
        let dictionary = || read_dictionary(index, bundle);
        Ok(match self {
            Self::Characters(config) => {
                let made = characters::Characters::new(config, index, &dictionary()?, weights, own);
                Box::new(made.map_err(named)?)
            }
            Self::Words(config) => {
                let made = words::Words::new(config, index, &dictionary()?, weights);
                Box::new(made.map_err(named)?)
            }
            Self::Contextual(config) => {
                Box::new(contextual::Contextual::load(config, bundle, precision)?)
            }
            Self::Pooled(config) => {
                let own = contextual::Contextual::load(&config.contextual(), bundle, precision)?;
                let made = pooled::Pooled::take(own, index, &dictionary()?, weights);
                Box::new(made.map_err(named)?)
            }
        })
    }
}

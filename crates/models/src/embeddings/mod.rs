//! Vectors for the tokens of a batch.
//!
//! An embedding has an inference face ([`Embedding`]: writes its columns of the
//! unpadded matrix `[tokens, dim]`) and, with the feature `train`, a trained
//! one that gives the same values as a graph.

#[cfg(feature = "train")]
pub(crate) mod cache;
mod characters;
pub(crate) mod contextual;
mod embedder;
mod pooled;
#[cfg(feature = "train")]
mod prepare;
mod states;
pub(crate) mod vectors;
mod words;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use glossator_hub::Bundle;
use glossator_nn::{Precision, Weights};
use glossator_text::{Dictionary, Sentence};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Compute, LanguageModel, Result,
    quirk::{Quirk, Quirks},
};
pub use characters::CharactersConfig;
pub use contextual::{ContextualConfig, Spacing};
pub use embedder::Embedder;
pub(crate) use embedder::write_all;
pub use pooled::{PooledConfig, Pooling};
#[cfg(feature = "train")]
pub(crate) use prepare::{Prepared, TrainedEmbedding};
use vectors::{Ngrams, SubwordsIndexer, SubwordsShape};
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

/// Vectors of a batch by what computes them.
type SharedVectors = HashMap<contextual::Name, Arc<[f32]>>;

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
        name: contextual::Name,
        compute: impl FnOnce() -> Result<Vec<f32>>,
    ) -> Result<Arc<[f32]>> {
        let Some(shared) = &self.shared else { return Ok(compute()?.into()) };
        let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vectors) = lock().get(&name) {
            return Ok(vectors.clone());
        }
        // Not under the lock: others are computed at the same time, perhaps by
        // this very thread while it waits for a part of these.
        let vectors: Arc<[f32]> = compute()?.into();
        lock().insert(name, vectors.clone());
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

/// The strings that an embedding of a model knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vocabulary {
    pub(crate) dictionary: Dictionary,
    /// Listed n-grams of words; none where a hash numbers them.
    pub(crate) ngrams: Arc<Ngrams>,
}

/// Name of the file with the listed n-grams of embedding number `index`.
pub(crate) fn ngrams_file(index: usize) -> String {
    format!("dictionary-{index}-ngrams.json")
}

/// The listed n-grams of embedding number `index`, if words are made of such.
pub(crate) fn read_ngrams(
    index: usize,
    config: &WordsConfig,
    bundle: &Bundle,
) -> Result<Arc<Ngrams>> {
    let is_listed = |shape: &SubwordsShape| shape.indexer == SubwordsIndexer::Explicit;
    let Some(shape) = config.subwords.filter(is_listed) else { return Ok(Arc::default()) };
    let file = ngrams_file(index);
    let ngrams: Ngrams = bundle.json(&file)?;
    if ngrams.values().all(|number| (*number as usize) < shape.buckets) {
        return Ok(ngrams.into());
    }
    Err(bundle.damaged(&file, "an n-gram has a number that no vector has").into())
}

/// Prefix of the tensors of embedding number `index`.
pub(crate) fn prefix(index: usize) -> String {
    format!("embeddings.{index}")
}

/// The language models of a tagger by the hashes they lie under.
pub(crate) type LanguageModels = BTreeMap<String, Arc<LanguageModel>>;

/// Loads the language models in a tagger's folder, each once, at the same time.
pub(crate) fn language_models(
    configs: &[EmbeddingConfig],
    bundle: &Bundle,
    compute: &Compute,
) -> Result<LanguageModels> {
    let mut hashes = Vec::new();
    for ContextualConfig { model, .. } in configs.iter().filter_map(EmbeddingConfig::contextual) {
        if !hashes.contains(&model) {
            hashes.push(model);
        }
    }
    let load =
        |hash: &String| LanguageModel::from_bundle(&bundle.language_model(hash)?, compute.clone());
    // All results come first, so that of several errors always the same is told.
    let models: Vec<Result<_>> = hashes.par_iter().with_max_len(1).map(load).collect();
    hashes.into_iter().zip(models).map(|(hash, model)| Ok((hash, model?))).collect()
}

impl EmbeddingConfig {
    /// The settings of the language model, if it has one.
    pub(crate) fn contextual(&self) -> Option<ContextualConfig> {
        match self {
            Self::Contextual(config) => Some(config.clone()),
            Self::Pooled(config) => Some(config.contextual()),
            Self::Characters(_) | Self::Words(_) => None,
        }
    }

    /// What embedding number `index` of a model knows; nothing if it needs nothing.
    pub(crate) fn vocabulary(&self, index: usize, bundle: &Bundle) -> Result<Vocabulary> {
        let ngrams = match self {
            Self::Contextual(_) => return Ok(Vocabulary::default()),
            Self::Words(config) => read_ngrams(index, config, bundle)?,
            Self::Characters(_) | Self::Pooled(_) => Arc::default(),
        };
        Ok(Vocabulary { dictionary: read_dictionary(index, bundle)?, ngrams })
    }

    /// Makes embedding number `index` of what was loaded, to compute in the
    /// format `precision`, with the quirks of the model.
    ///
    /// # Panics
    /// If its language model was not.
    pub(crate) fn build(
        &self,
        index: usize,
        vocabulary: Vocabulary,
        models: &LanguageModels,
        weights: &mut Weights,
        precision: Precision,
        quirks: &Quirks,
    ) -> glossator_nn::Result<Box<dyn Embedding>> {
        let contextual = |config: &ContextualConfig| {
            let model = models.get(&config.model).expect("all language models are loaded");
            let is_counted = quirks.contains(&Quirk::CountedPlaces);
            contextual::Contextual::new(config, model.clone()).counted(is_counted)
        };
        let dictionary = &vocabulary.dictionary;
        Ok(match self {
            Self::Characters(config) => {
                let made =
                    characters::Characters::new(config, index, dictionary, weights, precision);
                Box::new(made?.with_quirks(quirks))
            }
            Self::Words(config) => Box::new(words::Words::new(config, index, vocabulary, weights)?),
            Self::Contextual(config) => Box::new(contextual(config)),
            Self::Pooled(config) => {
                let own = contextual(&config.contextual());
                let pooled = pooled::Pooled::take(own, index, vocabulary.dictionary, weights)?;
                Box::new(pooled.with_quirks(quirks, config))
            }
        })
    }
}

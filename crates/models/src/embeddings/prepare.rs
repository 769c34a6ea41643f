//! Embeddings as they are made and trained.

use std::{collections::BTreeMap, sync::Arc};

use candle_core::{Device, Tensor};
use glossator_nn::{Embedding as Table, ParamSet, Rng, Rnn, Weights, embed, init};
use glossator_text::Dictionary;

use super::{CharactersConfig, EmbeddingConfig, TokenBatch, WordsConfig, prefix, vectors};
use crate::{
    Result,
    lookup::{CharacterIds, normalized, word_id},
};

/// An embedding before its parameters exist: settings and dictionary.
pub(crate) struct Prepared {
    pub(crate) config: EmbeddingConfig,
    pub(crate) dictionary: Dictionary,
    /// Given values, `[dictionary, dim]`.
    given: Option<Arc<[f32]>>,
}

/// The trained face of an embedding.
pub(crate) trait TrainedEmbedding: Send {
    /// Vectors `[tokens, dim]` in the graph; `rng` draws the noise.
    fn forward(&self, batch: &TokenBatch<'_>, rng: &mut Rng) -> Result<Tensor>;
}

impl EmbeddingConfig {
    /// Columns, once prepared.
    pub(crate) fn dim(&self) -> usize {
        match self {
            Self::Characters(config) => config.dim(),
            Self::Words(config) => config.dim,
        }
    }

    /// Makes the dictionary from the training tokens, or reads the given vectors.
    pub(crate) fn prepare<'a>(&self, tokens: impl Iterator<Item = &'a str>) -> Result<Prepared> {
        let mut counts = BTreeMap::new();
        let mut count = |item: String| *counts.entry(item).or_insert(0) += 1;
        match self {
            Self::Characters(config) => {
                tokens.flat_map(str::chars).for_each(|c| count(c.to_string()));
                let dictionary = Dictionary::from_counts(&counts, config.min_count, None);
                Ok(Prepared { config: self.clone(), dictionary, given: None })
            }
            Self::Words(WordsConfig { vectors: Some(path), max_vectors, .. }) => {
                let read = vectors::read(path, *max_vectors)?;
                let mut config = self.clone();
                if let Self::Words(words) = &mut config {
                    words.dim = read.dim;
                }
                Ok(Prepared {
                    config,
                    dictionary: read.dictionary,
                    given: Some(read.values.into()),
                })
            }
            Self::Words(config) => {
                let key = |token: &str| {
                    if config.cased { token.to_owned() } else { normalized(token) }
                };
                tokens.for_each(|token| count(key(token)));
                let dictionary = Dictionary::from_counts(&counts, config.min_count, None);
                Ok(Prepared { config: self.clone(), dictionary, given: None })
            }
        }
    }
}

impl Prepared {
    /// An embedding whose dictionary is known, from a model that is trained on.
    pub(crate) fn again(
        config: EmbeddingConfig,
        dictionary: Dictionary,
        given: Option<Vec<f32>>,
    ) -> Self {
        Self { config, dictionary, given: given.map(Into::into) }
    }

    /// The given values; none if all are made by training.
    pub(crate) fn given(&self) -> &[f32] {
        self.given.as_deref().unwrap_or_default()
    }

    /// Whether the vectors are given and stay as they are.
    pub(crate) fn is_frozen(&self) -> bool {
        matches!(&self.config, EmbeddingConfig::Words(words) if words.vectors.is_some() && !words.tune)
    }

    /// Adds the tensors that are part of the model but not trained.
    pub(crate) fn add_frozen(&self, index: usize, weights: &mut Weights) {
        if let (Some(values), true) = (&self.given, self.is_frozen()) {
            let shape = vec![self.dictionary.len(), self.config.dim()];
            weights.insert(format!("{}.words.weight", prefix(index)), shape, values.to_vec());
        }
    }

    /// Makes the parameters of embedding number `index`.
    pub(crate) fn train(
        &self,
        index: usize,
        params: &mut ParamSet,
        rng: &mut Rng,
    ) -> Result<Box<dyn TrainedEmbedding>> {
        let (prefix, items) = (prefix(index), self.dictionary.len());
        match &self.config {
            EmbeddingConfig::Characters(config) => {
                let dim = config.embedding_dim;
                let values = init::uniform(rng, items * dim, (3.0 / dim as f32).sqrt());
                let name = format!("{prefix}.characters");
                let table = Table::new(params, &name, values, dim)?;
                let rnn = Rnn::new(params, &format!("{prefix}.rnn"), config.shape(), rng)?;
                let ids = CharacterIds::new(&self.dictionary);
                Ok(Box::new(TrainedCharacters { config: config.clone(), ids, table, rnn }))
            }
            EmbeddingConfig::Words(config) => {
                let name = format!("{prefix}.words");
                let dictionary = self.dictionary.clone();
                if let (Some(values), true) = (&self.given, self.is_frozen()) {
                    let (values, dim) = (Arc::clone(values), config.dim);
                    return Ok(Box::new(GivenWords { dictionary, values, dim }));
                }
                let values = match &self.given {
                    Some(values) => values.to_vec(),
                    None => first_words(config, items, rng),
                };
                let table = Table::new(params, &name, values, config.dim)?;
                Ok(Box::new(TrainedWords { dictionary, table }))
            }
        }
    }
}

/// First values of trained word vectors. Where every word of the training data
/// is known, the unknown one is never trained, and is zero rather than noise.
fn first_words(config: &WordsConfig, items: usize, rng: &mut Rng) -> Vec<f32> {
    let bound = (3.0 / config.dim as f32).sqrt();
    let mut values = init::uniform(rng, items * config.dim, bound);
    if config.min_count <= 1 {
        values[..config.dim].fill(0.0);
    }
    values
}

struct TrainedCharacters {
    config: CharactersConfig,
    ids: CharacterIds,
    table: Table,
    rnn: Rnn,
}

impl TrainedEmbedding for TrainedCharacters {
    fn forward(&self, batch: &TokenBatch<'_>, rng: &mut Rng) -> Result<Tensor> {
        let (words, numbers) = batch.distinct();
        let (mut ids, lengths) = self.ids.of(&words);
        for id in &mut ids {
            if rng.chance(self.config.unknown) {
                *id = 0;
            }
        }
        let last = self.rnn.forward(&self.table.forward(&ids)?, &lengths, 0.0, rng)?.last;
        let numbers = Tensor::new(numbers, &Device::Cpu).map_err(glossator_nn::Error::from)?;
        Ok(last.index_select(&numbers, 0).map_err(glossator_nn::Error::from)?)
    }
}

struct TrainedWords {
    dictionary: Dictionary,
    table: Table,
}

impl TrainedEmbedding for TrainedWords {
    fn forward(&self, batch: &TokenBatch<'_>, _: &mut Rng) -> Result<Tensor> {
        let id = |token: &&str| word_id(&self.dictionary, token);
        Ok(self.table.forward(&batch.tokens.iter().map(id).collect::<Vec<_>>())?)
    }
}

struct GivenWords {
    dictionary: Dictionary,
    values: Arc<[f32]>,
    dim: usize,
}

impl TrainedEmbedding for GivenWords {
    fn forward(&self, batch: &TokenBatch<'_>, _: &mut Rng) -> Result<Tensor> {
        let id = |token: &&str| word_id(&self.dictionary, token);
        let ids: Vec<u32> = batch.tokens.iter().map(id).collect();
        let rows = embed(&self.values, self.dim, &ids);
        Ok(Tensor::from_vec(rows, (ids.len(), self.dim), &Device::Cpu)
            .map_err(glossator_nn::Error::from)?)
    }
}

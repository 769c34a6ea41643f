//! Embeddings as they are made and trained.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use candle_core::Tensor;
use glossator_hub::Bundle;
use glossator_nn::{
    Device, Embedding as Table, ParamSet, Precision, Rng, Rnn, RnnInit, Weights, init,
};
use glossator_text::{Dictionary, Sentence, batch};

use super::{
    CharactersConfig, Embedding, EmbeddingConfig, PooledConfig, Pooling, TokenBatch, Vocabulary,
    WordsConfig,
    cache::VectorCache,
    characters::Characters,
    contextual::Contextual,
    dictionary_file, ngrams_file,
    pooled::{self, Pooled},
    prefix, read_dictionary, read_ngrams,
    vectors::{self, Ngrams, Subwords, WordVectors},
    words::{self, Words},
};
use crate::{
    Compute, Error, LanguageModel, Result,
    find::find,
    lookup::{CharacterIds, Lookup, normalized},
};

/// Tokens that a language model reads at a time before training.
const READ_TOKENS: usize = 4096;

/// An embedding before its parameters exist: settings, and what is known
/// without training.
pub(crate) struct Prepared {
    pub(crate) config: EmbeddingConfig,
    /// Characters or words; a language model has its own.
    pub(crate) dictionary: Option<Dictionary>,
    /// Given values, `[dictionary, dim]`.
    given: Option<Arc<Vec<f32>>>,
    /// Given n-grams of words that have no vector.
    subwords: Option<Subwords>,
    /// The language model and its files.
    language_model: Option<(Contextual, Bundle)>,
}

/// The trained face of an embedding.
pub(crate) trait TrainedEmbedding: Send {
    /// Vectors `[tokens, dim]` in the graph; `rng` draws the noise.
    fn forward(&self, batch: &TokenBatch<'_>, rng: &mut Rng) -> Result<Tensor>;
}

impl Prepared {
    /// One of which nothing is known yet but its settings.
    fn of(config: EmbeddingConfig) -> Self {
        Self { config, dictionary: None, given: None, subwords: None, language_model: None }
    }
}

impl EmbeddingConfig {
    /// The name of the language model, if it has one.
    fn model(&mut self) -> Option<&mut String> {
        match self {
            Self::Contextual(config) => Some(&mut config.model),
            Self::Pooled(config) => Some(&mut config.model),
            Self::Characters(_) | Self::Words(_) => None,
        }
    }

    /// Makes the dictionary from the training sentences, reads the given
    /// vectors, or loads the language model.
    pub(crate) fn prepare(
        &self,
        sentences: &[Sentence],
        cache: &Arc<VectorCache>,
        device: &Device,
    ) -> Result<Prepared> {
        let mut counts = BTreeMap::new();
        let mut count = |item: String| *counts.entry(item).or_insert(0) += 1;
        let tokens = sentences.iter().flat_map(Sentence::tokens);
        let mut prepared = Prepared::of(self.clone());
        match self {
            Self::Characters(config) => {
                tokens.flat_map(str::chars).for_each(|c| count(c.to_string()));
                prepared.dictionary =
                    Some(Dictionary::from_counts(&counts, config.min_count, None));
            }
            Self::Words(config @ WordsConfig { vectors: Some(path), max_vectors, .. }) => {
                let read = vectors::read(path, *max_vectors)?;
                if config.tune && read.subwords.is_some() {
                    let problem = "words that are made of n-grams cannot be trained on; leave \
                                   out `tune`, or give the vectors as text (.vec)";
                    let (path, problem) = (path.clone(), problem.to_owned());
                    return Err(Error::Data { path, line: None, problem });
                }
                if let Self::Words(words) = &mut prepared.config {
                    words.dim = read.dim;
                    words.subwords = read.subwords.as_ref().map(|subwords| subwords.shape);
                }
                prepared.given = Some(read.values().into());
                prepared.subwords = read.subwords.map(|subwords| subwords.in_memory(read.dim));
                prepared.dictionary = Some(read.dictionary);
            }
            Self::Words(config) => {
                let key = |token: &str| {
                    if config.cased { token.to_owned() } else { normalized(token) }
                };
                tokens.for_each(|token| count(key(token)));
                prepared.dictionary =
                    Some(Dictionary::from_counts(&counts, config.min_count, None));
            }
            Self::Contextual(config) => {
                prepared.load(&find(&config.model)?, cache, device)?;
            }
            Self::Pooled(config) => {
                let own = prepared.load(&find(&config.model)?, cache, device)?;
                let words = tokens.filter(|token| config.takes(token));
                words.for_each(|token| count(token.to_owned()));
                let words = Dictionary::from_counts(&counts, config.min_count, None);
                prepared.given = Some(memory(config, &own, &words, sentences)?.into());
                prepared.dictionary = Some(words);
            }
        }
        Ok(prepared)
    }
}

/// One vector for each word, of all its places, `[words, dim]`.
fn memory(
    config: &PooledConfig,
    contextual: &Contextual,
    words: &Dictionary,
    sentences: &[Sentence],
) -> Result<Vec<f32>> {
    let dim = contextual.dim();
    let mut memory = vec![0.0_f32; words.len() * dim];
    let mut seen = vec![0_u32; words.len()];
    let lengths: Vec<usize> = sentences.iter().map(Sentence::len).collect();
    for numbers in batch::by_tokens(&lengths, READ_TOKENS) {
        let batch = TokenBatch::new(numbers.iter().map(|&number| &sentences[number]));
        let vectors = contextual.vectors(&batch)?;
        for (token, vector) in batch.tokens.iter().zip(vectors.chunks_exact(dim)) {
            let word = words.id(token) as usize;
            let row = &mut memory[word * dim..(word + 1) * dim];
            config.pooling.add(row, vector, seen[word] == 0);
            seen[word] += 1;
        }
    }
    if config.pooling == Pooling::Mean {
        for (row, count) in memory.chunks_exact_mut(dim).zip(&seen) {
            row.iter_mut().for_each(|value| *value /= (*count).max(1) as f32);
        }
    }
    // The unknown word has no memory.
    memory[..dim].fill(0.0);
    Ok(memory)
}

impl Prepared {
    /// The embedding of a model that is trained on from.
    pub(crate) fn again(
        config: &EmbeddingConfig,
        index: usize,
        bundle: &Bundle,
        weights: &Weights,
        cache: &Arc<VectorCache>,
        device: &Device,
    ) -> Result<Self> {
        let mut prepared = Self::of(config.clone());
        if let Some(contextual) = config.contextual() {
            prepared.load(&bundle.language_model(&contextual.model)?, cache, device)?;
        }
        if !matches!(config, EmbeddingConfig::Contextual(_)) {
            prepared.dictionary = Some(read_dictionary(index, bundle)?);
        }
        if let Some(table) = prepared.table(index) {
            let given = weights.iter().find(|entry| entry.name == table);
            let values = given.map(|entry| entry.values()).transpose()?;
            prepared.given = values.map(|values| values.into_owned().into());
        }
        if let EmbeddingConfig::Words(words @ WordsConfig { subwords: Some(shape), .. }) = config {
            let ngrams = read_ngrams(index, words, bundle)?;
            let table = words::subword_tensor(index);
            let given = weights.iter().find(|entry| entry.name == table);
            let values = given.map(|entry| entry.values()).transpose()?;
            let of_values = |values: Cow<'_, [f32]>| {
                Subwords::of_values(*shape, ngrams, values.into_owned().into())
            };
            prepared.subwords = values.map(of_values);
        }
        Ok(prepared)
    }

    /// Takes a language model in, and notes its hash in the settings.
    fn load(
        &mut self,
        bundle: &Bundle,
        cache: &Arc<VectorCache>,
        device: &Device,
    ) -> Result<Contextual> {
        // What was read is what is kept, whatever becomes of the folder.
        let bundle = bundle.in_memory()?;
        let compute = Compute { precision: None, device: device.clone() };
        let model = LanguageModel::from_bundle(&bundle, compute)?;
        if let Some(name) = self.config.model() {
            *name = bundle.content_hash()?;
        }
        let settings = self.config.contextual().unwrap_or_default();
        let contextual = Contextual::new(&settings, model).cached(cache.clone());
        self.language_model = Some((contextual.clone(), bundle));
        Ok(contextual)
    }

    /// Columns of its vectors.
    pub(crate) fn dim(&self) -> usize {
        match (&self.config, &self.language_model) {
            (EmbeddingConfig::Characters(config), _) => config.dim(),
            (EmbeddingConfig::Words(config), _) => config.dim,
            (EmbeddingConfig::Pooled(_), Some((own, _))) => 2 * own.dim(),
            (_, Some((own, _))) => own.dim(),
            (_, None) => 0,
        }
    }

    /// The given values; none if all are made by training.
    pub(crate) fn given(&self) -> &[f32] {
        self.given.as_deref().map_or(&[], Vec::as_slice)
    }

    /// N-grams that are listed.
    fn ngrams(&self) -> Option<&Arc<Ngrams>> {
        self.subwords.as_ref().map(|subwords| &subwords.ngrams)
    }

    /// The hash and the files of its language model.
    fn language_model(&self) -> Option<(String, &Bundle)> {
        let (_, bundle) = self.language_model.as_ref()?;
        Some((self.config.contextual()?.model, bundle))
    }

    /// Lets the language model read sentences, so that training finds their
    /// vectors in the cache.
    ///
    /// It ends early where the cache takes no more, or when `stop` is set.
    pub(crate) fn read_ahead(
        &self,
        sentences: &[Sentence],
        cache: &VectorCache,
        stop: &AtomicBool,
    ) -> Result<()> {
        let Some((contextual, _)) = &self.language_model else { return Ok(()) };
        let lengths: Vec<usize> = sentences.iter().map(Sentence::len).collect();
        for numbers in batch::by_tokens(&lengths, READ_TOKENS) {
            if stop.load(Ordering::Relaxed) || !cache.takes(READ_TOKENS * contextual.dim()) {
                break;
            }
            let batch = TokenBatch::new(numbers.iter().map(|&number| &sentences[number]));
            contextual.vectors(&batch)?;
        }
        Ok(())
    }

    /// Whether the given values stay as they are.
    fn is_frozen(&self) -> bool {
        match &self.config {
            EmbeddingConfig::Words(words) => words.is_frozen(),
            EmbeddingConfig::Pooled(_) => true,
            EmbeddingConfig::Characters(_) | EmbeddingConfig::Contextual(_) => false,
        }
    }

    /// Name of the tensor that may be given.
    fn table(&self, index: usize) -> Option<String> {
        match &self.config {
            EmbeddingConfig::Words(_) => Some(words::tensor(index)),
            EmbeddingConfig::Pooled(_) => Some(pooled::tensor(index)),
            EmbeddingConfig::Characters(_) | EmbeddingConfig::Contextual(_) => None,
        }
    }

    /// Adds the tensors that are part of the model but not trained.
    pub(crate) fn add_frozen(&self, index: usize, weights: &mut Weights) {
        if let (Some(values), Some(name), true) = (&self.given, self.table(index), self.is_frozen())
        {
            let items = self.dictionary.as_ref().map_or(1, Dictionary::len);
            weights.insert(name, vec![items, values.len() / items], values.to_vec());
        }
        if let (Some(subwords), EmbeddingConfig::Words(config)) = (&self.subwords, &self.config) {
            let shape = vec![subwords.shape.buckets + 1, config.dim];
            weights.insert(words::subword_tensor(index), shape, subwords.values(config.dim));
        }
    }

    /// Writes what belongs to a model's folder beside its tensors.
    pub(crate) fn save(&self, index: usize, dir: &std::path::Path) -> Result<()> {
        if let Some(dictionary) = &self.dictionary {
            let path = dir.join(dictionary_file(index));
            crate::training::write_json(&path, serde_json::to_string(dictionary))?;
        }
        if let Some(ngrams) = self.ngrams().filter(|ngrams| !ngrams.is_empty()) {
            // Always in the same order.
            let ngrams: BTreeMap<_, _> = ngrams.iter().collect();
            let path = dir.join(ngrams_file(index));
            crate::training::write_json(&path, serde_json::to_string(&ngrams))?;
        }
        let Some((hash, bundle)) = self.language_model() else { return Ok(()) };
        let folder = dir.join("lm").join(hash);
        std::fs::create_dir_all(&folder)
            .map_err(|source| crate::Error::Write { path: folder.clone(), source })?;
        for (name, content) in bundle.contents()? {
            let path = folder.join(name);
            // Its hash names it: what is there already is the same.
            if std::fs::read(&path).is_ok_and(|there| there == *content) {
                continue;
            }
            crate::training::write(&path, &content)?;
        }
        Ok(())
    }

    /// The embedding for inference, of the weights as they are now.
    pub(crate) fn build(
        &self,
        index: usize,
        weights: &mut Weights,
    ) -> glossator_nn::Result<Box<dyn Embedding>> {
        let empty = Dictionary::with_unknown();
        let dictionary = self.dictionary.as_ref().unwrap_or(&empty);
        Ok(match (&self.config, &self.language_model) {
            (EmbeddingConfig::Characters(config), _) => {
                Box::new(Characters::new(config, index, dictionary, weights, Precision::F32)?)
            }
            (EmbeddingConfig::Words(config), _) => {
                let ngrams = self.ngrams().cloned().unwrap_or_default();
                let vocabulary = Vocabulary { dictionary: dictionary.clone(), ngrams };
                Box::new(Words::new(config, index, vocabulary, weights)?)
            }
            (EmbeddingConfig::Pooled(_), Some((own, _))) => {
                Box::new(Pooled::take(own.clone(), index, dictionary.clone(), weights)?)
            }
            (_, Some((own, _))) => Box::new(own.clone()),
            (_, None) => unreachable!("a contextual embedding is prepared with its language model"),
        })
    }

    /// Makes the parameters of embedding number `index`.
    pub(crate) fn train(
        &self,
        index: usize,
        params: &mut ParamSet,
        rng: &mut Rng,
    ) -> Result<Box<dyn TrainedEmbedding>> {
        let prefix = prefix(index);
        let dictionary = self.dictionary.clone().unwrap_or_default();
        let items = dictionary.len();
        match (&self.config, &self.language_model) {
            (EmbeddingConfig::Characters(config), _) => {
                let dim = config.embedding_dim;
                let values = init::uniform(rng, items * dim, (3.0 / dim as f32).sqrt());
                let name = format!("{prefix}.characters");
                let table = Table::new(params, &name, values, dim)?;
                let (name, first) = (format!("{prefix}.rnn"), RnnInit::default());
                let rnn = Rnn::new(params, &name, config.shape(), first, rng)?;
                let ids = CharacterIds::new(&dictionary);
                Ok(Box::new(TrainedCharacters { config: config.clone(), ids, table, rnn }))
            }
            (EmbeddingConfig::Words(config), _) => {
                let name = format!("{prefix}.words");
                if let (Some(values), true) = (&self.given, self.is_frozen()) {
                    let (values, subwords) = (Arc::clone(values), self.subwords.clone());
                    let given = WordVectors::of_values(dictionary, values, config.dim, subwords);
                    let given = WordVectors { lookup: config.lookup, ..given };
                    return Ok(Box::new(Words::given(given)));
                }
                let values = match &self.given {
                    Some(values) => values.to_vec(),
                    None => first_words(config, items, rng),
                };
                let table = Table::new(params, &name, values, config.dim)?;
                Ok(Box::new(TrainedWords { lookup: config.lookup, dictionary, table }))
            }
            (EmbeddingConfig::Pooled(_), Some((own, _))) => {
                let memory = self.given().to_vec();
                Ok(Box::new(Pooled::new(own.clone(), dictionary, memory)))
            }
            (_, Some((own, _))) => Ok(Box::new(own.clone())),
            (_, None) => unreachable!("a contextual embedding is prepared with its language model"),
        }
    }
}

impl TrainedEmbedding for Contextual {
    fn forward(&self, batch: &TokenBatch<'_>, _: &mut Rng) -> Result<Tensor> {
        constant(&self.vectors(batch)?, self.dim())
    }
}

impl TrainedEmbedding for Pooled {
    fn forward(&self, batch: &TokenBatch<'_>, _: &mut Rng) -> Result<Tensor> {
        constant(&self.vectors(batch)?, self.dim())
    }
}

/// Vectors that are not trained, `[tokens, dim]`.
fn constant(vectors: &[f32], dim: usize) -> Result<Tensor> {
    let tensor = Tensor::from_slice(vectors, (vectors.len() / dim, dim), Device::cpu().candle());
    Ok(tensor.map_err(glossator_nn::Error::from)?)
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
        let numbers = Tensor::new(numbers, last.device()).map_err(glossator_nn::Error::from)?;
        Ok(last.index_select(&numbers, 0).map_err(glossator_nn::Error::from)?)
    }
}

struct TrainedWords {
    lookup: Lookup,
    dictionary: Dictionary,
    table: Table,
}

impl TrainedEmbedding for TrainedWords {
    fn forward(&self, batch: &TokenBatch<'_>, _: &mut Rng) -> Result<Tensor> {
        let id = |token: &&str| self.lookup.id(&self.dictionary, token);
        Ok(self.table.forward(&batch.tokens.iter().map(id).collect::<Vec<_>>())?)
    }
}

impl TrainedEmbedding for Words {
    fn forward(&self, batch: &TokenBatch<'_>, _: &mut Rng) -> Result<Tensor> {
        constant(&self.vectors(batch), self.dim())
    }
}

//! The language model at work.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use glossator_hub::Bundle;
use glossator_nn::{Device, Keep, PackedLinear, PackedRnn, Precision, RnnInput, RnnState, Weights};
use glossator_text::Dictionary;

use super::{LanguageModelConfig, ReadingDirection, TextScore, config::LanguageModelModel};
use crate::{
    Compute, Error, Result, find::find, language_model::KIND, lookup::CharacterIds, stored,
};

/// A character language model: immutable, and shared by threads as it is.
pub struct LanguageModel {
    name: String,
    key: String,
    precision: Precision,
    device: Device,
    model: LanguageModelModel,
    dictionary: Dictionary,
    pub(super) ids: CharacterIds,
    rnn: PackedRnn,
    projection: Option<PackedLinear>,
    decoder: Option<PackedLinear>,
}

impl std::fmt::Debug for LanguageModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LanguageModel").field("name", &self.name).field("key", &self.key).finish()
    }
}

/// Models that are in use, by their keys, precisions and GPUs: who loads one of
/// them again gets the same. It keeps none alive.
static LOADED: Mutex<Loaded> = Mutex::new(BTreeMap::new());

type Loaded = BTreeMap<(String, Option<Precision>, Option<usize>), Weak<LanguageModel>>;

impl LanguageModel {
    /// Loads a model by name: a built-in one, one of the cache, or a folder.
    ///
    /// # Errors
    /// If there is none of that name, or it is damaged or of another kind.
    pub fn load(name: &str) -> Result<Arc<Self>> {
        Self::load_in(name, None)
    }

    /// As [`LanguageModel::load`], to be computed in a number format or on a GPU;
    /// the scores of characters are computed on the processor.
    ///
    /// # Errors
    /// As [`LanguageModel::load`].
    pub fn load_in(name: &str, compute: impl Into<Compute>) -> Result<Arc<Self>> {
        Self::from_bundle(&find(name)?, compute)
    }

    /// Loads the language models that a model consists of or works with: itself,
    /// or those of a tagger; none if it has none. They are computed as
    /// [`LanguageModel::load_in`] says.
    ///
    /// # Errors
    /// If there is none of that name, or it is damaged.
    pub fn all_of(name: &str, compute: impl Into<Compute>) -> Result<Vec<Arc<Self>>> {
        let compute = compute.into();
        let bundle = find(name)?;
        let config: serde_json::Value = bundle.json("config.json")?;
        if config["kind"] == KIND {
            return Ok(vec![Self::from_bundle(&bundle, compute)?]);
        }
        let embeddings = config["tagger"]["embeddings"].as_array().into_iter().flatten();
        let mut hashes: Vec<&str> = embeddings.filter_map(|e| e["model"].as_str()).collect();
        hashes.dedup();
        let load = |hash| Self::from_bundle(&bundle.language_model(hash)?, compute.clone());
        hashes.into_iter().map(load).collect()
    }

    /// Loads a model from its files, to be computed as [`LanguageModel::load_in`]
    /// says. While one with the same content is in use anywhere in the process,
    /// computed alike, that one is shared.
    ///
    /// # Errors
    /// If a file is missing or damaged, or the weights do not fit the configuration.
    pub fn from_bundle(bundle: &Bundle, compute: impl Into<Compute>) -> Result<Arc<Self>> {
        let compute = compute.into();
        let key = (bundle.content_hash()?, compute.precision, compute.device.number());
        let find = |loaded: &Loaded| loaded.get(&key)?.upgrade();
        let lock = || LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = find(&lock()) {
            return Ok(model);
        }
        let model = Arc::new(Self::read(bundle, &key.0, &compute)?);
        let mut loaded = lock();
        loaded.retain(|_, model| model.strong_count() > 0);
        // Another thread may have been faster.
        Ok(find(&loaded).unwrap_or_else(|| {
            loaded.insert(key.clone(), Arc::downgrade(&model));
            model
        }))
    }

    fn read(bundle: &Bundle, key: &str, compute: &Compute) -> Result<Self> {
        let model: LanguageModelModel = bundle.config(KIND)?;
        if let Some((key, problem)) = model.language_model.problem() {
            return Err(bundle.damaged("config.json", format!("{key} {problem}")).into());
        }
        let dictionary: Dictionary = bundle.json(DICTIONARY)?;
        if dictionary.iter().next() != Some("<unk>") {
            return Err(bundle.damaged(DICTIONARY, "its first item is not <unk>").into());
        }
        if model.language_model.document_delimiter.is_empty() {
            return Err(bundle.damaged("config.json", "document_delimiter is empty").into());
        }
        if dictionary.len() < 2 {
            return Err(bundle.damaged(DICTIONARY, "it holds no character").into());
        }
        let weights = stored::weights(bundle, |_| true)?.on(&compute.device);
        let precision = compute.precision(model.compute.unwrap_or(model.precision));
        Self::from_weights(bundle.name(), key, model, dictionary, weights, precision)
            .map_err(|source| Error::of_weights(bundle.name(), source))
    }

    /// A language model of weights in memory.
    pub(crate) fn from_weights(
        name: &str,
        key: &str,
        model: LanguageModelModel,
        dictionary: Dictionary,
        mut weights: Weights,
        precision: Precision,
    ) -> glossator_nn::Result<Self> {
        let config = &model.language_model;
        let (items, dim) = (dictionary.len(), config.embedding_dim);
        let encoder = weights.take("encoder.weight", &[items, dim])?;
        let device = weights.device().clone();
        let rnn = PackedRnn::of_table(&mut weights, "rnn", config.rnn(), precision, &encoder)?;
        let mut linear =
            |name, from, to, precision| PackedLinear::new(&mut weights, name, from, to, precision);
        let project = |dim| linear("proj", config.hidden_dim, dim, precision);
        let projection = config.projection_dim.map(project).transpose()?;
        let decoder = || linear("decoder", config.dim(), items, Precision::F32);
        let decoder = (!model.vectors_only).then(decoder).transpose()?;
        weights.finish()?;
        let ids = CharacterIds::new(&dictionary);
        let (name, key) = (name.to_owned(), key.to_owned());
        Ok(Self { name, key, precision, device, model, dictionary, ids, rnn, projection, decoder })
    }

    /// Name or path it was loaded from first.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hash of its content: equal keys compute equal numbers.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The number format it is computed with in; its scores of characters are
    /// computed from the states in `f32`.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Where it is computed.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Architecture and settings of its training.
    pub fn config(&self) -> &LanguageModelConfig {
        &self.model.language_model
    }

    /// Which way it reads.
    pub fn direction(&self) -> ReadingDirection {
        self.config().direction
    }

    /// Dimensions of its states as embeddings.
    pub fn dim(&self) -> usize {
        self.config().dim()
    }

    /// Its characters; the first item stands for all unknown ones.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// Whether the character is in its dictionary.
    pub fn knows(&self, c: char) -> bool {
        self.ids.id(c) != 0
    }

    /// Ids of characters.
    pub(crate) fn ids_of<'c>(
        &self,
        characters: &'c [char],
    ) -> impl Iterator<Item = u32> + use<'c, '_> {
        characters.iter().map(|&c| self.ids.id(c))
    }

    /// Its score on the development text of its training.
    pub fn development(&self) -> Option<&TextScore> {
        self.model.development.as_ref()
    }

    /// Hidden states (behind the projection, if there is one) of sequences of
    /// character ids, those that are asked for, `[rows, dim]`.
    pub(crate) fn states(
        &self,
        ids: &[u32],
        lengths: &[usize],
        state: Option<&mut RnnState>,
        keep: Keep<'_>,
    ) -> glossator_nn::Result<Vec<f32>> {
        let hidden = self.rnn.read(RnnInput::Ids(ids), lengths, state, keep)?;
        Ok(match &self.projection {
            Some(projection) => projection.apply(&hidden, hidden.len() / self.config().hidden_dim),
            None => hidden,
        })
    }

    /// From states to scores of the next character.
    pub(super) fn decoder(&self) -> Result<&PackedLinear> {
        self.decoder.as_ref().ok_or_else(|| Error::NoDecoder { model: self.name.clone() })
    }

    /// The first state of so many sequences.
    pub(super) fn first_state(&self, sequences: usize) -> Result<RnnState> {
        self.rnn.first_state(sequences).map_err(|source| self.failed(source))
    }

    /// An error about the numbers of this model.
    pub(crate) fn failed(&self, source: glossator_nn::Error) -> Error {
        Error::Model { model: self.name.clone(), source }
    }
}

/// File of a model's characters.
pub(crate) const DICTIONARY: &str = "dictionary.json";

//! The configuration of a tagger's training.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use glossator_text::corpus::{Format, ReadOptions};
use glossator_train::{OptimizerKind, TrainingConfig};
use serde::{Deserialize, Serialize};

use super::{ModelInfo, Run, TaskKind, absolute, default_seed, model_path};
use crate::{
    EmbeddingConfig, Result, TaggerConfig, embeddings::cache::VectorCache, limits::MAX_PARTS,
    tagger::layer_name,
};

/// A whole configuration file of a tagger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaggerRunConfig {
    /// What is trained.
    pub task: TaskKind,
    /// Seed of all chance.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// A model to train on from: its architecture, dictionaries and weights
    /// are taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<String>,
    /// The corpora.
    pub data: DataConfig,
    /// Architecture of the tagger.
    #[serde(default)]
    pub tagger: TaggerConfig,
    /// What language models compute, kept for the next epoch.
    #[serde(default)]
    pub cache: CacheConfig,
    /// The training itself.
    #[serde(default)]
    pub training: TrainingConfig,
    /// What the model is called, and how it is stored.
    #[serde(default)]
    pub model: ModelInfo,
}

/// The corpora of a run; paths are relative to the configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Training data.
    pub train: PathBuf,
    /// Development data; left out, a tenth of the training data is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<PathBuf>,
    /// Test data, scored once at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// What is learnt: `upos`, `xpos`, `feats` or `misc:KEY` of CoNLL-U, or the
    /// name of a column.
    pub layer: String,
    /// Further ones, learnt from the same vectors by the same recurrent layers
    /// (multi-task learning; Collobert and Weston, 2008).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_layers: Vec<String>,
    /// Format of the files.
    #[serde(default)]
    pub format: Format,
    /// Names of the columns, if they are not to be guessed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

impl DataConfig {
    pub(crate) fn read_options(&self) -> ReadOptions {
        ReadOptions { format: self.format, columns: self.columns.clone(), ..Default::default() }
    }

    /// Everything that is learnt.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.layer).chain(&self.further_layers)
    }

    /// The files that are named, with their keys.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let named = [("data.train", Some(&self.train)), ("data.dev", self.dev.as_ref())];
        let named = named.into_iter().chain([("data.test", self.test.as_ref())]);
        named.filter_map(|(key, path)| Some((key, path?.as_path())))
    }
}

/// Where the vectors of language models are kept, which do not change while
/// the tagger is trained: computed once for each sentence, if there is room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Room in memory, in units of 2^20 bytes.
    pub memory_mb: usize,
    /// A folder for all of them, found again by later runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { memory_mb: 2048, folder: None }
    }
}

impl CacheConfig {
    /// The cache, empty or with what is in the folder.
    pub(crate) fn open(&self) -> Result<Arc<VectorCache>> {
        let bytes = self.memory_mb.saturating_mul(1 << 20);
        Ok(Arc::new(match &self.folder {
            Some(folder) => VectorCache::on_disk(bytes, folder)?,
            None => VectorCache::new(bytes),
        }))
    }
}

impl Run for TaggerRunConfig {
    fn problem(&self) -> Option<(&'static str, String)> {
        let has_subwords = |embedding: &EmbeddingConfig| matches!(embedding, EmbeddingConfig::Words(words) if words.subwords.is_some());
        if self.tagger.embeddings.iter().any(has_subwords) {
            let reason = "is a model's own, and comes with the file of `vectors`; leave it out";
            return Some(("tagger.embeddings.subwords", reason.to_owned()));
        }
        if self.data.further_layers.len() > MAX_PARTS {
            return Some(("data.further_layers", format!("has more than {MAX_PARTS} names")));
        }
        let mut names = HashSet::new();
        if let Some(twice) = self.data.layers().find(|column| !names.insert(layer_name(column))) {
            return Some((
                "data.further_layers",
                format!("has `{twice}`, which is learnt already"),
            ));
        }
        self.tagger.problem()
    }

    fn training(&self) -> &TrainingConfig {
        &self.training
    }

    /// `AdamW`; SGD with Flair's rate where the file asks for it, or names a rate alone.
    fn default_training(given: &toml::Table) -> TrainingConfig {
        let sgd = match given.get("optimizer") {
            Some(optimizer) => optimizer.as_str() == Some("sgd"),
            None => given.contains_key("learning_rate"),
        };
        let flair = TrainingConfig::default();
        if sgd {
            return flair;
        }
        TrainingConfig { optimizer: OptimizerKind::AdamW, learning_rate: 2e-3, ..flair }
    }

    fn resolve(&mut self, base: &Path) {
        for embedding in &mut self.tagger.embeddings {
            match embedding {
                EmbeddingConfig::Contextual(config) => model_path(base, &mut config.model),
                EmbeddingConfig::Pooled(config) => model_path(base, &mut config.model),
                EmbeddingConfig::Characters(_) | EmbeddingConfig::Words(_) => {}
            }
        }
        let data = &mut self.data;
        let given = self.tagger.embeddings.iter_mut().filter_map(|embedding| match embedding {
            EmbeddingConfig::Words(words) => words.vectors.as_mut(),
            _ => None,
        });
        let given = given.chain(self.cache.folder.as_mut());
        let paths = [Some(&mut data.train), data.dev.as_mut(), data.test.as_mut()];
        absolute(base, paths.into_iter().flatten().chain(given));
        if let Some(model) = &mut self.init_from {
            model_path(base, model);
        }
    }
}

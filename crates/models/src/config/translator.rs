//! The configuration of a translator's training.

use std::path::{Path, PathBuf};

use glossator_train::{OptimizerKind, ScheduleKind, TrainingConfig};
use serde::{Deserialize, Serialize};

use super::{ModelInfo, Run, TaskKind, absolute, default_seed, model_path};
use crate::{SubwordsConfig, TranslatorConfig};

/// A whole configuration file of a translator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslatorRunConfig {
    /// What is trained.
    pub task: TaskKind,
    /// Seed of all chance.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// A model to train on from: its architecture, subwords and weights are
    /// taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<String>,
    /// The corpora.
    pub data: PairsConfig,
    /// The vocabulary.
    #[serde(default)]
    pub subwords: SubwordsConfig,
    /// Architecture of the translator.
    #[serde(default)]
    pub translator: TranslatorConfig,
    /// The training itself. Its `batch_size` counts subwords to be written.
    #[serde(default)]
    pub training: TrainingConfig,
    /// What the model is called, and how it is stored.
    #[serde(default)]
    pub model: ModelInfo,
}

/// Corpora of sentence pairs, a sentence a line: line by line, the target is the
/// translation of the source. Files may be compressed. Paths are relative to the
/// configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairsConfig {
    /// Training data in the language that is translated from.
    pub train_source: PathBuf,
    /// The same in the language that is translated to.
    pub train_target: PathBuf,
    /// Development data; left out, a part of the training data is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev_source: Option<PathBuf>,
    /// Its translations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev_target: Option<PathBuf>,
    /// Test data, scored once at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_source: Option<PathBuf>,
    /// Its translations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_target: Option<PathBuf>,
}

impl PairsConfig {
    /// The development files, if there are any.
    pub(crate) fn dev(&self) -> Option<(&Path, &Path)> {
        Some((self.dev_source.as_deref()?, self.dev_target.as_deref()?))
    }

    /// The test files, if there are any.
    pub(crate) fn test(&self) -> Option<(&Path, &Path)> {
        Some((self.test_source.as_deref()?, self.test_target.as_deref()?))
    }

    /// The files that are named, with their keys.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let named = [
            ("data.train_source", Some(&self.train_source)),
            ("data.train_target", Some(&self.train_target)),
            ("data.dev_source", self.dev_source.as_ref()),
            ("data.dev_target", self.dev_target.as_ref()),
            ("data.test_source", self.test_source.as_ref()),
            ("data.test_target", self.test_target.as_ref()),
        ];
        named.into_iter().filter_map(|(key, path)| Some((key, path?.as_path())))
    }
}

impl Run for TranslatorRunConfig {
    fn problem(&self) -> Option<(&'static str, String)> {
        let data = &self.data;
        let alone = |other: &str| format!("needs `{other}` beside it");
        for (source, target, keys) in [
            (&data.dev_source, &data.dev_target, ["data.dev_source", "data.dev_target"]),
            (&data.test_source, &data.test_target, ["data.test_source", "data.test_target"]),
        ] {
            match (source, target) {
                (Some(_), None) => return Some((keys[0], alone(keys[1]))),
                (None, Some(_)) => return Some((keys[1], alone(keys[0]))),
                _ => {}
            }
        }
        self.translator.problem().or_else(|| self.subwords.problem())
    }

    fn training(&self) -> &TrainingConfig {
        &self.training
    }

    fn default_training(_: &toml::Table) -> TrainingConfig {
        TrainingConfig {
            optimizer: OptimizerKind::AdamW,
            schedule: ScheduleKind::Cosine,
            learning_rate: 4e-3,
            beta2: 0.999,
            warmup: 0.02,
            batch_size: 1200,
            max_epochs: 30,
            patience: 8,
            max_grad_norm: 1.0,
            ema_decay: 0.999,
            ..TrainingConfig::default()
        }
    }

    fn resolve(&mut self, base: &Path) {
        let data = &mut self.data;
        let paths = [
            Some(&mut data.train_source),
            Some(&mut data.train_target),
            data.dev_source.as_mut(),
            data.dev_target.as_mut(),
            data.test_source.as_mut(),
            data.test_target.as_mut(),
        ];
        absolute(base, paths.into_iter().flatten());
        if let Some(model) = &mut self.init_from {
            model_path(base, model);
        }
    }
}

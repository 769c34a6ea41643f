//! The configuration of a language model's training.

use std::path::{Path, PathBuf};

use glossator_train::{OptimizerKind, ScheduleKind, TrainingConfig};
use serde::{Deserialize, Serialize};

use super::{ModelInfo, Run, TaskKind, absolute, default_seed, model_path};
use crate::LanguageModelConfig;

/// A whole configuration file of a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageModelRunConfig {
    /// What is trained.
    pub task: TaskKind,
    /// Seed of all chance.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// A model to train on from: its architecture, dictionary and weights are
    /// taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<String>,
    /// The text.
    pub data: TextConfig,
    /// Architecture of the language model.
    #[serde(default)]
    pub language_model: LanguageModelConfig,
    /// The training itself.
    #[serde(default)]
    pub training: TrainingConfig,
    /// What the model is called, and how it is stored.
    #[serde(default)]
    pub model: ModelInfo,
}

/// The text of a run; paths are relative to the configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Training text: a file, or a folder of files that end in `.txt`, `.gz`,
    /// `.xz` or `.zst`.
    pub train: PathBuf,
    /// Development text; left out, a part of the training text is held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<PathBuf>,
    /// Test text, scored once at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// A given dictionary: a JSON list of characters, `<unk>` first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dictionary: Option<PathBuf>,
    /// Characters that are read at a time: shuffled by lines and cut into
    /// streams. Memory grows with it, and not with the text.
    #[serde(default = "default_split")]
    pub split_chars: usize,
    /// Most characters of the development text.
    #[serde(default = "default_dev")]
    pub dev_chars: usize,
    /// Whether the lines of a split are shuffled, and from the second epoch on
    /// the files.
    #[serde(default = "yes")]
    pub shuffle: bool,
}

impl TextConfig {
    /// The files that are named, with their keys.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let named = [
            ("data.train", Some(&self.train)),
            ("data.dev", self.dev.as_ref()),
            ("data.test", self.test.as_ref()),
            ("data.dictionary", self.dictionary.as_ref()),
        ];
        named.into_iter().filter_map(|(key, path)| Some((key, path?.as_path())))
    }
}

fn default_split() -> usize {
    1 << 22
}

fn default_dev() -> usize {
    500_000
}

fn yes() -> bool {
    true
}

impl Run for LanguageModelRunConfig {
    fn problem(&self) -> Option<(&'static str, String)> {
        if !(1..=1 << 30).contains(&self.data.split_chars) {
            return Some(("data.split_chars", "must be 1 to 2^30".to_owned()));
        }
        if self.data.dev_chars == 0 {
            return Some(("data.dev_chars", "must be at least 1".to_owned()));
        }
        if self.language_model.document_delimiter != "\n" {
            let reason = "must be a line break, for every line is a document".to_owned();
            return Some(("language_model.document_delimiter", reason));
        }
        self.language_model.problem()
    }

    fn training(&self) -> &TrainingConfig {
        &self.training
    }

    fn default_training(_: &toml::Table) -> TrainingConfig {
        TrainingConfig {
            optimizer: OptimizerKind::AdamW,
            schedule: ScheduleKind::Cosine,
            learning_rate: 2e-3,
            warmup: 0.01,
            batch_size: 64,
            max_epochs: 1,
            patience: 0,
            max_grad_norm: 1.0,
            ..TrainingConfig::default()
        }
    }

    fn resolve(&mut self, base: &Path) {
        let data = &mut self.data;
        let paths = [
            Some(&mut data.train),
            data.dev.as_mut(),
            data.test.as_mut(),
            data.dictionary.as_mut(),
        ];
        absolute(base, paths.into_iter().flatten());
        if let Some(model) = &mut self.init_from {
            model_path(base, model);
        }
    }
}

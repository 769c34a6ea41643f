//! Training whatever a configuration says.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use glossator_nn::Precision;
use glossator_train::{Observer, ProductPrecision, RunOptions, Summary, files, metric::Report};
use serde::{Serialize, Serializer};

use crate::{
    Error, Result, RunConfig, TextScore, TranslationScore, config, language_model, tagger,
    translator,
};

/// The number format that a configuration names.
pub(crate) fn products(precision: ProductPrecision) -> Precision {
    match precision {
        ProductPrecision::F32 => Precision::F32,
        ProductPrecision::Bf16 => Precision::Bf16,
    }
}

/// A run to be made.
pub struct TrainingRun<'a> {
    /// What is trained.
    pub config: &'a RunConfig,
    /// Where, and whether it goes on from a checkpoint.
    pub options: RunOptions,
    /// Who is told of its events.
    pub observers: &'a mut [Box<dyn Observer>],
    /// The command that remakes it, for the card.
    pub command: String,
}

/// A run without its configuration.
pub(crate) struct Run<'a> {
    pub(crate) options: RunOptions,
    pub(crate) observers: &'a mut [Box<dyn Observer>],
    pub(crate) command: String,
}

/// A finished run.
#[derive(Debug)]
pub struct Trained {
    /// How it went.
    pub summary: Summary,
    /// Folder of the best model.
    pub folder: PathBuf,
    /// Its scores on the development data.
    pub dev: Scores,
    /// Its scores on the test data, if there is any.
    pub test: Option<Scores>,
    /// What went wrong on the way and changed nothing.
    pub warnings: Vec<String>,
}

/// Scores of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Scores {
    /// A tagger's.
    Tags(Report),
    /// Those of a tagger that writes several layers, by their names.
    #[serde(serialize_with = "by_name")]
    Layers(Vec<(String, Report)>),
    /// A language model's.
    Text(TextScore),
    /// A translator's.
    Translation(TranslationScore),
}

fn by_name<S: Serializer>(reports: &[(String, Report)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(reports.iter().map(|(name, report)| (name, report)))
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tags(report) => report.fmt(f),
            Self::Layers(reports) => {
                reports.iter().try_for_each(|(layer, report)| write!(f, "{layer}\n{report}"))
            }
            Self::Text(score) => score.fmt(f),
            Self::Translation(score) => score.fmt(f),
        }
    }
}

/// Trains what the configuration says; `None` if the run was interrupted, its
/// checkpoint saved.
///
/// # Errors
/// If the data cannot be read or used, a file cannot be written, or the loss
/// is not finite.
pub fn train(run: TrainingRun<'_>) -> Result<Option<Trained>> {
    let TrainingRun { config, options, observers, command } = run;
    let run = Run { options, observers, command };
    match config {
        RunConfig::Tagger(config) => tagger::train::train(config, run),
        RunConfig::LanguageModel(config) => language_model::train::train(config, run),
        RunConfig::Translator(config) => translator::train::train(config, run),
    }
}

/// Keeps the resolved configuration in the run's folder, which is made if need
/// be; with `existing`, one that is there stays as it is.
pub(crate) fn keep_config(out: &Path, config: &impl Serialize, existing: bool) -> Result<()> {
    std::fs::create_dir_all(out).map_err(|source| Error::Write { path: out.to_owned(), source })?;
    let copy = out.join("config.toml");
    if existing && copy.exists() {
        return Ok(());
    }
    write(&copy, config::to_toml(config)?.as_bytes())
}

/// Writes a file by a temporary name.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    files::write_atomically(path, |file| file.write_all(bytes))
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Writes what was made into JSON.
pub(crate) fn write_json(path: &Path, json: serde_json::Result<String>) -> Result<()> {
    let text = json.map_err(std::io::Error::from);
    write(path, text.map_err(|source| Error::Write { path: path.to_owned(), source })?.as_bytes())
}

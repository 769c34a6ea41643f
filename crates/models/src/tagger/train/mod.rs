//! Training a tagger from a configuration.

mod card;
mod data;
mod start;
mod task;

use std::path::PathBuf;

use glossator_hub::Bundle;
use glossator_text::Sentence;
use glossator_train::{Observer, Outcome, RunOptions, Summary, files, metric::Report, run};

pub(crate) use data::{gold_columns, open};

use super::Tagger;
use crate::{Error, Result, RunConfig};
use card::Card;
use data::Corpora;
use start::Start;
use task::TaggerTask;

/// File of a run's folder that keeps its resolved configuration.
const CONFIG_FILE: &str = "config.toml";

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

/// A finished run.
#[derive(Debug)]
pub struct Trained {
    /// How it went.
    pub summary: Summary,
    /// Folder of the best model.
    pub folder: PathBuf,
    /// Its scores on the development data.
    pub dev: Report,
    /// Its scores on the test data, if there is any.
    pub test: Option<Report>,
}

/// Trains a tagger; `None` if the run was interrupted, its checkpoint saved.
///
/// # Errors
/// If the data cannot be read or used, a file cannot be written, or the loss
/// is not finite.
pub fn train_tagger(run_: TrainingRun<'_>) -> Result<Option<Trained>> {
    let TrainingRun { config, options, observers, command } = run_;
    options.check()?;
    let corpora = Corpora::read(config)?;
    let start = Start::new(config, &corpora)?;
    let out = options.out.clone();
    std::fs::create_dir_all(&out).map_err(|source| write_error(&out, source))?;
    // A resumed run keeps its own copy until it is known to fit.
    let copy = out.join(CONFIG_FILE);
    if !(options.resume && copy.exists()) {
        write(&copy, config.to_toml()?.as_bytes())?;
    }
    let mut task = TaggerTask::new(config, start, &corpora)?;
    let summary = match run(&mut task, &config.training, &options, observers)? {
        Outcome::Interrupted => return Ok(None),
        Outcome::Finished(summary) => summary,
    };
    write(&copy, config.to_toml()?.as_bytes())?;
    let best = Tagger::from_bundle(&Bundle::folder(&out))?;
    let layer = &config.data.layer;
    let dev = best.evaluate(&corpora.dev, layer)?;
    let test = match &corpora.test {
        Some(test) => Some(best.evaluate(test, layer)?),
        None => None,
    };
    let card =
        Card { config, corpora: &corpora, summary: &summary, dev: &dev, test: test.as_ref() };
    write(&out.join("README.md"), card.to_markdown(&best, &command).as_bytes())?;
    Ok(Some(Trained { summary, folder: out, dev, test }))
}

impl Tagger {
    /// Scores the tagger on sentences with a gold column: the one named
    /// `column`, or the one of its own layer.
    ///
    /// # Errors
    /// If a sentence lacks the column.
    pub fn evaluate(&self, sentences: &[Sentence], column: &str) -> Result<Report> {
        let mut tagged = sentences.to_vec();
        self.tag_sentences(&mut tagged)?;
        data::score(&tagged, column, self.layer(), self.is_spans())
    }
}

fn write(path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    files::write_atomically(path, |file| file.write_all(bytes))
        .map_err(|source| write_error(path, source))
}

fn write_error(path: &std::path::Path, source: std::io::Error) -> Error {
    Error::Write { path: path.to_owned(), source }
}

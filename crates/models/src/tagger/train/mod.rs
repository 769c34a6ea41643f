//! Training a tagger from a configuration.

mod card;
mod data;
mod start;
mod task;

use glossator_hub::Bundle;
use glossator_text::Sentence;
use glossator_train::{Outcome, metric::Report, run};

pub(crate) use data::{gold_columns, open};

use super::Tagger;
use crate::{
    Compute, Result, TaggerRunConfig,
    training::{Run, Scores, Trained, keep_config, write},
};
use card::Card;
use data::Corpora;
use start::Start;
use task::TaggerTask;

/// Trains a tagger; `None` if the run was interrupted.
pub(crate) fn train(config: &TaggerRunConfig, run_: Run<'_>) -> Result<Option<Trained>> {
    let Run { options, observers, command } = run_;
    options.check()?;
    let corpora = Corpora::read(config)?;
    let cache = config.cache.open()?;
    let start = Start::new(config, &corpora, &cache, &options.device)?;
    let out = options.out.clone();
    // A resumed run keeps its own copy until it is known to fit.
    keep_config(&out, config, options.resume)?;
    for prepared in &start.embeddings {
        prepared.read_ahead(&corpora.train, &cache, &options.stop)?;
        prepared.read_ahead(&corpora.dev, &cache, &options.stop)?;
    }
    let made_anew = start.made_anew.clone();
    let mut task = TaggerTask::new(config, start, &corpora, &options.device)?;
    let summary = match run(&mut task, &config.training, &options, observers)? {
        Outcome::Interrupted => return Ok(None),
        Outcome::Finished(summary) => summary,
    };
    keep_config(&out, config, false)?;
    let compute = Compute { precision: None, device: options.device.clone() };
    let best = Tagger::from_bundle(&Bundle::folder(&out), compute)?;
    let layer = &config.data.layer;
    let dev = best.evaluate(&corpora.dev, layer)?;
    let test = match &corpora.test {
        Some(test) => Some(best.evaluate(test, layer)?),
        None => None,
    };
    let card =
        Card { config, corpora: &corpora, summary: &summary, dev: &dev, test: test.as_ref() };
    write(&out.join("README.md"), card.to_markdown(&best, &command).as_bytes())?;
    let (dev, test) = (Scores::Tags(dev), test.map(Scores::Tags));
    let warnings = made_anew.into_iter().chain(cache.warning()).collect();
    Ok(Some(Trained { summary, folder: out, dev, test, warnings }))
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

//! Training a translator from a configuration.

mod batches;
mod card;
mod data;
mod network;
mod start;
mod task;

use glossator_hub::Bundle;
use glossator_train::{Outcome, run};

use super::Translator;
use crate::{
    Result, TranslatorRunConfig,
    training::{Run, Scores, Trained, keep_config, write},
};
use card::Card;
pub(crate) use data::Corpora;
use start::Start;
use task::TranslatorTask;

/// Trains a translator; `None` if the run was interrupted.
pub(crate) fn train(config: &TranslatorRunConfig, run_: Run<'_>) -> Result<Option<Trained>> {
    let Run { options, observers, command } = run_;
    options.check()?;
    let corpora = Corpora::read(config)?;
    let start = Start::new(config, &corpora)?;
    let warnings = start.warnings(&corpora);
    let out = options.out.clone();
    // What is written down is what is trained: a model that is trained on from
    // has its own architecture.
    let resolved = TranslatorRunConfig {
        translator: start.model.translator.clone(),
        subwords: start.model.subwords.clone(),
        ..config.clone()
    };
    keep_config(&out, &resolved, options.resume)?;
    let mut task = TranslatorTask::new(config, start, &corpora)?;
    let summary = match run(&mut task, &config.training, &options, observers)? {
        Outcome::Interrupted => return Ok(None),
        Outcome::Finished(summary) => summary,
    };
    keep_config(&out, &resolved, false)?;
    let best = Translator::from_bundle(&Bundle::folder(&out), None)?;
    let dev = best.score_pairs(&corpora.dev.source, &corpora.dev.target)?;
    let test = match &corpora.test {
        Some(test) => Some(best.score_pairs(&test.source, &test.target)?),
        None => None,
    };
    let card = Card { config, corpora: &corpora, summary: &summary, dev, test };
    write(&out.join("README.md"), card.to_markdown(&best, &command).as_bytes())?;
    let (dev, test) = (Scores::Translation(dev), test.map(Scores::Translation));
    Ok(Some(Trained { summary, folder: out, dev, test, warnings }))
}

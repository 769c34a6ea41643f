//! Training a translator from a configuration.

mod batches;
mod card;
mod data;
pub(super) mod network;
mod quality;
mod start;
mod task;

use glossator_hub::Bundle;
use glossator_train::{Outcome, run};

use super::Translator;
use crate::{
    Result, TranslatorRunConfig,
    check::PairStatistics,
    training::{Run, Scores, Trained, keep_config, write},
};
use card::Card;
use data::{Corpora, Pairs};
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
    let mut task = TranslatorTask::new(config, start, &corpora, &options.device)?;
    let summary = match run(&mut task, &config.training, &options, observers)? {
        Outcome::Interrupted => return Ok(None),
        Outcome::Finished(summary) => summary,
    };
    keep_config(&out, &resolved, false)?;
    let best = Translator::from_bundle(&Bundle::folder(&out), None)?;
    let dev = quality::score(&best, &corpora.dev)?;
    let test = corpora.test.as_ref().map(|test| quality::score(&best, test)).transpose()?;
    let card =
        Card { config, corpora: &corpora, summary: &summary, dev: &dev, test: test.as_ref() };
    write(&out.join("README.md"), card.to_markdown(&best, &command).as_bytes())?;
    let (dev, test) = (Scores::Translation(dev), test.map(Scores::Translation));
    Ok(Some(Trained { summary, folder: out, dev, test, warnings }))
}

/// Reads the corpora as training would.
pub(crate) fn statistics(config: &TranslatorRunConfig) -> Result<PairStatistics> {
    let corpora = Corpora::read(config)?;
    let start = Start::new(config, &corpora)?;
    let part = |name, pairs: &Pairs| (name, pairs.len(), pairs.empty);
    let mut parts = vec![part("train", &corpora.train), part("dev", &corpora.dev)];
    parts.extend(corpora.test.as_ref().map(|test| part("test", test)));
    let count = |sum: (usize, usize), (source, target): &(Vec<u32>, Vec<u32>)| {
        (sum.0 + source.len(), sum.1 + target.len())
    };
    Ok(PairStatistics {
        parts,
        subwords: start.subwords.len(),
        tokens: start.ids.iter().fold((0, 0), count),
        too_long: start.ids.len() - start.pairs.len(),
    })
}

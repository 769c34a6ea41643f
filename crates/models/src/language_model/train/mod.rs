//! Training a language model from a configuration.

mod card;
mod start;
mod streams;
mod task;

use glossator_hub::Bundle;
use glossator_text::raw::documents;
use glossator_train::{Outcome, run};

use super::{LanguageModel, TextScore};
use crate::{
    Compute, LanguageModelRunConfig, Result,
    check::TextStatistics,
    lookup::CharacterIds,
    training::{Run, Scores, Trained, keep_config},
};
use card::Card;
use start::Start;
use task::LanguageModelTask;

/// Trains a language model; `None` if the run was interrupted.
pub(crate) fn train(config: &LanguageModelRunConfig, run_: Run<'_>) -> Result<Option<Trained>> {
    let Run { options, observers, command } = run_;
    options.check()?;
    let start = Start::new(config)?;
    let out = options.out.clone();
    // What is written down is what is trained: a model that is trained on from
    // has its own architecture.
    let language_model = start.model.language_model.clone();
    let resolved = LanguageModelRunConfig { language_model, ..config.clone() };
    keep_config(&out, &resolved, options.resume)?;
    let mut task = LanguageModelTask::new(config, start, &options.device)?;
    let summary = match run(&mut task, &config.training, &options, observers)? {
        Outcome::Interrupted => return Ok(None),
        Outcome::Finished(summary) => summary,
    };
    keep_config(&out, &resolved, false)?;
    let compute = Compute { precision: None, device: options.device.clone() };
    let best = LanguageModel::from_bundle(&Bundle::folder(&out), compute)?;
    let dev = best.score(task.development())?;
    let test = match &config.data.test {
        Some(path) => Some(score_file(&best, path)?),
        None => None,
    };
    let card = Card { config, text: task.text(), summary: &summary, dev, test };
    crate::training::write(&out.join("README.md"), card.to_markdown(&best, &command).as_bytes())?;
    let (dev, test) = (Scores::Text(dev), test.map(Scores::Text));
    Ok(Some(Trained { summary, folder: out, dev, test, warnings: Vec::new() }))
}

/// Reads the text as training would.
pub(crate) fn statistics(config: &LanguageModelRunConfig) -> Result<TextStatistics> {
    let start = Start::new(config)?;
    let ids = CharacterIds::new(&start.dictionary);
    let counts = start.text.counts();
    Ok(TextStatistics {
        files: start.text.files().len(),
        characters: start.text.n_chars(),
        kinds: counts.len(),
        known: start.dictionary.len() - 1,
        unknown: counts.iter().filter(|(c, _)| ids.id(**c) == 0).map(|(_, count)| count).sum(),
        development: start.development.chars().count(),
    })
}

/// Scores the text of a file or folder.
fn score_file(model: &LanguageModel, path: &std::path::Path) -> Result<TextScore> {
    let mut scorer = model.scorer();
    for document in documents(path)? {
        scorer.add(&document?.text)?;
    }
    scorer.finish()
}

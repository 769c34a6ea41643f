//! Training a tagger from a configuration.

mod card;
mod data;
mod scores;
mod start;
mod task;
mod temperature;

use glossator_hub::Bundle;
use glossator_text::Sentence;
use glossator_train::{Outcome, metric::Report, run};

pub(crate) use data::{gold_columns, open_what_can_be};

use super::{Tagger, layer_name};
use crate::{
    Compute, DataConfig, Result, TaggerRunConfig,
    training::{Run, Scores, Trained, keep_config, write},
};
use card::Card;
use data::Corpora;
use scores::LayerScores;
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
    let dev = scores::of(&best, &corpora.dev, &config.data)?;
    let test = corpora.test.as_ref().map(|test| scores::of(&best, test, &config.data));
    let test = test.transpose()?;
    let card = Card {
        config,
        corpora: &corpora,
        summary: &summary,
        dev: &dev,
        test: test.as_deref().unwrap_or_default(),
    };
    write(&out.join("README.md"), card.to_markdown(&best, &command).as_bytes())?;
    let (dev, test) = (told(dev), test.map(told));
    let warnings = made_anew.into_iter().chain(cache.warning()).collect();
    Ok(Some(Trained { summary, folder: out, dev, test, warnings }))
}

fn told(mut layers: Vec<LayerScores>) -> Scores {
    match layers.len() {
        1 => Scores::Tags(layers.remove(0).report),
        _ => Scores::Layers(layers.into_iter().map(|of| (of.layer, of.report)).collect()),
    }
}

impl Tagger {
    /// Scores the tagger on sentences with a gold column, `column`, against the layer that it
    /// means ([`Tagger::layer_of`]).
    ///
    /// # Errors
    /// If a sentence lacks the column, or none of several layers has its name.
    pub fn evaluate(&self, sentences: &[Sentence], column: &str) -> Result<Report> {
        let mut tagged = sentences.to_vec();
        self.tag_sentences(&mut tagged)?;
        self.score(&tagged, column)
    }

    /// Scores each layer, with its name, by the column that it is learnt from.
    fn evaluate_layers(
        &self,
        sentences: &[Sentence],
        data: &DataConfig,
    ) -> Result<Vec<(String, Report)>> {
        let mut tagged = sentences.to_vec();
        self.tag_sentences(&mut tagged)?;
        let score = |column: &String| Ok((layer_name(column), self.score(&tagged, column)?));
        data.layers().map(score).collect()
    }

    fn score(&self, tagged: &[Sentence], column: &str) -> Result<Report> {
        let layer = self.layer_of(column).ok_or_else(|| self.no_layer(column))?;
        data::score(tagged, column, layer.name, layer.is_spans)
    }
}

//! What is told of a finished tagger.

use std::{collections::BTreeMap, fmt::Write};

use glossator_text::{Sentence, Source};
use glossator_train::metric::{Calibration, CalibrationScorer, Report, Resampling, Sampler};

use super::data::{self, gold_column};
use crate::{DataConfig, Result, Tagger, tagger::layer_name};

/// Domains of a corpus that are told of.
const DOMAINS: std::ops::RangeInclusive<usize> = 2..=20;

/// How a tagger does in one layer.
pub(super) struct LayerScores {
    pub(super) layer: String,
    pub(super) report: Report,
    /// How far its probabilities can be trusted; none if it found nothing.
    pub(super) calibration: Option<Calibration>,
    /// Its scores by domain; none if the corpus tells of no domains.
    domains: Vec<Domain>,
    is_spans: bool,
}

/// The sentences of one domain.
struct Domain {
    name: String,
    sentences: usize,
    report: Report,
}

/// Scores each layer by the column that it is learnt from.
pub(super) fn of(
    tagger: &Tagger,
    sentences: &[Sentence],
    data: &DataConfig,
) -> Result<Vec<LayerScores>> {
    let mut tagged = sentences.to_vec();
    tagger.tag_sentences(&mut tagged)?;
    let mut domains: BTreeMap<String, Vec<Sentence>> = BTreeMap::new();
    for sentence in &tagged {
        let name = domain(sentence);
        if name.is_empty() {
            domains.clear();
            break;
        }
        domains.entry(name).or_default().push(sentence.clone());
    }
    if !DOMAINS.contains(&domains.len()) {
        domains.clear();
    }
    let score = |column: &String| {
        let layer = tagger.layer_of(column).ok_or_else(|| tagger.no_layer(column))?;
        let report = |tagged: &[Sentence]| data::score(tagged, column, layer.name, layer.is_spans);
        let mut calibration = CalibrationScorer::new();
        for sentence in &tagged {
            let found = sentence
                .layer(layer.name)
                .map(|found| Ok::<_, crate::Error>(found.judged(&gold_column(sentence, column)?)));
            calibration.add(found.transpose()?.unwrap_or_default());
        }
        let by_domain = domains.iter().map(|(name, tagged)| {
            let (name, sentences) = (name.clone(), tagged.len());
            Ok(Domain { name, sentences, report: report(tagged)? })
        });
        Ok(LayerScores {
            layer: layer_name(column),
            report: report(&tagged)?,
            calibration: calibration.report(&Sampler::usual(Resampling::Bootstrap))?,
            domains: by_domain.collect::<Result<_>>()?,
            is_spans: layer.is_spans,
        })
    };
    data.layers().map(score).collect()
}

/// What a sentence is taken from: the letters that its `sent_id` begins with, as in the
/// treebanks of Universal Dependencies whose text is of several kinds.
fn domain(sentence: &Sentence) -> String {
    let Source::Rows(rows) = sentence.source() else { return String::new() };
    let id = rows.comment("sent_id").unwrap_or_default();
    id.chars().take_while(|c| c.is_alphabetic()).collect()
}

impl LayerScores {
    /// Its scores by domain and its calibration, as sections of a card.
    pub(super) fn details(&self, split: &str) -> String {
        let mut card = String::new();
        if !self.domains.is_empty() {
            let metric = if self.is_spans { "span F1" } else { "accuracy" };
            card += "\nBy domain:\n\n";
            card += &format!("| domain | sentences | {metric} |\n|---|---|---|\n");
        }
        for Domain { name, sentences, report } in &self.domains {
            let score = if self.is_spans { report.micro.f1 } else { report.accuracy };
            // Writing to a string cannot fail.
            let _ = writeln!(card, "| {name} | {sentences} | {score:.2} |");
        }
        if let Some(calibration) = &self.calibration {
            let what = if self.is_spans { "spans found" } else { "labels" };
            let _ = write!(
                card,
                "\nScores of {what} on {split}, in bins of as many each, and the part of them \
                 that is right:\n\n```\n{calibration}```\n"
            );
        }
        card
    }
}

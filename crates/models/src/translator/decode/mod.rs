//! Translations: what is searched for, and what is found.

mod hypotheses;
mod search;

use serde::{Deserialize, Serialize};

use crate::Cancel;

pub(super) use search::search;

/// How scores of hypotheses of different lengths are made comparable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LengthPenalty {
    /// Not at all: the logarithm of the probability.
    None,
    /// By its length to this power; 1: the mean over the subwords.
    Average(f64),
    /// By `((5 + length) / 6)` to this power (Wu et al., 2016).
    Gnmt(f64),
}

impl LengthPenalty {
    /// The score of a hypothesis of so many subwords, its end included.
    pub fn apply(self, log_probability: f64, length: usize) -> f64 {
        let length = length.max(1) as f64;
        log_probability
            / match self {
                Self::None => 1.0,
                Self::Average(power) => length.powf(power),
                Self::Gnmt(power) => ((5.0 + length) / 6.0).powf(power),
            }
    }
}

/// Drawing translations by chance, in place of the search for the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TranslateSampling {
    /// Divides the scores: below 1 the likely subwords become likelier still.
    pub temperature: f32,
    /// Only so many of the likeliest subwords are drawn from; 0: all.
    pub top: usize,
    /// Seed of all chance. A line is drawn by the seed and its number alone.
    pub seed: u64,
}

impl Default for TranslateSampling {
    fn default() -> Self {
        Self { temperature: 1.0, top: 0, seed: 1 }
    }
}

/// How translations are searched for.
#[derive(Clone, Debug)]
pub struct TranslateOptions {
    /// Hypotheses that are followed at a time; 1: always the likeliest subword.
    pub beam: usize,
    /// Hypotheses that are returned; the beam is at least as wide. With more than
    /// one, and with alignments or a prefix, a line is one sentence.
    pub n_best: usize,
    /// How hypotheses of different lengths are compared.
    pub length_penalty: LengthPenalty,
    /// Weight of the penalty for source subwords that were hardly looked at (Wu
    /// et al., 2016); 0: none.
    pub coverage_penalty: f64,
    /// Subwords of a translation at most, for each of its source...
    pub max_ratio: f64,
    /// ... and so many more.
    pub max_extra: usize,
    /// What every translation begins with.
    pub prefix: String,
    /// No run of so many subwords stands twice in a translation; 0: any may.
    pub no_repeat_ngram: usize,
    /// Whether hypotheses tell what they looked at.
    pub alignments: bool,
    /// Whether they are drawn by chance.
    pub sampling: Option<TranslateSampling>,
    /// Number of the first line among all that are translated: what is drawn for
    /// a line depends on its number.
    pub first_line: u64,
    /// Whether lines are split into sentences.
    pub split: bool,
    /// Subwords of the source that are read together; changes speed and memory,
    /// never a result.
    pub batch_subwords: usize,
    /// Ends the call from another thread, between batches.
    pub cancel: Cancel,
}

impl Default for TranslateOptions {
    fn default() -> Self {
        Self {
            beam: 5,
            n_best: 1,
            length_penalty: LengthPenalty::Average(1.0),
            coverage_penalty: 0.0,
            max_ratio: 1.5,
            max_extra: 10,
            prefix: String::new(),
            no_repeat_ngram: 0,
            alignments: false,
            sampling: None,
            first_line: 0,
            split: true,
            batch_subwords: 1024,
            cancel: Cancel::new(),
        }
    }
}

impl TranslateOptions {
    /// Whether a line may be more than one sentence.
    pub(super) fn splits(&self) -> bool {
        self.split && self.n_best <= 1 && self.prefix.is_empty() && !self.alignments
    }

    /// Hypotheses that are followed at a time.
    fn width(&self) -> usize {
        match self.sampling {
            Some(_) => self.n_best.max(1),
            None => self.beam.max(self.n_best).max(1),
        }
    }

    /// Subwords of a translation at most.
    fn limit(&self, source: usize) -> usize {
        ((source as f64 * self.max_ratio) as usize).saturating_add(self.max_extra).max(1)
    }

    /// Whether the weights of the attention are kept.
    fn keeps_weights(&self) -> bool {
        self.alignments || self.coverage_penalty > 0.0
    }
}

/// One translation of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Its text.
    pub text: String,
    /// What hypotheses are ranked by: higher is better.
    pub score: f64,
    /// Logarithm of its probability, in nats.
    pub log_probability: f64,
    /// Its subwords, with `▁` for spaces.
    pub subwords: Vec<String>,
    /// The weight of each of the source's subwords for each of its own, if they
    /// were asked for: `[subwords][source subwords]`, the last one of each row
    /// being that of the source's end.
    pub alignment: Vec<Vec<f32>>,
}

/// What became of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Translation {
    /// The best translation.
    pub text: String,
    /// The best hypotheses, best first. Of a line of several sentences one, whose
    /// scores are sums.
    pub hypotheses: Vec<Hypothesis>,
    /// The source's subwords, of a line that was read as one sentence.
    pub source: Vec<String>,
    /// Places where a sentence was too long and was cut.
    pub cuts: usize,
}

impl Translation {
    /// Pairs of words of source and target, from 0, that belong together: for
    /// each subword of the best hypothesis the source subword it looked at most.
    /// Words are what stands between spaces.
    pub fn word_pairs(&self) -> Vec<(usize, usize)> {
        let Some(best) = self.hypotheses.first() else { return Vec::new() };
        let (source, target) = (words_of(&self.source), words_of(&best.subwords));
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for (row, &to) in best.alignment.iter().zip(&target) {
            // The first of the largest; the source's end is no word.
            let most = (0..source.len()).reduce(|a, b| if row[b] > row[a] { b } else { a });
            pairs.extend(most.map(|from| (source[from], to)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }
}

/// The number of the word of each subword.
fn words_of(subwords: &[String]) -> Vec<usize> {
    let number = |word: &mut usize, (at, subword): (usize, &String)| {
        *word += usize::from(at > 0 && subword.starts_with('▁'));
        Some(*word)
    };
    subwords.iter().enumerate().scan(0, number).collect()
}

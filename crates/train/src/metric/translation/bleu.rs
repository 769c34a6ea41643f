//! BLEU (Papineni et al., 2002).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Summed, TranslationMetric,
    ngrams::Symbols,
    text::{trim_end, words},
    tokenize::Tokenizer,
};
use crate::{Error, Result};

/// Logarithm that stands for that of 0.
const LOG_OF_ZERO: f64 = -9_999_999_999.0;

/// What stands in for n-grams without a match (Chen and Cherry, 2014).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Smoothing {
    /// Nothing: one order without a match makes the score 0.
    None,
    /// So many matches; usually 0.1. Their method 1.
    Floor(f64),
    /// So many more matches and n-grams of every order but the first; usually 1.
    /// Their method 2 (Lin and Och, 2004).
    AddK(f64),
    /// Half a match, for the next such order a quarter, and so on. Their method 3,
    /// that of NIST.
    #[default]
    Exp,
}

impl Smoothing {
    /// [`Floor`](Self::Floor) with its usual value.
    pub const FLOOR: Self = Self::Floor(0.1);
    /// [`AddK`](Self::AddK) with its usual value.
    pub const ADD_K: Self = Self::AddK(1.0);
}

impl fmt::Display for Smoothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Floor(value) => write!(f, "floor[{value:.2}]"),
            Self::AddK(value) => write!(f, "add-k[{value:.2}]"),
            Self::Exp => f.write_str("exp"),
        }
    }
}

/// BLEU: geometric mean of the precisions of word n-grams, times a penalty on
/// brevity. The values are those of sacreBLEU 2.6 (Post, 2018).
///
/// Statistics of a line: its length, that of the reference closest to it (the
/// shorter of two as close), matches by order, n-grams by order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bleu {
    /// How lines become tokens.
    pub tokenizer: Tokenizer,
    /// What stands in for n-grams without a match.
    pub smoothing: Smoothing,
    /// Length of the longest n-grams, in tokens; usually 4.
    pub max_order: usize,
    /// Leave out orders longer than every hypothesis; else such a score is 0.
    /// For single sentences it should be on.
    pub effective_order: bool,
    /// Compare in lower case.
    pub lowercase: bool,
}

impl Default for Bleu {
    fn default() -> Self {
        Self {
            tokenizer: Tokenizer::default(),
            smoothing: Smoothing::default(),
            max_order: 4,
            effective_order: false,
            lowercase: false,
        }
    }
}

/// BLEU with its parts. As text it is the line that sacreBLEU prints behind the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BleuScore {
    /// The score, from 0 to 100 (within rounding).
    pub score: f64,
    /// Smoothed precision of every order, in percent.
    pub precisions: Vec<f64>,
    /// Factor for brevity, from 0 to 1.
    pub brevity_penalty: f64,
    /// Matches by order, before smoothing.
    pub matches: Vec<u64>,
    /// N-grams of the hypotheses by order, before smoothing.
    pub totals: Vec<u64>,
    /// Tokens of the hypotheses.
    pub hypothesis_length: u64,
    /// Tokens of the references closest in length.
    pub reference_length: u64,
}

impl BleuScore {
    /// Length of the hypotheses over that of the references; 0 if the latter is.
    pub fn ratio(&self) -> f64 {
        match self.reference_length {
            0 => 0.0,
            length => self.hypothesis_length as f64 / length as f64,
        }
    }
}

impl fmt::Display for BleuScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precisions: Vec<String> = self.precisions.iter().map(|p| format!("{p:.1}")).collect();
        write!(
            f,
            "{} (BP = {:.3} ratio = {:.3} hyp_len = {} ref_len = {})",
            precisions.join("/"),
            self.brevity_penalty,
            self.ratio(),
            self.hypothesis_length,
            self.reference_length
        )
    }
}

impl Bleu {
    /// The metric for single sentences: with effective order.
    pub fn for_sentences() -> Self {
        Self { effective_order: true, ..Self::default() }
    }

    /// The score of summed statistics `[2 + 2 * max_order]`, with its parts.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn score(&self, sums: &[f64]) -> BleuScore {
        let &[hypothesis_length, reference_length, ref counts @ ..] = sums else {
            panic!("BLEU has {} statistics, not {}", self.width(), sums.len());
        };
        let (matches, totals) = counts.split_at(self.max_order);
        let brevity_penalty = brevity_penalty(hypothesis_length, reference_length);
        let (precisions, order) = self.precisions(matches, totals);
        let mut score = 0.0;
        if matches.iter().any(|&matches| matches > 0.0) {
            let logs =
                precisions[..order].iter().map(|&p| if p == 0.0 { LOG_OF_ZERO } else { p.ln() });
            score = brevity_penalty * (logs.sum::<f64>() / order as f64).exp();
        }
        let whole = |counts: &[f64]| counts.iter().map(|&count| count as u64).collect();
        BleuScore {
            score,
            precisions,
            brevity_penalty,
            matches: whole(matches),
            totals: whole(totals),
            hypothesis_length: hypothesis_length as u64,
            reference_length: reference_length as u64,
        }
    }

    /// Precisions `[max_order]` in percent, all 0 if nothing matches, and how many
    /// of them the score is the mean of.
    fn precisions(&self, matches: &[f64], totals: &[f64]) -> (Vec<f64>, usize) {
        let mut precisions = vec![0.0; self.max_order];
        let mut order = self.max_order;
        if matches.iter().all(|&matches| matches == 0.0) {
            return (precisions, order);
        }
        let mut halved = 1.0;
        for (index, (&matches, &total)) in matches.iter().zip(totals).enumerate() {
            let more = match self.smoothing {
                Smoothing::AddK(k) if index > 0 => k,
                _ => 0.0,
            };
            let (matches, total) = (matches + more, total + more);
            if total == 0.0 {
                break;
            }
            if self.effective_order {
                order = index + 1;
            }
            precisions[index] = match self.smoothing {
                _ if matches > 0.0 => 100.0 * matches / total,
                Smoothing::Exp => {
                    halved *= 2.0;
                    100.0 / (halved * total)
                }
                Smoothing::Floor(value) => 100.0 * value / total,
                Smoothing::None | Smoothing::AddK(_) => 0.0,
            };
        }
        (precisions, order)
    }

    fn tokenized(&self, line: &str) -> String {
        if self.lowercase {
            self.tokenizer.tokenize(trim_end(&line.to_lowercase())).into_owned()
        } else {
            self.tokenizer.tokenize(trim_end(line)).into_owned()
        }
    }
}

fn brevity_penalty(hypothesis_length: f64, reference_length: f64) -> f64 {
    if hypothesis_length >= reference_length {
        1.0
    } else if hypothesis_length > 0.0 {
        (1.0 - reference_length / hypothesis_length).exp()
    } else {
        0.0
    }
}

impl Summed for Bleu {
    fn value(&self, sums: &[f64]) -> f64 {
        self.score(sums).score
    }
}

impl TranslationMetric for Bleu {
    fn name(&self) -> String {
        "BLEU".to_owned()
    }

    fn check(&self) -> Result<()> {
        let problem =
            |problem: &str| Err(Error::Metric { metric: "BLEU", problem: problem.to_owned() });
        match self.smoothing {
            _ if self.max_order == 0 => problem("the longest n-grams have at least 1 token"),
            Smoothing::Floor(value) | Smoothing::AddK(value)
                if !(value.is_finite() && value >= 0.0) =>
            {
                problem("smoothing adds a finite number that is not negative")
            }
            _ => Ok(()),
        }
    }

    fn width(&self) -> usize {
        2 + 2 * self.max_order
    }

    fn line(&self, hypothesis: &str, references: &[&str]) -> Vec<f64> {
        let texts: Vec<String> = std::iter::once(&hypothesis)
            .chain(references)
            .map(|line| self.tokenized(line))
            .collect();
        let tokens: Vec<Vec<&str>> = texts.iter().map(|text| words(text)).collect();
        let symbols = Symbols::words(&tokens);
        let length = symbols.len(0);
        let lengths = (1..tokens.len()).map(|reference| symbols.len(reference));
        let closest = lengths.min_by_key(|&other| (other.abs_diff(length), other));

        let mut row = vec![0.0; self.width()];
        row[0] = length as f64;
        row[1] = closest.unwrap_or(0) as f64;
        let (matches, totals) = row[2..].split_at_mut(self.max_order);
        symbols.visit(self.max_order, |order, counts| {
            let most = counts[1..].iter().max().copied().unwrap_or(0);
            matches[order - 1] += counts[0].min(most) as f64;
            totals[order - 1] += counts[0] as f64;
        });
        row
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("case", if self.lowercase { "lc" } else { "mixed" }.to_owned()),
            ("eff", if self.effective_order { "yes" } else { "no" }.to_owned()),
            ("tok", self.tokenizer.name().to_owned()),
            ("smooth", self.smoothing.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_by_hand() {
        // Of the words `a`, `tide` and `turned` match; no pair does. The shorter
        // reference is as close as the longer one.
        let bleu = Bleu { tokenizer: Tokenizer::None, max_order: 2, ..Bleu::default() };
        let row = bleu.line("a tide has turned", &["a low tide", "turned is a great tide"]);
        assert_eq!(row, [4.0, 3.0, 3.0, 0.0, 4.0, 3.0]);
        let score = bleu.score(&row);
        assert_eq!(score.precisions, [75.0, 100.0 / 6.0]);
        assert!((score.score - (75.0_f64 * 100.0 / 6.0).sqrt()).abs() < 1e-12);
        let want = "75.0/16.7 (BP = 1.000 ratio = 1.333 hyp_len = 4 ref_len = 3)";
        assert_eq!(score.to_string(), want);
    }

    #[test]
    fn short_sentences_need_effective_order() {
        let score = |bleu: Bleu| bleu.sentence_score("all hands", &["all hands on deck"]).unwrap();
        assert_eq!(score(Bleu::default()), 0.0);
        let want = 100.0 * (1.0_f64 - 4.0 / 2.0).exp();
        assert!((score(Bleu::for_sentences()) - want).abs() < 1e-12);
    }

    #[test]
    fn settings_are_read_by_name() {
        let json = r#"{"tokenizer": "13a", "smoothing": {"add-k": 2.0}, "lowercase": true}"#;
        let smoothing = Smoothing::AddK(2.0);
        let want = Bleu { smoothing, lowercase: true, ..Bleu::default() };
        assert_eq!(serde_json::from_str::<Bleu>(json).unwrap(), want);
        assert!(serde_json::from_str::<Bleu>(r#"{"lower": true}"#).is_err());
        assert_eq!(Smoothing::FLOOR.to_string(), "floor[0.10]");
    }
}

//! chrF (Popović, 2015) and chrF++ (Popović, 2017).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    Summed, TranslationMetric,
    ngrams::Symbols,
    text::{is_punctuation, is_space, words},
};
use crate::{Error, Result};

/// What stands for 0 with [`Chrf::epsilon`].
const EPSILON: f64 = 1e-16;

/// chrF: F-score of character n-grams, and of word n-grams in chrF++. The values
/// are those of sacreBLEU 2.6.
///
/// Statistics of a line, for every order of characters and then of words: n-grams
/// of the hypothesis (none if the reference has none), of the reference, matches.
/// Of several references, that with the best score of the line counts, the first
/// of two as good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chrf {
    /// Length of the longest n-grams of characters; usually 6.
    pub char_order: usize,
    /// Length of the longest n-grams of words: 0 for chrF, 2 for chrF++.
    pub word_order: usize,
    /// How many times recall weighs more than precision; usually 2.
    pub beta: u32,
    /// Compare in lower case.
    pub lowercase: bool,
    /// White space counts as characters.
    pub whitespace: bool,
    /// Mean of the F-scores of all orders, with a tiny number for 0, as in the
    /// original script; else the F-score of the means over the orders that both
    /// sides have.
    pub epsilon: bool,
}

impl Default for Chrf {
    fn default() -> Self {
        Self {
            char_order: 6,
            word_order: 0,
            beta: 2,
            lowercase: false,
            whitespace: false,
            epsilon: false,
        }
    }
}

/// N-grams of one order: of the hypothesis, of the reference, of both.
#[derive(Clone, Copy)]
struct Counts {
    hypothesis: f64,
    reference: f64,
    matches: f64,
}

impl Chrf {
    /// chrF++: also words and pairs of words.
    pub fn plus_plus() -> Self {
        Self { word_order: 2, ..Self::default() }
    }

    fn orders(&self) -> usize {
        self.char_order + self.word_order
    }

    /// F-score of `[orders * 3]` statistics, from 0 to 100.
    fn f_score(&self, statistics: &[f64]) -> f64 {
        let counts = statistics.chunks_exact(3).map(|counts| Counts {
            hypothesis: counts[0],
            reference: counts[1],
            matches: counts[2],
        });
        if self.epsilon { self.mean_of_f_scores(counts) } else { self.f_score_of_means(counts) }
    }

    fn mean_of_f_scores(&self, counts: impl Iterator<Item = Counts>) -> f64 {
        let part = |matches, whole| if whole > 0.0 { matches / whole } else { EPSILON };
        let sum = counts.fold(0.0, |sum, Counts { hypothesis, reference, matches }| {
            let (precision, recall) = (part(matches, hypothesis), part(matches, reference));
            sum + self.f_beta(precision, recall).unwrap_or(EPSILON)
        });
        100.0 * sum / self.orders() as f64
    }

    fn f_score_of_means(&self, counts: impl Iterator<Item = Counts>) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
        for Counts { hypothesis, reference, matches } in counts {
            if hypothesis > 0.0 && reference > 0.0 {
                precision += matches / hypothesis;
                recall += matches / reference;
                orders += 1.0;
            }
        }
        if orders == 0.0 {
            return 0.0;
        }
        100.0 * self.f_beta(precision / orders, recall / orders).unwrap_or(0.0)
    }

    /// Weighted harmonic mean; `None` if both are 0.
    fn f_beta(&self, precision: f64, recall: f64) -> Option<f64> {
        let factor = f64::from(self.beta).powi(2);
        let weighted = factor * precision + recall;
        (weighted > 0.0).then(|| (1.0 + factor) * precision * recall / weighted)
    }

    fn cased<'a>(&self, line: &'a str) -> Cow<'a, str> {
        if self.lowercase { line.to_lowercase().into() } else { line.into() }
    }

    fn characters(&self, line: &str) -> impl Iterator<Item = char> {
        line.chars().filter(|&character| self.whitespace || !is_space(character))
    }
}

/// Words, with one mark of punctuation apart: the last character, else the first.
fn divided(line: &str) -> Vec<&str> {
    let mut divided = Vec::new();
    for word in words(line) {
        let (first, last) = (word.chars().next(), word.chars().next_back());
        let cut = match (first, last) {
            (Some(first), _) if first.len_utf8() == word.len() => 0,
            (_, Some(last)) if is_punctuation(last) => word.len() - last.len_utf8(),
            (Some(first), _) if is_punctuation(first) => first.len_utf8(),
            _ => 0,
        };
        let (left, right) = word.split_at(cut);
        divided.extend([left, right].iter().filter(|part| !part.is_empty()));
    }
    divided
}

/// Appends the statistics of orders 1 to `max_order` to the row of every
/// reference; the first sequence is the hypothesis.
fn count(symbols: &Symbols, max_order: usize, rows: &mut [Vec<f64>]) {
    let begin = rows.first().map_or(0, Vec::len);
    for (row, reference) in rows.iter_mut().zip(1..) {
        for order in 1..=max_order {
            let of_reference = symbols.total(reference, order);
            let of_hypothesis = if of_reference > 0 { symbols.total(0, order) } else { 0 };
            row.extend([of_hypothesis as f64, of_reference as f64, 0.0]);
        }
    }
    symbols.visit(max_order, |order, counts| {
        for (row, &of_reference) in rows.iter_mut().zip(&counts[1..]) {
            row[begin + 3 * order - 1] += counts[0].min(of_reference) as f64;
        }
    });
}

impl Summed for Chrf {
    fn value(&self, sums: &[f64]) -> f64 {
        assert_eq!(sums.len(), self.width(), "statistics of chrF");
        self.f_score(sums)
    }
}

impl TranslationMetric for Chrf {
    fn name(&self) -> String {
        format!("chrF{}{}", self.beta, "+".repeat(self.word_order))
    }

    fn check(&self) -> Result<()> {
        if self.orders() > 0 {
            return Ok(());
        }
        let problem = "n-grams of characters or words are needed".to_owned();
        Err(Error::Metric { metric: "chrF", problem })
    }

    fn width(&self) -> usize {
        3 * self.orders()
    }

    fn line(&self, hypothesis: &str, references: &[&str]) -> Vec<f64> {
        let lines = std::iter::once(&hypothesis).chain(references);
        let texts: Vec<Cow<str>> = lines.map(|line| self.cased(line)).collect();
        let mut rows = vec![Vec::with_capacity(self.width()); references.len()];
        let characters = Symbols::characters(texts.iter().map(|text| self.characters(text)));
        count(&characters, self.char_order, &mut rows);
        if self.word_order > 0 {
            let words: Vec<_> = texts.iter().map(|text| divided(text)).collect();
            count(&Symbols::words(&words), self.word_order, &mut rows);
        }
        let mut best: Option<(f64, Vec<f64>)> = None;
        for row in rows {
            let score = self.f_score(&row);
            if best.as_ref().is_none_or(|&(best, _)| score > best) {
                best = Some((score, row));
            }
        }
        best.map_or_else(|| vec![0.0; self.width()], |(_, row)| row)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
        vec![
            ("case", if self.lowercase { "lc" } else { "mixed" }.to_owned()),
            ("eff", yes(!self.epsilon)),
            ("nc", self.char_order.to_string()),
            ("nw", self.word_order.to_string()),
            ("space", yes(self.whitespace)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_is_set_apart() {
        let want = ["(hi", ")", "-", "it", "—x—", ".", ".", "é", "!", "."];
        assert_eq!(divided("(hi) -it —x— .. é! ."), want);
    }

    #[test]
    fn the_better_reference_counts() {
        let chrf = Chrf::default();
        let alone = chrf.sentence_score("ein Haus am See", &["ein Haus am Meer"]).unwrap();
        let both = chrf.sentence_score("ein Haus am See", &["nichts", "ein Haus am Meer"]).unwrap();
        assert_eq!(alone, both);
        assert!(alone > 50.0 && alone < 100.0, "{alone}");
    }

    #[test]
    fn without_ngrams_there_is_no_score() {
        let chrf = Chrf { char_order: 0, ..Chrf::default() };
        let error = chrf.sentence_score("x", &["x"]).unwrap_err().to_string();
        assert_eq!(error, "chrF: n-grams of characters or words are needed");
    }
}

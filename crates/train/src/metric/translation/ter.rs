//! TER (Snover et al., 2006).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{
    Summed, TranslationMetric, edits,
    text::{Numbers, trim_end, words},
    tokenize::{tercom, without_punctuation},
};

/// TER: edits (insertions, deletions, substitutions, shifts of phrases) that turn
/// a hypothesis into its reference, in percent of the reference's length; lower
/// is better, and it may exceed 100. The values are those of sacreBLEU 2.6, which
/// searches as Tercom does.
///
/// Statistics of a line: the fewest edits over its references, and their mean length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ter {
    /// Set punctuation apart, replace entities of XML, join lines.
    pub normalized: bool,
    /// Take punctuation out.
    pub no_punctuation: bool,
    /// Both of these also for Chinese and Japanese text.
    pub asian_support: bool,
    /// Upper and lower case differ.
    pub case_sensitive: bool,
}

impl Ter {
    fn tokenized<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(trim_end(line));
        if !self.case_sensitive {
            text = text.to_lowercase().into();
        }
        if self.normalized {
            text = tercom(&text, self.asian_support).into();
        }
        if self.no_punctuation {
            text = without_punctuation(&text, self.asian_support).into();
        }
        text
    }

    /// A reference is normalized a second time: sacreBLEU does so, and an `'s` before
    /// a tab is divided only then.
    fn tokenized_reference<'a>(&self, line: &'a str) -> Cow<'a, str> {
        let text = self.tokenized(line);
        if !self.normalized {
            return text;
        }
        self.tokenized(&words(&text).join(" ")).into_owned().into()
    }
}

impl Summed for Ter {
    fn value(&self, sums: &[f64]) -> f64 {
        let &[edits, length] = sums else {
            panic!("TER has 2 statistics, not {}", sums.len());
        };
        let rate = if length > 0.0 {
            edits / length
        } else if edits > 0.0 {
            1.0
        } else {
            0.0
        };
        100.0 * rate
    }
}

impl TranslationMetric for Ter {
    fn name(&self) -> String {
        "TER".to_owned()
    }

    fn higher_is_better(&self) -> bool {
        false
    }

    fn width(&self) -> usize {
        2
    }

    fn line(&self, hypothesis: &str, references: &[&str]) -> Vec<f64> {
        let hypothesis = self.tokenized(hypothesis);
        let references: Vec<Cow<str>> =
            references.iter().map(|line| self.tokenized_reference(line)).collect();
        let mut numbers = Numbers::default();
        let hypothesis = numbers.of(&words(&hypothesis));
        let references: Vec<Vec<u32>> =
            references.iter().map(|text| numbers.of(&words(text))).collect();
        let fewest = references.iter().map(|reference| edits::count(&hypothesis, reference)).min();
        let length: usize = references.iter().map(Vec::len).sum();
        let mean = length as f64 / references.len().max(1) as f64;
        vec![fewest.unwrap_or(hypothesis.len()) as f64, mean]
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
        vec![
            ("case", if self.case_sensitive { "mixed" } else { "lc" }.to_owned()),
            ("tok", "tercom".to_owned()),
            ("norm", yes(self.normalized)),
            ("punct", yes(!self.no_punctuation)),
            ("asian", yes(self.asian_support)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_per_word_of_the_mean_reference() {
        let ter = Ter::default();
        let row =
            ter.line("At night THE rain fell", &["the rain fell at night", "rain, rain, rain"]);
        assert_eq!(row, [1.0, 4.0], "one shift; 5 and 3 words");
        assert_eq!(ter.value(&row), 25.0);
        let ter = Ter { case_sensitive: true, ..ter };
        assert_eq!(ter.line("Rain", &["rain"]), [1.0, 1.0]);
    }

    #[test]
    fn without_words_there_is_nothing_or_everything_to_edit() {
        let score = |hypothesis, reference| {
            Ter::default().sentence_score(hypothesis, &[reference]).unwrap()
        };
        assert_eq!(score("\u{a0}", ""), 0.0);
        assert_eq!(score("rain", ""), 100.0);
        assert_eq!(score("", "rain"), 100.0);
        assert_eq!(score("so much more rain", "rain"), 300.0);
    }
}

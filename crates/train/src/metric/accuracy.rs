//! Scores of one label per token.

use std::collections::BTreeMap;

use super::report::{Counts, Report};
use crate::{Error, Result};

/// Counts labels of tokens.
#[derive(Debug, Clone, Default)]
pub struct AccuracyScorer {
    classes: BTreeMap<String, Counts>,
    tokens: usize,
    correct: usize,
}

impl AccuracyScorer {
    /// A scorer that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the labels of a sentence.
    ///
    /// # Errors
    /// If there are not as many predicted labels as gold ones.
    pub fn add<G, P>(&mut self, gold: &[G], predicted: &[P]) -> Result<()>
    where
        G: AsRef<str>,
        P: AsRef<str>,
    {
        same_length(gold.len(), predicted.len())?;
        for (gold, predicted) in gold.iter().zip(predicted) {
            let (gold, predicted) = (gold.as_ref(), predicted.as_ref());
            let correct = usize::from(gold == predicted);
            self.tokens += 1;
            self.correct += correct;
            let counts = class(&mut self.classes, gold);
            counts.gold += 1;
            counts.correct += correct;
            class(&mut self.classes, predicted).predicted += 1;
        }
        Ok(())
    }

    /// The scores so far; micro precision, recall and F1 equal the accuracy.
    pub fn report(&self) -> Report {
        Report::new(&self.classes, self.correct, self.tokens)
    }
}

/// Counts of a class, which may be a new one.
pub(super) fn class<'a>(classes: &'a mut BTreeMap<String, Counts>, label: &str) -> &'a mut Counts {
    classes.entry(label.to_owned()).or_default()
}

/// Refuses labels of different number.
pub(super) fn same_length(gold: usize, predicted: usize) -> Result<()> {
    if gold == predicted { Ok(()) } else { Err(Error::Lengths { gold, predicted }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_by_hand() {
        let mut scorer = AccuracyScorer::new();
        scorer.add(&["NOUN", "VERB", "NOUN"], &["NOUN", "NOUN", "NOUN"]).unwrap();
        scorer.add(&["NOUN"], &["ADJ"]).unwrap();
        let report = scorer.report();
        assert_eq!((report.tokens, report.accuracy, report.micro.f1), (4, 50.0, 50.0));
        let noun = report.class("NOUN").unwrap();
        assert_eq!((noun.gold, noun.predicted, noun.correct), (3, 3, 2));
        assert_eq!(report.class("VERB").unwrap().recall, 0.0);
        assert_eq!(report.class("ADJ").unwrap().predicted, 1);
        assert!((report.macro_average.f1 - 200.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn lengths_must_agree() {
        let error = AccuracyScorer::new().add(&["X"], &["X", "X"]).unwrap_err();
        assert_eq!(error.to_string(), "1 gold labels, but 2 predicted ones");
    }
}

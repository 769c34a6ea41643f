//! Scores of one label per token.

use std::collections::BTreeMap;

use super::{
    report::{Confusion, Counts, Report, confusions},
    statistics::Statistics,
};
use crate::{Error, Result};

/// Counts labels of tokens.
#[derive(Debug, Clone, Default)]
pub struct AccuracyScorer {
    classes: BTreeMap<String, Counts>,
    tokens: usize,
    correct: usize,
    sentences: Vec<Vec<f64>>,
    confusions: BTreeMap<(Option<String>, Option<String>), usize>,
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
        let before = self.correct;
        let len = gold.len() as f64;
        for (gold, predicted) in gold.iter().zip(predicted) {
            let (gold, predicted) = (gold.as_ref(), predicted.as_ref());
            let correct = usize::from(gold == predicted);
            if correct == 0 {
                let pair = (Some(gold.to_owned()), Some(predicted.to_owned()));
                *self.confusions.entry(pair).or_default() += 1;
            }
            self.tokens += 1;
            self.correct += correct;
            let counts = class(&mut self.classes, gold);
            counts.gold += 1;
            counts.correct += correct;
            class(&mut self.classes, predicted).predicted += 1;
        }
        self.sentences.push(vec![(self.correct - before) as f64, len, len]);
        Ok(())
    }

    /// Counts of the sentences, for [`F1`](super::F1) of samples of them.
    pub fn statistics(&self) -> Statistics {
        Statistics::new(self.sentences.clone(), 3, None)
    }

    /// Labels that were taken for others, the most frequent first.
    pub fn confusions(&self) -> Vec<Confusion> {
        confusions(&self.confusions)
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
    use crate::metric::{F1, Summed};

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
        let sums = scorer.statistics().sums();
        assert_eq!((&sums[..], F1.value(&sums)), (&[2.0, 4.0, 4.0][..], 50.0));
        let confused: Vec<_> = scorer.confusions().into_iter().map(|c| (c.gold, c.count)).collect();
        let [noun, verb] = ["NOUN", "VERB"].map(|label| (Some(label.to_owned()), 1));
        assert_eq!(confused, [noun, verb]);
    }

    #[test]
    fn lengths_must_agree() {
        let error = AccuracyScorer::new().add(&["X"], &["X", "X"]).unwrap_err();
        assert_eq!(error.to_string(), "1 gold labels, but 2 predicted ones");
    }
}

//! Scores of labelled spans, with the numbers of the CoNLL shared tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use glossator_text::tags;

use super::{
    accuracy::{class, same_length},
    report::{Confusion, Counts, Report, confusions},
    statistics::Statistics,
};
use crate::Result;

/// Counts spans: correct is one with the same first token, last token and label
/// as a gold one. Precision, recall, F1 and accuracy are those of `conlleval`
/// (Tjong Kim Sang and Buchholz, 2000).
#[derive(Debug, Clone, Default)]
pub struct SpanScorer {
    classes: BTreeMap<String, Counts>,
    tokens: usize,
    correct_tokens: usize,
    sentences: Vec<Vec<f64>>,
    confusions: BTreeMap<(Option<String>, Option<String>), usize>,
}

impl SpanScorer {
    /// A scorer that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the tags of a sentence and the spans they stand for.
    ///
    /// # Errors
    /// If there are not as many predicted tags as gold ones.
    pub fn add<G, P>(&mut self, gold: &[G], predicted: &[P]) -> Result<()>
    where
        G: AsRef<str>,
        P: AsRef<str>,
    {
        same_length(gold.len(), predicted.len())?;
        let tags = gold.iter().zip(predicted);
        self.tokens += gold.len();
        self.correct_tokens += tags.filter(|(g, p)| g.as_ref() == p.as_ref()).count();
        let (gold, predicted) = (tags::spans(gold), tags::spans(predicted));
        self.add_spans(
            gold.into_iter().map(|span| (span.tokens, span.label)),
            predicted.into_iter().map(|span| (span.tokens, span.label)),
        );
        Ok(())
    }

    /// Counts the spans of a sentence: ranges of tokens and labels. A gold span
    /// can be found once. The accuracy takes no part.
    pub fn add_spans<'a>(
        &mut self,
        gold: impl IntoIterator<Item = (Range<usize>, &'a str)>,
        predicted: impl IntoIterator<Item = (Range<usize>, &'a str)>,
    ) {
        let mut open = BTreeSet::new();
        let (mut golds, mut found, mut correct) = (0, 0, 0);
        for (tokens, label) in gold {
            class(&mut self.classes, label).gold += 1;
            golds += 1;
            open.insert((tokens.start, tokens.end, label));
        }
        let mut wrong = Vec::new();
        for (tokens, label) in predicted {
            let counts = class(&mut self.classes, label);
            let is_correct = open.remove(&(tokens.start, tokens.end, label));
            counts.predicted += 1;
            counts.correct += usize::from(is_correct);
            (found, correct) = (found + 1, correct + u32::from(is_correct));
            if !is_correct {
                wrong.push((tokens, label));
            }
        }
        self.sentences.push([correct, found, golds].map(f64::from).to_vec());
        for (tokens, label) in wrong {
            let place =
                open.iter().find(|(start, end, _)| (*start, *end) == (tokens.start, tokens.end));
            let gold = place.copied();
            if let Some(gold) = &gold {
                open.remove(gold);
            }
            self.confuse(gold.map(|(.., gold)| gold), Some(label));
        }
        for (.., label) in open {
            self.confuse(Some(label), None);
        }
    }

    fn confuse(&mut self, gold: Option<&str>, predicted: Option<&str>) {
        let pair = (gold.map(str::to_owned), predicted.map(str::to_owned));
        *self.confusions.entry(pair).or_default() += 1;
    }

    /// Counts of the sentences, for [`F1`](super::F1) of samples of them.
    pub fn statistics(&self) -> Statistics {
        Statistics::new(self.sentences.clone(), 3, None)
    }

    /// Labels of spans with the same bounds that were taken for others, spans that were
    /// missed, and spans that are none; the most frequent first.
    pub fn confusions(&self) -> Vec<Confusion> {
        confusions(&self.confusions)
    }

    /// The scores so far.
    pub fn report(&self) -> Report {
        Report::new(&self.classes, self.correct_tokens, self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two columns, gold and predicted; a blank line ends a sentence.
    const TAGS: &str = "\
B-PER B-PER
I-PER I-PER
O O
B-LOC B-LOC
I-LOC O
O B-LOC

B-ORG I-ORG
I-ORG I-ORG
B-ORG I-ORG
O I-PER
B-PER B-LOC
I-PER I-PER

I-LOC B-LOC
B-LOC B-LOC
I-MISC I-LOC
O O
";

    fn scored(file: &str) -> Report {
        let mut scorer = SpanScorer::new();
        for sentence in file.split("\n\n") {
            let rows: Vec<(&str, &str)> =
                sentence.lines().filter_map(|line| line.split_once(' ')).collect();
            let (gold, predicted): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            scorer.add(&gold, &predicted).unwrap();
        }
        scorer.report()
    }

    /// The report in the form of `conlleval`.
    fn conlleval(report: &Report) -> String {
        let mut text = format!(
            "processed {} tokens with {} phrases; found: {} phrases; correct: {}.\n\
             accuracy: {:6.2}%; precision: {:6.2}%; recall: {:6.2}%; FB1: {:6.2}\n",
            report.tokens,
            report.gold,
            report.predicted,
            report.correct,
            report.accuracy,
            report.micro.precision,
            report.micro.recall,
            report.micro.f1,
        );
        for class in &report.per_class {
            text += &format!(
                "{:>17}: precision: {:6.2}%; recall: {:6.2}%; FB1: {:6.2}  {}\n",
                class.label, class.precision, class.recall, class.f1, class.predicted
            );
        }
        text
    }

    #[test]
    fn numbers_are_those_of_conlleval() {
        // Gold: PER 0-2, LOC 3-5 | ORG 0-2, ORG 2-3, PER 4-6 | LOC 0-1, LOC 1-2, MISC 2-3.
        // Predicted: PER 0-2, LOC 3-4, LOC 5-6 | ORG 0-3, PER 3-4, LOC 4-5, PER 5-6 |
        // LOC 0-1, LOC 1-3. Correct: PER 0-2 | none | LOC 0-1. Tags: 4 + 2 + 2 of 16.
        let want = "\
processed 16 tokens with 8 phrases; found: 9 phrases; correct: 2.
accuracy:  50.00%; precision:  22.22%; recall:  25.00%; FB1:  23.53
              LOC: precision:  20.00%; recall:  33.33%; FB1:  25.00  5
             MISC: precision:   0.00%; recall:   0.00%; FB1:   0.00  0
              ORG: precision:   0.00%; recall:   0.00%; FB1:   0.00  1
              PER: precision:  33.33%; recall:  50.00%; FB1:  40.00  3
";
        assert_eq!(conlleval(&scored(TAGS)), want);
    }

    #[test]
    fn one_missed_span_scores_nothing() {
        let report = scored("B-PER O\nO O\n");
        assert_eq!((report.gold, report.predicted, report.accuracy), (1, 0, 50.0));
        assert_eq!(report.micro.f1, 0.0);
    }

    #[test]
    fn bare_spans_are_counted_once() {
        let mut scorer = SpanScorer::new();
        scorer.add_spans([(0..2, "PER"), (3..4, "LOC")], [(0..2, "PER"), (0..2, "PER")]);
        let report = scorer.report();
        assert_eq!((report.gold, report.predicted, report.correct), (2, 2, 1));
        assert_eq!((report.tokens, report.accuracy), (0, 0.0));
    }
}

//! Precision, recall and F1 of every class and of all.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::statistics::Summed;

/// Precision, recall and their harmonic mean, in percent. What would be
/// divided by nothing is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Part of the predicted ones that is correct.
    pub precision: f64,
    /// Part of the gold ones that was found.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// Score of one class, with its counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Name of the class.
    pub label: String,
    /// Part of the predicted ones that is correct, in percent.
    pub precision: f64,
    /// Part of the gold ones that was found, in percent.
    pub recall: f64,
    /// Harmonic mean of both, in percent.
    pub f1: f64,
    /// Number in the gold data.
    pub gold: usize,
    /// Number predicted.
    pub predicted: usize,
    /// Number predicted that is in the gold data.
    pub correct: usize,
}

/// Scores of all classes. As JSON it has full precision; as text it is a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Scores of the classes, sorted by label.
    pub per_class: Vec<ClassScore>,
    /// Score over all phrases (or tokens), whatever their class.
    pub micro: Score,
    /// Means of the scores of the classes.
    #[serde(rename = "macro")]
    pub macro_average: Score,
    /// Tokens with the gold tag, in percent; 0 if no tags were given.
    pub accuracy: f64,
    /// Number of tokens.
    pub tokens: usize,
    /// Number of phrases (or tokens) in the gold data.
    pub gold: usize,
    /// Number of phrases (or tokens) predicted.
    pub predicted: usize,
    /// Number of phrases (or tokens) predicted that are in the gold data.
    pub correct: usize,
}

/// Labels that were taken for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The gold label; none where nothing should be.
    pub gold: Option<String>,
    /// The predicted label; none where nothing was found.
    pub predicted: Option<String>,
    /// How often.
    pub count: usize,
}

/// How often which labels were taken for each other, the most frequent first.
pub(super) fn confusions(
    counts: &BTreeMap<(Option<String>, Option<String>), usize>,
) -> Vec<Confusion> {
    let confusion = |((gold, predicted), count): (&(Option<String>, Option<String>), &usize)| {
        Confusion { gold: gold.clone(), predicted: predicted.clone(), count: *count }
    };
    let mut confusions: Vec<_> = counts.iter().map(confusion).collect();
    confusions.sort_by_key(|confusion| std::cmp::Reverse(confusion.count));
    confusions
}

/// Micro-averaged F1 of summed counts: correct ones, predicted ones, gold ones. Of
/// labels of words it is the accuracy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct F1;

impl Summed for F1 {
    fn value(&self, sums: &[f64]) -> f64 {
        let [correct, predicted, gold] = [sums[0], sums[1], sums[2]];
        if predicted + gold > 0.0 { 200.0 * correct / (predicted + gold) } else { 0.0 }
    }
}

/// Counts of one class.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) gold: usize,
    pub(super) predicted: usize,
    pub(super) correct: usize,
}

impl Counts {
    fn score(self) -> Score {
        let precision = percent(self.correct, self.predicted);
        let recall = percent(self.correct, self.gold);
        let sum = precision + recall;
        let f1 = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
        Score { precision, recall, f1 }
    }
}

/// Part of the whole, in percent; 0 of nothing.
fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

impl Report {
    /// Scores of counts by class, and of `correct_tokens` of `tokens`.
    pub(super) fn new(
        classes: &BTreeMap<String, Counts>,
        correct_tokens: usize,
        tokens: usize,
    ) -> Self {
        let per_class: Vec<ClassScore> = classes
            .iter()
            .map(|(label, &counts)| {
                let Score { precision, recall, f1 } = counts.score();
                let Counts { gold, predicted, correct } = counts;
                let label = label.clone();
                ClassScore { label, precision, recall, f1, gold, predicted, correct }
            })
            .collect();
        let total = classes.values().fold(Counts::default(), |sum, counts| Counts {
            gold: sum.gold + counts.gold,
            predicted: sum.predicted + counts.predicted,
            correct: sum.correct + counts.correct,
        });
        let mean = |value: fn(&ClassScore) -> f64| {
            // A sum of no numbers would be -0.
            let sum = per_class.iter().map(value).fold(0.0, |sum, value| sum + value);
            sum / per_class.len().max(1) as f64
        };
        Self {
            micro: total.score(),
            macro_average: Score {
                precision: mean(|class| class.precision),
                recall: mean(|class| class.recall),
                f1: mean(|class| class.f1),
            },
            per_class,
            accuracy: percent(correct_tokens, tokens),
            tokens,
            gold: total.gold,
            predicted: total.predicted,
            correct: total.correct,
        }
    }

    /// Score of the class of that name.
    pub fn class(&self, label: &str) -> Option<&ClassScore> {
        self.per_class.iter().find(|class| class.label == label)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.per_class.iter().map(|class| class.label.chars().count());
        let width = widths.max().unwrap_or(0).max("accuracy".len());
        let titles = ["precision", "recall", "f1", "gold", "predicted", "correct"];
        write!(f, "{:width$}", "")?;
        for title in titles {
            write!(f, "  {title:>9}")?;
        }
        writeln!(f)?;
        let mut row = |label: &str, [p, r, f1]: [f64; 3], counts: Option<[usize; 3]>| {
            write!(f, "{label:width$}  {p:9.2}  {r:9.2}  {f1:9.2}")?;
            for count in counts.into_iter().flatten() {
                write!(f, "  {count:9}")?;
            }
            writeln!(f)
        };
        for class in &self.per_class {
            let ClassScore { label, precision, recall, f1, gold, predicted, correct } = class;
            let counts = [*gold, *predicted, *correct];
            row(label, [*precision, *recall, *f1], Some(counts))?;
        }
        let counts = [self.gold, self.predicted, self.correct];
        row("micro", self.micro.into(), Some(counts))?;
        row("macro", self.macro_average.into(), None)?;
        if self.tokens > 0 {
            let (accuracy, tokens) = (self.accuracy, self.tokens);
            writeln!(f, "{:width$}  {accuracy:9.2}  of {tokens} tokens", "accuracy")?;
        }
        Ok(())
    }
}

impl From<Score> for [f64; 3] {
    fn from(score: Score) -> Self {
        [score.precision, score.recall, score.f1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_scores_nothing() {
        let report = Report::new(&BTreeMap::new(), 0, 0);
        assert_eq!(report, Report::default());
        assert!(!report.to_string().contains('-'), "{report}");
        let missed = Counts { gold: 1, predicted: 0, correct: 0 };
        let report = Report::new(&BTreeMap::from([("PER".to_owned(), missed)]), 1, 2);
        assert_eq!(report.micro, Score::default());
        assert_eq!(report.accuracy, 50.0);
    }

    #[test]
    fn text_is_aligned_and_json_exact() {
        let counts = Counts { gold: 3, predicted: 3, correct: 1 };
        let report = Report::new(&BTreeMap::from([("ÖRT".to_owned(), counts)]), 9, 10);
        let want = "          precision     recall         f1       gold  predicted    correct
ÖRT           33.33      33.33      33.33          3          3          1
micro         33.33      33.33      33.33          3          3          1
macro         33.33      33.33      33.33
accuracy      90.00  of 10 tokens
";
        assert_eq!(report.to_string(), want);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["macro"]["f1"], 100.0 / 3.0);
        assert_eq!(json["per_class"][0]["label"], "ÖRT");
    }
}

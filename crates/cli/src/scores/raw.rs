//! How well raw text is split and labelled.

use glossator::segment::score::{Counts, Scores};
use serde_json::{Value, json};

use super::Metric;

/// Scores of the raw text of treebanks.
pub struct Raw(pub Scores);

impl Raw {
    /// The value of a metric, if it is one of these.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        let counts = match metric {
            Metric::Tokens => self.0.tokens,
            Metric::Words => self.0.words,
            Metric::Sentences => self.0.sentences,
            Metric::Labels => self.0.labels?,
            _ => return None,
        };
        Some(100.0 * counts.f1())
    }

    fn rows(&self) -> impl Iterator<Item = (Metric, Counts)> {
        let Scores { tokens, words, sentences, labels } = self.0;
        let rows = [
            (Metric::Tokens, Some(tokens)),
            (Metric::Words, Some(words)),
            (Metric::Sentences, Some(sentences)),
            (Metric::Labels, labels),
        ];
        rows.into_iter().filter_map(|(metric, counts)| Some((metric, counts?)))
    }

    pub fn table(&self) -> String {
        let mut table = format!(
            "{:10} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "", "precision", "recall", "f1", "found", "gold"
        );
        for (metric, counts) in self.rows() {
            table += &format!(
                "{metric:10} {:>9.2} {:>9.2} {:>9.2} {:>9} {:>9}\n",
                100.0 * counts.precision(),
                100.0 * counts.recall(),
                100.0 * counts.f1(),
                counts.found,
                counts.gold
            );
        }
        table
    }

    pub fn to_json(&self) -> Value {
        let row = |(metric, counts): (Metric, Counts)| {
            let value = json!({
                "precision": 100.0 * counts.precision(),
                "recall": 100.0 * counts.recall(),
                "f1": 100.0 * counts.f1(),
                "correct": counts.correct,
                "found": counts.found,
                "gold": counts.gold,
            });
            (metric.name().to_owned(), value)
        };
        Value::Object(self.rows().map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_f1_from_0_to_100() {
        let counts = |correct| Counts { correct, found: 4, gold: 4 };
        let raw = Raw(Scores {
            tokens: counts(4),
            words: counts(3),
            sentences: counts(2),
            labels: Some(counts(1)),
        });
        let values = Metric::OF_RAW_TEXT.iter().map(|metric| raw.get(*metric));
        assert_eq!(values.collect::<Vec<_>>(), [100.0, 75.0, 50.0, 25.0].map(Some));
        assert_eq!(raw.get(Metric::Accuracy), None);
        assert_eq!(raw.to_json()["words"]["f1"], 75.0);
        assert_eq!(raw.table().lines().count(), 5);
    }
}

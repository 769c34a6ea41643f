//! Scores by name, and what is asked of them.

mod metric;
mod raw;
mod translations;

use glossator::{
    Error, Sentence, TextScore,
    errors::TrainingError,
    tags::{self, Scheme},
    training::metric::{AccuracyScorer, Report, SpanScorer},
};
use serde_json::{Map, Value, json};

pub use self::{
    metric::{Bound, Metric},
    raw::Raw,
    translations::{Row, Translations},
};

/// What was found out.
pub enum Scores {
    /// How well labels agree.
    Labels(Scorer),
    /// How well a language model predicts a text.
    Text(TextScore),
    /// How near translations are to references.
    Translations(Translations),
    /// How well raw text is split.
    Raw(Raw),
}

impl Scores {
    /// The value of a metric, if it is one of these.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match self {
            Self::Labels(scorer) => metric.of_labels(&scorer.report()),
            Self::Text(score) => metric.of_text(score),
            Self::Translations(scores) => scores.get(metric),
            Self::Raw(scores) => scores.get(metric),
        }
    }

    /// All numbers, for reading.
    pub fn table(&self) -> String {
        match self {
            Self::Labels(scorer) => scorer.report().to_string(),
            Self::Text(score) => score.to_string(),
            Self::Translations(scores) => scores.table(),
            Self::Raw(scores) => scores.table(),
        }
    }

    /// A line with one number.
    pub fn line(&self, metric: Metric) -> String {
        let value = self.get(metric).map(|value| metric.show(value)).unwrap_or_default();
        match self {
            Self::Labels(_) | Self::Translations(_) | Self::Raw(_) => {
                format!("{metric:10} {value:>6}\n")
            }
            Self::Text(_) => format!("{metric:18}  {value}\n"),
        }
    }

    /// All numbers as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Labels(scorer) => scorer.to_json(),
            Self::Text(score) => Value::Object(text_to_json(score)),
            Self::Translations(scores) => scores.to_json(),
            Self::Raw(scores) => scores.to_json(),
        }
    }
}

/// The numbers of a text's score as JSON.
pub fn text_to_json(score: &TextScore) -> Map<String, Value> {
    let field = |metric: &Metric| {
        let value = metric.of_text(score)?;
        let value = if metric.is_count() { json!(value as u64) } else { json!(value) };
        Some((metric.name().replace('-', "_"), value))
    };
    Metric::OF_TEXT.iter().filter_map(field).collect()
}

/// Counts gold and predicted columns.
pub enum Scorer {
    Spans(SpanScorer),
    Words(AccuracyScorer),
}

impl Scorer {
    pub fn new(is_spans: bool) -> Self {
        match is_spans {
            true => Self::Spans(SpanScorer::new()),
            false => Self::Words(AccuracyScorer::new()),
        }
    }

    /// Counts a sentence. Tags of spans may be of any scheme.
    ///
    /// # Errors
    /// If there are not as many predicted labels as gold ones.
    pub fn add<G, P>(&mut self, gold: &[G], predicted: &[P]) -> Result<(), TrainingError>
    where
        G: AsRef<str>,
        P: AsRef<str>,
    {
        let iob2 = Scheme::Iob2;
        match self {
            Self::Spans(scorer) => {
                scorer.add(&tags::convert(gold, iob2), &tags::convert(predicted, iob2))
            }
            Self::Words(scorer) => scorer.add(gold, predicted),
        }
    }

    fn report(&self) -> Report {
        match self {
            Self::Spans(scorer) => scorer.report(),
            Self::Words(scorer) => scorer.report(),
        }
    }

    /// The report as JSON: all metrics, the counts and the classes.
    fn to_json(&self) -> Value {
        let report = self.report();
        let is_spans = matches!(self, Self::Spans(_));
        let fits = |metric: &&Metric| is_spans || **metric != Metric::SpanF1;
        let mut object: Map<String, Value> = Metric::OF_LABELS
            .iter()
            .filter(fits)
            .map(|metric| (metric.name().to_owned(), json!(metric.of_labels(&report))))
            .collect();
        for (name, count) in [
            ("tokens", report.tokens),
            ("gold", report.gold),
            ("predicted", report.predicted),
            ("correct", report.correct),
        ] {
            object.insert(name.to_owned(), json!(count));
        }
        object.insert("per_class".to_owned(), json!(report.per_class));
        Value::Object(object)
    }
}

/// A column of labels: the one of that name, or that key of MISC.
///
/// # Errors
/// If the sentence has none.
pub fn column<'a>(sentence: &'a Sentence, name: &str) -> Result<Vec<&'a str>, Error> {
    sentence.gold(name).ok_or_else(|| {
        let problem = format!(
            "no column `{name}` to compare with; name the columns with --columns, or choose another with --layer"
        );
        Error::in_sentence(sentence, problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_do_not_matter_to_spans() {
        let mut scorer = Scorer::new(true);
        scorer.add(&["B-PER", "E-PER", "O"], &["I-PER", "I-PER", "B-LOC"]).unwrap();
        let json = scorer.to_json();
        assert_eq!(
            (json["recall"].as_f64(), json["precision"].as_f64()),
            (Some(100.0), Some(50.0))
        );
        assert_eq!(json["per_class"][0]["label"], "LOC");
        assert!(Scorer::new(false).to_json().get("span-f1").is_none());
    }

    #[test]
    fn a_number_is_printed_as_in_the_table() {
        let scores = Scores::Text(TextScore { characters: 100, unknown: 1, nats: 150.0 });
        for metric in [Metric::BitsPerCharacter, Metric::NatsPerCharacter, Metric::Perplexity] {
            let words = |text: &str| text.split_whitespace().last().map(str::to_owned);
            let line = scores.line(metric);
            assert!(scores.table().lines().any(|row| words(row) == words(&line)), "{line}");
        }
        assert_eq!((scores.get(Metric::F1), scores.line(Metric::Unknown).len()), (None, 22));
    }

    #[test]
    fn counts_are_whole_numbers_in_json() {
        let json = text_to_json(&TextScore { characters: 4, unknown: 1, nats: 2.0 });
        assert_eq!(json["characters"], 4);
        assert_eq!(json["nats_per_character"], 0.5);
        assert_eq!(json.len(), 5);
    }
}

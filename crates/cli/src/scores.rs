//! Scores by name, and what is asked of them.

use std::{fmt, str::FromStr};

use glossator::{
    Error, Sentence,
    errors::TrainingError,
    tags::{self, Scheme},
    training::metric::{AccuracyScorer, Report, SpanScorer},
};
use serde_json::{Map, Value, json};

/// A number of a report, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Accuracy,
    Precision,
    Recall,
    F1,
    SpanF1,
    MacroF1,
}

impl Metric {
    pub const ALL: &[Metric] = &[
        Metric::Accuracy,
        Metric::Precision,
        Metric::Recall,
        Metric::F1,
        Metric::SpanF1,
        Metric::MacroF1,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::Precision => "precision",
            Metric::Recall => "recall",
            Metric::F1 => "f1",
            Metric::SpanF1 => "span-f1",
            Metric::MacroF1 => "macro-f1",
        }
    }

    /// Its value; precision, recall and F1 are those over all classes.
    pub fn of(self, report: &Report) -> f64 {
        match self {
            Metric::Accuracy => report.accuracy,
            Metric::Precision => report.micro.precision,
            Metric::Recall => report.micro.recall,
            Metric::F1 | Metric::SpanF1 => report.micro.f1,
            Metric::MacroF1 => report.macro_average.f1,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no metric's.
#[derive(Debug, thiserror::Error)]
#[error("unknown metric `{0}`; known are accuracy, precision, recall, f1, span-f1 and macro-f1")]
pub struct UnknownMetric(String);

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        let found = Self::ALL.iter().copied().find(|metric| metric.name() == name);
        found.ok_or_else(|| UnknownMetric(name.to_owned()))
    }
}

/// A bound on a metric: `f1=90`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    pub metric: Metric,
    pub value: f64,
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (metric, value) = text.split_once('=').ok_or("expected METRIC=VALUE, as in f1=90")?;
        let metric = metric.parse().map_err(|error: UnknownMetric| error.to_string())?;
        match value.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Self { metric, value }),
            _ => Err(format!("`{value}` is no number")),
        }
    }
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

    pub fn report(&self) -> Report {
        match self {
            Self::Spans(scorer) => scorer.report(),
            Self::Words(scorer) => scorer.report(),
        }
    }

    /// The report as JSON: all metrics, the counts and the classes.
    pub fn to_json(&self) -> Value {
        let report = self.report();
        let is_spans = matches!(self, Self::Spans(_));
        let fits = |metric: &&Metric| is_spans || **metric != Metric::SpanF1;
        let mut object: Map<String, Value> = Metric::ALL
            .iter()
            .filter(fits)
            .map(|metric| (metric.name().to_owned(), json!(metric.of(&report))))
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
    fn bounds_are_named_numbers() {
        let bound = Bound { metric: Metric::MacroF1, value: 50.5 };
        assert_eq!("macro-f1=50.5".parse(), Ok(bound));
        for bad in ["f1", "f2=3", "f1=x", "f1=nan", "f1="] {
            assert!(bad.parse::<Bound>().is_err(), "{bad}");
        }
        for metric in Metric::ALL {
            assert_eq!(metric.to_string().parse::<Metric>().unwrap(), *metric);
        }
    }

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
}

//! Names of scores, and bounds on them.

use std::{fmt, str::FromStr};

use glossator::{TextScore, training::metric::Report};

/// A number of a report on labels, of translations or of raw text, 0 to 100, or of a language
/// model's score of a text, as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Accuracy,
    Precision,
    Recall,
    F1,
    SpanF1,
    MacroF1,
    BitsPerCharacter,
    NatsPerCharacter,
    Perplexity,
    Characters,
    Unknown,
    Bleu,
    Chrf,
    ChrfPlusPlus,
    Ter,
    Tokens,
    Words,
    Sentences,
    Labels,
}

impl Metric {
    /// Those of labels.
    pub const OF_LABELS: &[Metric] = Metric::ALL.split_at(6).0;
    /// Those of a text.
    pub const OF_TEXT: &[Metric] = Metric::ALL.split_at(6).1.split_at(5).0;
    /// Those of translations.
    pub const OF_TRANSLATIONS: &[Metric] = Metric::ALL.split_at(11).1.split_at(4).0;
    /// Those of raw text, split here.
    pub const OF_RAW_TEXT: &[Metric] = Metric::ALL.split_at(15).1;

    pub const ALL: &[Metric] = &[
        Metric::Accuracy,
        Metric::Precision,
        Metric::Recall,
        Metric::F1,
        Metric::SpanF1,
        Metric::MacroF1,
        Metric::BitsPerCharacter,
        Metric::NatsPerCharacter,
        Metric::Perplexity,
        Metric::Characters,
        Metric::Unknown,
        Metric::Bleu,
        Metric::Chrf,
        Metric::ChrfPlusPlus,
        Metric::Ter,
        Metric::Tokens,
        Metric::Words,
        Metric::Sentences,
        Metric::Labels,
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
            Metric::BitsPerCharacter => "bits-per-character",
            Metric::NatsPerCharacter => "nats-per-character",
            Metric::Perplexity => "perplexity",
            Metric::Characters => "characters",
            Metric::Unknown => "unknown",
            Metric::Bleu => "bleu",
            Metric::Chrf => "chrf",
            Metric::ChrfPlusPlus => "chrf++",
            Metric::Ter => "ter",
            Metric::Tokens => "tokens",
            Metric::Words => "words",
            Metric::Sentences => "sentences",
            Metric::Labels => "labels",
        }
    }

    /// Whether it is a number of things.
    pub fn is_count(self) -> bool {
        matches!(self, Metric::Characters | Metric::Unknown)
    }

    /// Its value in a report on labels, if it has one; precision, recall and F1
    /// are those over all classes.
    pub fn of_labels(self, report: &Report) -> Option<f64> {
        match self {
            Metric::Accuracy => Some(report.accuracy),
            Metric::Precision => Some(report.micro.precision),
            Metric::Recall => Some(report.micro.recall),
            Metric::F1 | Metric::SpanF1 => Some(report.micro.f1),
            Metric::MacroF1 => Some(report.macro_average.f1),
            _ => None,
        }
    }

    /// Its value in the score of a text, if it has one.
    pub fn of_text(self, score: &TextScore) -> Option<f64> {
        match self {
            Metric::BitsPerCharacter => Some(score.bits_per_character()),
            Metric::NatsPerCharacter => Some(score.nats_per_character()),
            Metric::Perplexity => Some(score.perplexity()),
            Metric::Characters => Some(score.characters as f64),
            Metric::Unknown => Some(score.unknown as f64),
            _ => None,
        }
    }

    /// A value as it is printed.
    pub fn show(self, value: f64) -> String {
        let decimals = match self {
            _ if self.is_count() => 0,
            _ if Self::OF_TEXT.contains(&self) => 4,
            _ => 2,
        };
        format!("{value:.decimals$}")
    }

    /// Names of some metrics, for messages.
    pub fn names(metrics: &[Metric]) -> String {
        metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no metric's.
#[derive(Debug, thiserror::Error)]
#[error("unknown metric `{0}`; known are {known}", known = Metric::names(Metric::ALL))]
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

#[cfg(test)]
mod tests {
    use glossator::training::metric::translation;

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
    fn every_metric_is_of_one_kind() {
        let kinds =
            [Metric::OF_LABELS, Metric::OF_TEXT, Metric::OF_TRANSLATIONS, Metric::OF_RAW_TEXT];
        assert_eq!(kinds.concat(), Metric::ALL);
        for metric in Metric::OF_TRANSLATIONS {
            assert!(translation::by_name(metric.name()).is_some(), "{metric}");
        }
        let score = TextScore { characters: 2, unknown: 1, nats: 4.0 };
        for metric in Metric::OF_TEXT {
            assert!(metric.of_text(&score).is_some(), "{metric}");
        }
        for metric in Metric::OF_LABELS {
            assert!(metric.of_text(&score).is_none(), "{metric}");
        }
        let show = |metric: Metric| metric.of_text(&score).map(|value| metric.show(value));
        assert_eq!(show(Metric::NatsPerCharacter).as_deref(), Some("2.0000"));
        assert_eq!(show(Metric::BitsPerCharacter).as_deref(), Some("2.8854"));
        assert_eq!(show(Metric::Characters).as_deref(), Some("2"));
    }
}

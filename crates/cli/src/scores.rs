//! Scores by name, and what is asked of them.

mod metric;
mod raw;
mod translations;

use glossator::{
    Error, Sentence, TextScore,
    errors::TrainingError,
    tags::{self, Scheme},
    training::metric::{
        AccuracyScorer, Calibration, CalibrationScorer, Comparison, Confusion, F1, Interval,
        Report, Resampling, Sampler, SpanScorer, Statistics,
    },
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
    Labels(Labels),
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
            Self::Labels(labels) => metric.of_labels(&labels.report),
            Self::Text(score) => metric.of_text(score),
            Self::Translations(scores) => scores.get(metric),
            Self::Raw(scores) => scores.get(metric),
        }
    }

    /// All numbers, for reading.
    pub fn table(&self) -> String {
        match self {
            Self::Labels(labels) => labels.table(),
            Self::Text(score) => score.to_string(),
            Self::Translations(scores) => scores.table(),
            Self::Raw(scores) => scores.table(),
        }
    }

    /// A line with one number.
    pub fn line(&self, metric: Metric) -> String {
        let value = self.get(metric).map(|value| metric.show(value)).unwrap_or_default();
        let compared = match self {
            Self::Labels(labels) => labels.comparison(metric),
            Self::Translations(scores) => scores.comparison(metric),
            Self::Text(_) | Self::Raw(_) => None,
        };
        let beside = compared
            .map(|(baseline, p_value)| format!("   {}", against(baseline, p_value)))
            .unwrap_or_default();
        match self {
            Self::Labels(_) | Self::Translations(_) | Self::Raw(_) => {
                format!("{metric:10} {value:>6}{beside}\n")
            }
            Self::Text(_) => format!("{metric:18}  {value}\n"),
        }
    }

    /// All numbers as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Labels(labels) => labels.to_json(),
            Self::Text(score) => Value::Object(text_to_json(score)),
            Self::Translations(scores) => scores.to_json(),
            Self::Raw(scores) => scores.to_json(),
        }
    }
}

/// How a score compares with that of a baseline.
fn against(baseline: f64, p_value: f64) -> String {
    format!("baseline {baseline:.2}, p = {p_value:.4}")
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

    fn statistics(&self) -> Statistics {
        match self {
            Self::Spans(scorer) => scorer.statistics(),
            Self::Words(scorer) => scorer.statistics(),
        }
    }

    fn confusions(&self) -> Vec<Confusion> {
        match self {
            Self::Spans(scorer) => scorer.confusions(),
            Self::Words(scorer) => scorer.confusions(),
        }
    }
}

/// Most confusions of a table.
const MOST_CONFUSIONS: usize = 30;

/// How well labels agree.
pub struct Labels {
    report: Report,
    is_spans: bool,
    /// Of micro-averaged F1, which is the accuracy of words.
    interval: Interval,
    comparison: Option<Comparison>,
    /// What was taken for what, if it was asked for.
    confusions: Option<Vec<Confusion>>,
    /// How far probabilities can be trusted, if it was asked for.
    calibration: Option<Calibration>,
}

impl Labels {
    /// The scores of what was counted, and how they compare with a baseline's.
    ///
    /// # Errors
    /// If the baseline counted other sentences.
    pub fn new(
        scorer: &Scorer,
        baseline: Option<&Scorer>,
        seed: Option<u64>,
        confusion: bool,
        calibration: Option<&CalibrationScorer>,
    ) -> Result<Self, TrainingError> {
        let kind = Resampling::Bootstrap;
        let usual = Sampler::usual(kind);
        let sampler = Sampler { seed: seed.unwrap_or(usual.seed), ..usual };
        let statistics = scorer.statistics();
        let compare = |baseline: &Scorer| {
            let baseline = baseline.statistics();
            let compared = sampler.compare(kind, &F1, &baseline, &statistics)?;
            // No sample exceeds a difference of nothing, which would make it look certain.
            let p_value = if baseline == statistics { 1.0 } else { compared.p_value };
            Ok::<_, TrainingError>(Comparison { p_value, ..compared })
        };
        Ok(Self {
            report: scorer.report(),
            is_spans: matches!(scorer, Scorer::Spans(_)),
            interval: sampler.interval(&F1, &statistics)?,
            comparison: baseline.map(compare).transpose()?,
            confusions: confusion.then(|| scorer.confusions()),
            calibration: match calibration {
                Some(calibration) => calibration.report(&sampler)?,
                None => None,
            },
        })
    }

    /// How a metric compares with that of a baseline: only the one that has an interval is.
    fn comparison(&self, metric: Metric) -> Option<(f64, f64)> {
        let is_compared = match self.is_spans {
            true => matches!(metric, Metric::F1 | Metric::SpanF1),
            false => matches!(metric, Metric::F1 | Metric::Accuracy),
        };
        let compared = self.comparison.as_ref().filter(|_| is_compared)?;
        Some((compared.baseline, compared.p_value))
    }

    /// Name of the number that has an interval.
    fn name(&self) -> &'static str {
        if self.is_spans { "f1" } else { "accuracy" }
    }

    fn table(&self) -> String {
        let mut table = self.report.to_string();
        table += &format!(
            "{} {:.2} ± {:.2} (95 % interval of 1000 bootstrap samples of sentences)\n",
            self.name(),
            self.report.micro.f1,
            self.interval.half_width
        );
        if let Some(Comparison { baseline, p_value, .. }) = self.comparison {
            table += &format!("{} (paired bootstrap)\n", against(baseline, p_value));
        }
        if let Some(calibration) = &self.calibration {
            table += &calibration.to_string();
        }
        for confusion in self.confusions.iter().flatten().take(MOST_CONFUSIONS) {
            let Confusion { gold, predicted, count } = confusion;
            let name = |label: &Option<String>| label.clone().unwrap_or_else(|| "nothing".into());
            table += &format!("{count:6}  {} taken for {}\n", name(gold), name(predicted));
        }
        table
    }

    /// All metrics, the counts and the classes.
    fn to_json(&self) -> Value {
        let report = &self.report;
        let fits = |metric: &&Metric| self.is_spans || **metric != Metric::SpanF1;
        let mut object: Map<String, Value> = Metric::OF_LABELS
            .iter()
            .filter(fits)
            .map(|metric| (metric.name().to_owned(), json!(metric.of_labels(report))))
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
        object.insert("interval".to_owned(), json!(self.interval));
        if let Some(comparison) = &self.comparison {
            object.insert("comparison".to_owned(), json!(comparison));
        }
        if let Some(calibration) = &self.calibration {
            object.insert("calibration".to_owned(), json!(calibration));
        }
        if let Some(confusions) = &self.confusions {
            object.insert("confusions".to_owned(), json!(confusions));
        }
        Value::Object(object)
    }
}

/// A column of labels: the one of that name, or that key of MISC.
///
/// # Errors
/// If the sentence has none.
pub fn column<'a>(sentence: &'a Sentence, name: &str) -> Result<Vec<&'a str>, Error> {
    sentence.gold(name).ok_or_else(|| Error::in_sentence(sentence, sentence.missing(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_do_not_matter_to_spans() {
        let mut scorer = Scorer::new(true);
        scorer.add(&["B-PER", "E-PER", "O"], &["I-PER", "I-PER", "B-LOC"]).unwrap();
        let json = Labels::new(&scorer, None, None, true, None).unwrap().to_json();
        assert_eq!(json["confusions"][0], json!({"gold": null, "predicted": "LOC", "count": 1}));
        assert_eq!(
            (json["recall"].as_f64(), json["precision"].as_f64()),
            (Some(100.0), Some(50.0))
        );
        assert_eq!(json["per_class"][0]["label"], "LOC");
        let mut words = Scorer::new(false);
        words.add(&["A", "B"], &["A", "A"]).unwrap();
        let labels = Labels::new(&words, Some(&words), Some(1), true, None).unwrap();
        assert!(labels.to_json().get("span-f1").is_none());
        let table = labels.table();
        for part in ["accuracy 50.00 ± 0.00", "baseline 50.00, p = 1.0000", "1  B taken for A"] {
            assert!(table.contains(part), "{table}");
        }
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

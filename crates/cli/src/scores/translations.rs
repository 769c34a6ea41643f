//! Scores of translations.

use std::fmt::Write;

use glossator::training::metric::translation::{Comparison, Interval};
use serde_json::{Map, Value, json};

use super::{Metric, against};

/// Scores of a file of translations.
pub struct Translations {
    /// One for each metric.
    pub rows: Vec<Row>,
    /// Lines that were scored.
    pub lines: usize,
}

/// A score.
pub struct Row {
    pub metric: Metric,
    /// Its name among those who use it.
    pub name: String,
    pub score: f64,
    pub interval: Interval,
    /// How it was computed.
    pub signature: String,
    /// What it is made of.
    pub details: Option<String>,
    /// How it compares with that of a baseline.
    pub comparison: Option<Comparison>,
}

impl Translations {
    /// The value of a metric, if it was computed.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.rows.iter().find(|row| row.metric == metric).map(|row| row.score)
    }

    /// How a metric compares with that of a baseline.
    pub fn comparison(&self, metric: Metric) -> Option<(f64, f64)> {
        let row = self.rows.iter().find(|row| row.metric == metric)?;
        row.comparison.as_ref().map(|compared| (compared.baseline, compared.p_value))
    }

    /// All numbers, for reading.
    pub fn table(&self) -> String {
        let mut table = String::new();
        for row in &self.rows {
            let half = row.interval.half_width;
            let _ = write!(table, "{:8} {:6.2} ± {half:.2}", row.name, row.score);
            if let Some(Comparison { baseline, p_value, .. }) = row.comparison {
                let _ = write!(table, "   {}", against(baseline, p_value));
            }
            if let Some(details) = &row.details {
                let _ = write!(table, "   {details}");
            }
            let _ = write!(table, "\n         {}\n", row.signature);
        }
        table
    }

    /// All numbers as JSON: those of each metric under its name.
    pub fn to_json(&self) -> Value {
        let of = |value: &dyn Fn(&Row) -> Value| -> Map<String, Value> {
            self.rows.iter().map(|row| (row.metric.name().to_owned(), value(row))).collect()
        };
        let mut object = of(&|row| json!(row.score));
        object.insert("lines".to_owned(), json!(self.lines));
        object.insert("intervals".to_owned(), of(&|row| json!(row.interval)).into());
        object.insert("signatures".to_owned(), of(&|row| json!(row.signature)).into());
        if self.rows.iter().any(|row| row.comparison.is_some()) {
            object.insert("comparisons".to_owned(), of(&|row| json!(row.comparison)).into());
        }
        Value::Object(object)
    }
}

//! What was measured, for reading and for programs.

use serde_json::{Map, Value, json};

use super::statistics::{Summary, quantile, sorted};

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub models: Vec<String>,
    pub device: String,
    pub precision: &'static str,
    pub threads: usize,
    pub instructions: String,
    /// Tokens of a batch; none if sentences came one at a time.
    pub batch_size: Option<usize>,
    pub sentences: usize,
    pub words: usize,
    pub characters: usize,
    /// Seconds of loading the models.
    pub load: f64,
    /// Seconds of reading and splitting the input.
    pub read: f64,
    /// Seconds of each run.
    pub runs: Vec<f64>,
    /// Seconds of each sentence of each run, if they came one at a time.
    pub latencies: Vec<f64>,
    /// Bytes of memory at most.
    pub peak_memory: Option<u64>,
}

impl Report {
    /// An aligned table.
    pub fn table(&self) -> String {
        let seconds = |seconds: f64| format!("{seconds:.3} s");
        let mut rows = vec![
            ("models", self.models.join(" ")),
            ("device", format!("{}, {}", self.device, self.instructions)),
            ("precision", self.precision.to_owned()),
            ("threads", self.threads.to_string()),
            ("batch size", self.batch_size.map_or("one sentence".to_owned(), |n| n.to_string())),
            ("sentences", self.sentences.to_string()),
            ("words", self.words.to_string()),
            ("characters", self.characters.to_string()),
            ("load", seconds(self.load)),
            ("read", seconds(self.read)),
            ("runs", self.runs.len().to_string()),
        ];
        for (name, summary) in self.rates() {
            rows.push((name, summary.as_ref().map(line).unwrap_or_default()));
        }
        if let Some([median, p95]) = self.latency() {
            let line = format!("median {median:.2}, 95th percentile {p95:.2}");
            rows.push(("ms per sentence", line));
        }
        if let Some(bytes) = self.peak_memory {
            rows.push(("peak memory", format!("{:.1} MB", bytes as f64 / 1e6)));
        }
        rows.iter().map(|(name, value)| format!("{name:21}  {value}\n")).collect()
    }

    /// One object.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "models": self.models,
            "device": self.device,
            "instructions": self.instructions,
            "precision": self.precision,
            "threads": self.threads,
            "sentences": self.sentences,
            "words": self.words,
            "characters": self.characters,
            "load_seconds": self.load,
            "read_seconds": self.read,
            "runs": self.runs.len(),
            "run_seconds": self.runs,
        });
        for (name, summary) in self.rates() {
            object[name.replace(' ', "_")] = summary.as_ref().map_or(Value::Null, summary_to_json);
        }
        if let Some(batch_size) = self.batch_size {
            object["batch_size"] = json!(batch_size);
        }
        if let Some([median, p95]) = self.latency() {
            object["milliseconds_per_sentence"] = json!({ "median": median, "p95": p95 });
        }
        if let Some(bytes) = self.peak_memory {
            object["peak_memory_bytes"] = json!(bytes);
        }
        object
    }

    /// Sentences, words, and characters, per second of the runs.
    fn rates(&self) -> [(&'static str, Option<Summary>); 3] {
        let of = |count: usize| {
            // No run is shorter than the clock can tell.
            let rates = self.runs.iter().map(|seconds| count as f64 / seconds.max(1e-9));
            Summary::of(&rates.collect::<Vec<_>>())
        };
        [
            ("sentences per second", of(self.sentences)),
            ("words per second", of(self.words)),
            ("characters per second", of(self.characters)),
        ]
    }

    /// Median and 95th percentile of the milliseconds of a sentence.
    fn latency(&self) -> Option<[f64; 2]> {
        let sorted = sorted(&self.latencies);
        Some([quantile(&sorted, 0.5)? * 1e3, quantile(&sorted, 0.95)? * 1e3])
    }
}

/// A summary in words.
fn line(summary: &Summary) -> String {
    let Summary { median, min, max, mean, interval } = summary;
    let mut line = format!("median {median:.0}, {min:.0} to {max:.0}, mean {mean:.0}");
    if let Some([low, high]) = interval {
        line += &format!(" (95 % interval {low:.0} to {high:.0})");
    }
    line
}

fn summary_to_json(summary: &Summary) -> Value {
    let Summary { median, min, max, mean, interval } = *summary;
    let mut object = Map::new();
    for (name, value) in [("median", median), ("min", min), ("max", max), ("mean", mean)] {
        object.insert(name.to_owned(), json!(value));
    }
    if let Some(interval) = interval {
        object.insert("interval".to_owned(), json!(interval));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            models: vec!["a".to_owned(), "b".to_owned()],
            words: 100,
            characters: 600,
            runs: vec![1.0, 2.0, 0.5],
            ..Report::default()
        }
    }

    #[test]
    fn rates_are_those_of_the_runs() {
        let json = report().to_json();
        let rate = &json["words_per_second"];
        assert_eq!(
            (&rate["median"], &rate["min"], &rate["max"]),
            (&json!(100.0), &json!(50.0), &json!(200.0))
        );
        assert_eq!(json["characters_per_second"]["max"], 1200.0);
        assert_eq!(rate["interval"].as_array().map(Vec::len), Some(2));
        assert!(
            report()
                .table()
                .contains("words per second       median 100, 50 to 200, mean 117 (95 % ")
        );
    }

    #[test]
    fn what_there_is_not_is_left_out() {
        let json = Report { runs: vec![1.0], ..report() }.to_json();
        assert_eq!(json["words_per_second"].get("interval"), None);
        for key in ["batch_size", "milliseconds_per_sentence", "peak_memory_bytes"] {
            assert_eq!(json.get(key), None, "{key}");
        }
        let more = Report {
            batch_size: Some(7),
            latencies: vec![0.002, 0.001, 0.003],
            peak_memory: Some(1_500_000),
            ..report()
        };
        let (json, table) = (more.to_json(), more.table());
        assert_eq!(
            (&json["batch_size"], &json["peak_memory_bytes"]),
            (&json!(7), &json!(1_500_000))
        );
        assert!((json["milliseconds_per_sentence"]["p95"].as_f64().unwrap() - 2.9).abs() < 1e-9);
        assert!(table.contains("median 2.00, 95th percentile 2.90") && table.contains("1.5 MB"));
    }
}

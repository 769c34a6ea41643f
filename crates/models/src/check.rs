//! Looking at corpora before training does.

use std::{collections::BTreeMap, path::PathBuf};

use glossator_text::{Sentence, tags};

use crate::{
    Result, RunConfig,
    tagger::train::{gold_column, open},
};

/// One thing that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The corpus file.
    pub path: PathBuf,
    /// Line, from 1, if it has one.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// Figures of one corpus file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Key of the configuration that names the file.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Sentences with words.
    pub sentences: usize,
    /// Words.
    pub tokens: usize,
    /// Labels and how often each occurs: classes of spans, or labels of words.
    pub labels: BTreeMap<String, usize>,
    /// Whether the labels are those of spans.
    pub is_spans: bool,
}

/// Reads all corpora of a configuration as training would.
///
/// # Errors
/// If a file cannot be read or lacks the gold column.
pub fn check(config: &RunConfig) -> Result<(Vec<Statistics>, Vec<Finding>)> {
    let (mut statistics, mut findings) = (Vec::new(), Vec::new());
    for (key, path) in config.data.files() {
        let sentences = open(key, path, &config.data)?;
        let mut columns = Vec::new();
        for sentence in &sentences {
            let tags = gold_column(sentence, &config.data.layer)?;
            columns.push(tags.into_iter().map(str::to_owned).collect::<Vec<_>>());
        }
        let detection = tags::detect(columns.iter().map(Vec::as_slice));
        let mut own = Statistics { key, path: path.to_owned(), ..Default::default() };
        own.is_spans = detection.is_spans();
        own.sentences = sentences.len();
        own.tokens = sentences.iter().map(Sentence::len).sum();
        if sentences.is_empty() {
            let message = "the file holds no sentences".to_owned();
            findings.push(Finding { path: path.to_owned(), line: None, message });
        }
        for (sentence, column) in sentences.iter().zip(&columns) {
            if own.is_spans {
                let scheme = detection.closest();
                for token in tags::violations(column, scheme) {
                    findings.push(broken(sentence, column, token, scheme));
                }
                for span in tags::spans(column) {
                    *own.labels.entry(span.label.to_owned()).or_default() += 1;
                }
            } else {
                for label in column {
                    *own.labels.entry(label.clone()).or_default() += 1;
                }
            }
        }
        statistics.push(own);
    }
    findings.extend(unseen(&statistics));
    Ok((statistics, findings))
}

/// A tag that cannot stand where it stands.
fn broken(sentence: &Sentence, column: &[String], token: usize, scheme: tags::Scheme) -> Finding {
    let before = token.checked_sub(1).map_or("the sentence's start", |t| &column[t]);
    let message = format!(
        "token {} `{}`: `{}` cannot follow `{before}` in {scheme}; training reads it as conlleval does",
        token + 1,
        sentence.token(token),
        column[token],
    );
    let (path, line) = sentence
        .place()
        .map_or((PathBuf::new(), None), |(path, line)| (path.to_owned(), Some(line)));
    Finding { path, line, message }
}

/// Labels of the other files that the first one, the training data, lacks.
fn unseen(statistics: &[Statistics]) -> Vec<Finding> {
    let Some((train, others)) = statistics.split_first() else { return Vec::new() };
    let mut findings = Vec::new();
    for other in others {
        for (label, count) in &other.labels {
            if !train.labels.contains_key(label) {
                let message =
                    format!("label `{label}` ({count} times) does not occur in the training data");
                findings.push(Finding { path: other.path.clone(), line: None, message });
            }
        }
    }
    findings
}

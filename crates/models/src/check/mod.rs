//! Looking at corpora before training does.

mod repeated;
mod words;

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::{Path, PathBuf},
};

use glossator_text::{
    Sentence,
    tags::{self, Scheme},
};

use repeated::Seen;

use crate::{
    EmbeddingConfig, Error, LanguageModelRunConfig, Result, TaggerRunConfig, TranslatorRunConfig,
    find::find,
    language_model::{self, KIND, LanguageModelModel},
    tagger::train::{gold_columns, open_what_can_be},
    translator,
};

/// One thing that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The corpus file.
    pub path: PathBuf,
    /// Line, from 1, if it has one.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl Finding {
    /// An error of a reader, whose message may begin with file and line.
    fn of_text(path: &Path, error: &glossator_text::Error) -> Self {
        let text = error.to_string();
        let behind = text.strip_prefix(&*path.to_string_lossy()).and_then(|t| t.strip_prefix(':'));
        let (line, message) = match behind.and_then(|behind| behind.split_once(": ")) {
            Some((line, message)) if line.parse::<usize>().is_ok() => (line.parse().ok(), message),
            _ => (None, behind.unwrap_or(&text).trim_start()),
        };
        Self { path: path.to_owned(), line, message: message.to_owned() }
    }
}

/// Figures of one corpus file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Key of the configuration that names the file.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The column of its labels.
    pub layer: String,
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
/// If a file cannot be opened or read, or a language model that is named is none.
pub fn check(config: &TaggerRunConfig) -> Result<(Vec<Statistics>, Vec<Finding>)> {
    for embedding in &config.tagger.embeddings {
        let model = match embedding {
            EmbeddingConfig::Contextual(config) => &config.model,
            EmbeddingConfig::Pooled(config) => &config.model,
            EmbeddingConfig::Words(_) | EmbeddingConfig::Characters(_) => continue,
        };
        find(model)?.config::<LanguageModelModel>(KIND)?;
    }
    let (mut statistics, mut findings) = (Vec::new(), Vec::new());
    let (mut known, several) = (HashSet::new(), !config.data.further_layers.is_empty());
    for layer in config.data.layers() {
        let mut of_layer = config.clone();
        of_layer.data.further_layers.clear();
        of_layer.data.layer.clone_from(layer);
        let (own, found) = check_layer(&of_layer)?;
        statistics.extend(own);
        for (of_labels, mut finding) in found {
            if of_labels && several {
                finding.message += &format!(" (layer `{layer}`)");
            }
            // What is said of the words is the same for each layer.
            if known.insert(finding.clone()) || of_labels {
                findings.push(finding);
            }
        }
    }
    Ok((statistics, findings))
}

/// Findings, and of each whether it is about the labels.
type FindingsOfLayer = Vec<(bool, Finding)>;

/// Looks at the corpora with their first layer alone.
fn check_layer(config: &TaggerRunConfig) -> Result<(Vec<Statistics>, FindingsOfLayer)> {
    let (mut statistics, mut findings) = (Vec::new(), Vec::new());
    let mut seen = Seen::default();
    for (key, path) in config.data.files() {
        let (sentences, unread) = match open_what_can_be(key, path, &config.data) {
            // What is wrong with the data is a finding, and the next file is looked at.
            Err(Error::Data { path, line, problem }) => {
                findings.push((false, Finding { path, line, message: problem }));
                continue;
            }
            Err(Error::Text(error)) if !error.is_io() && !error.is_usage() => {
                findings.push((false, Finding::of_text(path, &error)));
                continue;
            }
            sentences => sentences?,
        };
        findings.extend(of(false, unread.iter().map(|error| Finding::of_text(path, error))));
        let columns = gold_columns(&sentences, &config.data.layer)?;
        let detection = tags::detect(columns.iter().map(Vec::as_slice));
        let is_spans = detection.is_spans() || detection.stray().is_some();
        let (path_, layer) = (path.to_owned(), config.data.layer.clone());
        let mut own = Statistics { key, path: path_, layer, is_spans, ..Default::default() };
        own.sentences = sentences.len();
        own.tokens = sentences.iter().map(Sentence::len).sum();
        if sentences.is_empty() {
            let message = "the file holds no sentences".to_owned();
            findings.push((false, Finding { path: path.to_owned(), line: None, message }));
        }
        let is_train = key == "data.train";
        // In the training data it is labels that differ.
        findings.extend(of(is_train, seen.look(key, &sentences, &columns)));
        for (sentence, column) in sentences.iter().zip(&columns) {
            findings.extend(of(false, words::odd(sentence)));
            if is_spans {
                findings.extend(of(true, broken(sentence, column, detection.closest())));
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
    findings.extend(of(true, unseen(&statistics)));
    findings.extend(of(true, statistics.first().into_iter().flat_map(rare)));
    Ok((statistics, findings))
}

fn of(
    labels: bool,
    findings: impl IntoIterator<Item = Finding>,
) -> impl Iterator<Item = (bool, Finding)> {
    findings.into_iter().map(move |finding| (labels, finding))
}

/// Figures of the text of a language model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextStatistics {
    /// Files of the training text.
    pub files: usize,
    /// Its characters, line ends included.
    pub characters: usize,
    /// Kinds of characters.
    pub kinds: usize,
    /// Kinds that a dictionary made of it would hold.
    pub known: usize,
    /// Characters of the others, which would be one unknown character.
    pub unknown: usize,
    /// Characters of the development text.
    pub development: usize,
}

impl fmt::Display for TextStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, characters, kinds, known, unknown, development } = self;
        let part = 100.0 * *unknown as f64 / (*characters).max(1) as f64;
        writeln!(f, "training text: {files} file(s), {characters} characters of {kinds} kinds")?;
        writeln!(f, "dictionary: {known} kinds, {unknown} characters unknown ({part:.3} %)")?;
        writeln!(f, "development text: {development} characters")
    }
}

/// Reads the text of a language model's configuration as training would.
///
/// # Errors
/// If a file cannot be opened or read.
pub fn check_text(config: &LanguageModelRunConfig) -> Result<(TextStatistics, Vec<Finding>)> {
    let statistics = match language_model::train::statistics(config) {
        // What is wrong with the text is a finding.
        Err(Error::Data { path, line, problem }) => {
            return Ok((TextStatistics::default(), vec![Finding { path, line, message: problem }]));
        }
        Err(Error::Text(error)) if !error.is_io() && !error.is_usage() => {
            let finding = Finding::of_text(&config.data.train, &error);
            return Ok((TextStatistics::default(), vec![finding]));
        }
        statistics => statistics?,
    };
    Ok({
        let unknown = 100 * statistics.unknown > statistics.characters;
        let message = format!(
            "{} of {} characters would be unknown; see language_model.max_characters and \
             language_model.min_count, or data.dictionary",
            statistics.unknown, statistics.characters
        );
        let path = config.data.train.clone();
        let finding = unknown.then_some(Finding { path, line: None, message });
        (statistics, finding.into_iter().collect())
    })
}

/// Figures of the corpora of a translator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairStatistics {
    /// Of each part: its name, its pairs, and lines left out for one side of
    /// them is empty.
    pub parts: Vec<(&'static str, usize, usize)>,
    /// Units of the vocabulary.
    pub subwords: usize,
    /// Subwords of the source and of the target side of the training data.
    pub tokens: (usize, usize),
    /// Training pairs that are too long.
    pub too_long: usize,
}

impl fmt::Display for PairStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, pairs, empty) in &self.parts {
            writeln!(f, "{part}: {pairs} pairs, {empty} more with an empty line")?;
        }
        let (source, target) = self.tokens;
        writeln!(f, "vocabulary: {} subwords", self.subwords)?;
        writeln!(f, "training data: {source} subwords of source, {target} of target")?;
        writeln!(f, "too long: {} training pairs", self.too_long)
    }
}

/// Reads the corpora of a translator's configuration as training would.
///
/// # Errors
/// If a file cannot be opened or read.
pub fn check_pairs(config: &TranslatorRunConfig) -> Result<(PairStatistics, Vec<Finding>)> {
    match translator::train::statistics(config) {
        // What is wrong with the data is a finding.
        Err(Error::Data { path, line, problem }) => {
            Ok((PairStatistics::default(), vec![Finding { path, line, message: problem }]))
        }
        Err(Error::Text(error)) if !error.is_io() && !error.is_usage() => {
            let finding = Finding::of_text(&config.data.train_source, &error);
            Ok((PairStatistics::default(), vec![finding]))
        }
        statistics => Ok((statistics?, Vec::new())),
    }
}

/// A finding about a token.
fn of_token(sentence: &Sentence, token: usize, reason: &str) -> Finding {
    let place = sentence.token_place(token);
    let (path, line) =
        place.map_or((PathBuf::new(), None), |(path, line)| (path.to_owned(), Some(line)));
    let message = format!("token {} `{}`: {reason}", token + 1, sentence.token(token));
    Finding { path, line, message }
}

/// A label occurs so seldom that it may be a mistake, if one like it is so many times as
/// frequent.
const SELDOM: usize = 3;
const TIMES: usize = 20;

/// Rare labels that look like frequent ones.
fn rare(train: &Statistics) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (label, count) in train.labels.iter().filter(|(_, count)| **count <= SELDOM) {
        let near = |(other, times): &(&String, &usize)| {
            let far = strsim::osa_distance(&label.to_lowercase(), &other.to_lowercase());
            **times >= TIMES * count && far <= 1 + usize::from(label.len() > 4)
        };
        let nearest = train.labels.iter().filter(near).max_by_key(|(_, times)| **times);
        if let Some((other, times)) = nearest {
            let message = format!(
                "label `{label}` occurs {count} time(s), `{other}` {times} times: is it the same?"
            );
            findings.push(Finding { path: train.path.clone(), line: None, message });
        }
    }
    findings
}

/// Tags that are none, or that cannot stand where they stand.
fn broken(sentence: &Sentence, column: &[String], scheme: Scheme) -> Vec<Finding> {
    let violation = |token: usize| {
        let tag = &column[token];
        let before = token.checked_sub(1).map(|before| column[before].as_str());
        let reason = if !tags::is_tag(tag) {
            format!("`{tag}` is no tag of spans")
        } else if tags::allowed(scheme, before, Some(tag)) {
            format!(
                "the sentence cannot end with `{tag}` in {scheme}; training reads it as conlleval does"
            )
        } else {
            let before = before.map_or("the sentence's start".to_owned(), |tag| format!("`{tag}`"));
            format!(
                "`{tag}` cannot follow {before} in {scheme}; training reads it as conlleval does"
            )
        };
        of_token(sentence, token, &reason)
    };
    tags::violations(column, scheme).into_iter().map(violation).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_once() {
        let path = PathBuf::from("a.conll");
        let line =
            glossator_text::Error::Utf8 { path: path.clone(), line: 3, offset: 9, byte: 255 };
        let finding = Finding::of_text(&path, &line);
        assert_eq!((finding.line, finding.message.contains("a.conll")), (Some(3), false));
        assert!(finding.message.starts_with("byte 9"), "{finding:?}");
        let source = std::io::Error::other("x");
        let whole = glossator_text::Error::Compressed { path: path.clone(), source };
        let finding = Finding::of_text(&path, &whole);
        assert_eq!((finding.line, finding.message.starts_with("the compressed")), (None, true));
    }

    #[test]
    fn rare_labels_that_look_like_frequent_ones_are_asked_about() {
        let labels = [("LOC", 100), ("LCO", 1), ("loc", 2), ("PER", 3), ("DATE", 50), ("DTE", 4)];
        let labels = labels.map(|(label, count)| (label.to_owned(), count));
        let statistics = Statistics { labels: BTreeMap::from(labels), ..Statistics::default() };
        let messages: Vec<_> = rare(&statistics).into_iter().map(|f| f.message).collect();
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages.iter().all(|message| message.contains("`LOC` 100 times")), "{messages:?}");
    }
}

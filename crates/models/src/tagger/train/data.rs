//! Corpora with a gold column.

use std::path::Path;

use glossator_nn::Rng;
use glossator_text::{
    Sentence,
    corpus::{self, Sentences},
    tags::{self, Scheme},
};
use glossator_train::metric::{AccuracyScorer, Report, SpanScorer};

use crate::{DataConfig, Error, Result, TaggerRunConfig};

/// The corpora of a run.
pub(crate) struct Corpora {
    pub(crate) train: Vec<Sentence>,
    pub(crate) dev: Vec<Sentence>,
    pub(crate) test: Option<Vec<Sentence>>,
}

impl Corpora {
    /// Reads all corpora; without a development set a tenth of the training
    /// sentences becomes one, drawn by the seed.
    pub(crate) fn read(config: &TaggerRunConfig) -> Result<Self> {
        let data = &config.data;
        let mut train = open("data.train", &data.train, data)?;
        let dev = match &data.dev {
            Some(path) => open("data.dev", path, data)?,
            None => split(&mut train, config.seed),
        };
        let test = data.test.as_ref().map(|path| open("data.test", path, data)).transpose()?;
        for (name, path, sentences) in
            [("training", Some(&data.train), &train), ("development", data.dev.as_ref(), &dev)]
        {
            if sentences.is_empty() {
                let path = path.unwrap_or(&data.train).clone();
                let problem = format!("no sentences to take {name} data from");
                return Err(Error::Data { path, line: None, problem });
            }
        }
        Ok(Self { train, dev, test })
    }
}

/// Takes a tenth of the sentences out, at least one if there are two.
fn split(train: &mut Vec<Sentence>, seed: u64) -> Vec<Sentence> {
    let mut order: Vec<usize> = (0..train.len()).collect();
    Rng::new(seed, "dev", 0).shuffle(&mut order);
    order.truncate((train.len() / 10).max(usize::from(train.len() > 1)));
    let mut taken = vec![false; train.len()];
    order.into_iter().for_each(|i| taken[i] = true);
    let mut taken = taken.into_iter();
    let (dev, rest) =
        std::mem::take(train).into_iter().partition(|_| taken.next().unwrap_or(false));
    *train = rest;
    dev
}

/// Reads the sentences of a corpus that have words, and checks that all have
/// the gold columns.
pub(crate) fn open(key: &str, path: &Path, data: &DataConfig) -> Result<Vec<Sentence>> {
    with_words(&mut reader(key, path, data)?, path, data)
}

/// As [`open`], without the rows that cannot be, and what is wrong with these.
pub(crate) fn open_what_can_be(
    key: &str,
    path: &Path,
    data: &DataConfig,
) -> Result<(Vec<Sentence>, Vec<glossator_text::Error>)> {
    let mut reader = reader(key, path, data)?.skipping_broken();
    Ok((with_words(&mut reader, path, data)?, reader.broken()))
}

fn reader(key: &str, path: &Path, data: &DataConfig) -> Result<Sentences> {
    let missing = |source| Error::ConfigFile { key: key.to_owned(), path: path.to_owned(), source };
    std::fs::File::open(path).map_err(missing)?;
    Ok(corpus::open(path, 0, &data.read_options())?)
}

fn with_words(reader: &mut Sentences, path: &Path, data: &DataConfig) -> Result<Vec<Sentence>> {
    let mut sentences = Vec::new();
    for sentence in reader {
        let sentence = sentence?;
        if !sentence.is_empty() {
            data.layers().try_for_each(|column| gold_column(&sentence, column).map(drop))?;
            sentences.push(sentence);
        }
    }
    let is_nowhere = |column: &&String| !sentences.iter().any(|one| one.has_gold(column));
    if let Some(column) = data.layers().find(is_nowhere).filter(|_| !sentences.is_empty()) {
        let problem = format!("no word has a label of `{column}`; choose another layer");
        return Err(Error::Data { path: path.to_owned(), line: None, problem });
    }
    Ok(sentences)
}

/// The gold column of a sentence.
pub(crate) fn gold_column<'a>(sentence: &'a Sentence, column: &str) -> Result<Vec<&'a str>> {
    sentence.gold(column).ok_or_else(|| Error::in_sentence(sentence, sentence.missing(column)))
}

/// Gold tags of every sentence.
pub(crate) fn gold_columns(sentences: &[Sentence], column: &str) -> Result<Vec<Vec<String>>> {
    let owned = |sentence| {
        let tags = gold_column(sentence, column)?;
        Ok(tags.into_iter().map(str::to_owned).collect())
    };
    sentences.iter().map(owned).collect()
}

/// Scores the layer of tagged sentences against a gold column.
pub(crate) fn score(
    tagged: &[Sentence],
    column: &str,
    layer: &str,
    is_spans: bool,
) -> Result<Report> {
    let (mut spans, mut words) = (SpanScorer::new(), AccuracyScorer::new());
    for sentence in tagged {
        let gold = gold_column(sentence, column)?;
        let predicted =
            sentence.layer(layer).map(|layer| layer.column(sentence.len(), Scheme::Iob2));
        let predicted = predicted.unwrap_or_default();
        if is_spans {
            spans.add(&tags::convert(&gold, Scheme::Iob2), &predicted)?;
        } else {
            words.add(&gold, &predicted)?;
        }
    }
    Ok(if is_spans { spans.report() } else { words.report() })
}

//! What the training of a language model starts from: text, dictionary, first
//! weights.

use std::{collections::BTreeMap, path::Path};

use glossator_hub::FORMAT;
use glossator_nn::Weights;
use glossator_text::{
    Dictionary,
    raw::{HeldOut, RawText, TextOptions, documents},
};

use crate::{
    Error, LanguageModelRunConfig, Result,
    find::find,
    language_model::{
        KIND, LanguageModel, LanguageModelConfig, LanguageModelModel, ReadingDirection,
        infer::DICTIONARY,
    },
    stored,
};

/// Everything that is known before the first parameter is made.
pub(super) struct Start {
    pub(super) text: RawText,
    /// Development text, its documents with their line ends.
    pub(super) development: String,
    pub(super) model: LanguageModelModel,
    pub(super) dictionary: Dictionary,
    /// Weights of the model that is trained on from.
    pub(super) weights: Weights,
}

impl Start {
    pub(super) fn new(config: &LanguageModelRunConfig) -> Result<Self> {
        let data = &config.data;
        for (key, path) in config.data.files() {
            let missing =
                |source| Error::ConfigFile { key: key.to_owned(), path: path.to_owned(), source };
            std::fs::metadata(path).map_err(missing)?;
        }
        if let Some(test) = &data.test {
            // What is wrong with it is said now, not after days of training.
            read_through(test)?;
        }
        let max_chars = data.dev_chars;
        let held_out = data.dev.is_none().then_some(HeldOut { seed: config.seed, max_chars });
        let options = TextOptions { split_chars: data.split_chars, held_out };
        let text = RawText::scan(&data.train, &options)?;
        let development = match &data.dev {
            Some(path) => text_of(path, max_chars)?,
            None => text.held_out().concat(),
        };
        let (language_model, dictionary, weights) = match &config.init_from {
            Some(name) => from_model(config, name)?,
            None => {
                let dictionary = dictionary(config, &text)?;
                (config.language_model.clone(), dictionary, Weights::new())
            }
        };
        let model = LanguageModelModel {
            kind: KIND.to_owned(),
            format: FORMAT,
            precision: config.model.precision,
            compute: config.model.compute,
            vectors_only: false,
            language_model,
            development: None,
        };
        Ok(Self { text, development, model, dictionary, weights })
    }
}

/// Takes architecture, dictionary and weights of a model; what matters to
/// training alone stays as it is configured.
fn from_model(
    config: &LanguageModelRunConfig,
    name: &str,
) -> Result<(LanguageModelConfig, Dictionary, Weights)> {
    let bundle = find(name)?;
    // A model that cannot be loaded is refused here, with its name.
    LanguageModel::from_bundle(&bundle, None)?;
    let model: LanguageModelModel = bundle.config(KIND)?;
    let dictionary = bundle.json(DICTIONARY)?;
    let weights = stored::weights(&bundle, |_| true)?;
    let own = &config.language_model;
    let language_model = LanguageModelConfig {
        dropout: own.dropout,
        sequence_length: own.sequence_length,
        case_flips: own.case_flips,
        unknown: own.unknown,
        ..model.language_model
    };
    let refused = |problem: String| Err(Error::Config { path: name.into(), line: None, problem });
    if own.direction != language_model.direction {
        let reads = match language_model.direction {
            ReadingDirection::Forward => "forward",
            ReadingDirection::Backward => "backward",
        };
        return refused(format!(
            "it reads {reads}: set language_model.direction to \"{reads}\" to train on from it"
        ));
    }
    if model.vectors_only {
        return refused("it has no decoder, without which there is nothing to train".to_owned());
    }
    if config.data.dictionary.is_some() {
        return refused("it has a dictionary of its own: leave data.dictionary out".to_owned());
    }
    if language_model.document_delimiter != own.document_delimiter {
        return refused("its documents do not end with lines, as training text does".to_owned());
    }
    Ok((language_model, dictionary, weights))
}

/// The given dictionary, or that of the text.
fn dictionary(config: &LanguageModelRunConfig, text: &RawText) -> Result<Dictionary> {
    let Some(path) = &config.data.dictionary else {
        return Ok(of_text(config, text));
    };
    let read = std::fs::read(path)
        .map_err(|source| glossator_text::Error::Read { path: path.clone(), source })?;
    let problem = |problem: String| Error::Data { path: path.clone(), line: None, problem };
    let dictionary: Dictionary = serde_json::from_slice(&read)
        .map_err(|error| problem(format!("no list of characters in JSON: {error}")))?;
    if dictionary.iter().next() != Some("<unk>") || dictionary.len() < 2 {
        return Err(problem("the list must begin with \"<unk>\", and characters follow".into()));
    }
    if let Some(item) = dictionary.iter().skip(1).find(|item| item.chars().nth(1).is_some()) {
        return Err(problem(format!("`{item}` is more than one character")));
    }
    match dictionary.get(&config.language_model.document_delimiter) {
        None => Err(problem("the line break \"\\n\" must be one of the characters".into())),
        Some(_) => Ok(dictionary),
    }
}

/// The frequent characters of the text, the most frequent first; the line
/// break is always one of them.
fn of_text(config: &LanguageModelRunConfig, text: &RawText) -> Dictionary {
    let model = &config.language_model;
    let counts: BTreeMap<String, usize> =
        text.counts().iter().map(|(c, count)| (c.to_string(), *count)).collect();
    let max = Some(model.max_characters);
    let mut dictionary = Dictionary::from_counts(&counts, model.min_count, max);
    dictionary.add(&model.document_delimiter);
    dictionary
}

/// Reads a file or folder from end to end.
fn read_through(path: &Path) -> Result<()> {
    let mut empty = true;
    for document in documents(path)? {
        document?;
        empty = false;
    }
    if empty { Err(no_text(path)) } else { Ok(()) }
}

fn no_text(path: &Path) -> Error {
    let problem = "the file holds no text".to_owned();
    Error::Data { path: path.to_owned(), line: None, problem }
}

/// The documents of a file or folder as one text; of a longer one the first
/// `max_chars` characters, to the end of a document.
pub(super) fn text_of(path: &Path, max_chars: usize) -> Result<String> {
    let (mut text, mut characters) = (String::new(), 0);
    for document in documents(path)? {
        let document = document?.text;
        characters += document.chars().count();
        text.push_str(&document);
        if characters >= max_chars {
            break;
        }
    }
    match text.is_empty() {
        true => Err(no_text(path)),
        false => Ok(text),
    }
}

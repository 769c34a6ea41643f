//! The configuration of a training run.

use std::path::{Path, PathBuf};

use glossator_hub::StoredPrecision;
use glossator_text::corpus::{Format, ReadOptions};
use glossator_train::TrainingConfig;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, TaggerConfig};

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// A tagger.
    Tagger,
}

/// A whole configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What is trained.
    pub task: TaskKind,
    /// Seed of all chance.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// A model to train on from: its architecture, dictionaries and weights
    /// are taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_from: Option<String>,
    /// The corpora.
    pub data: DataConfig,
    /// Architecture of a tagger.
    #[serde(default)]
    pub tagger: TaggerConfig,
    /// The training itself.
    #[serde(default)]
    pub training: TrainingConfig,
    /// What the model is called, and how it is stored.
    #[serde(default)]
    pub model: ModelInfo,
}

/// The corpora of a run; paths are relative to the configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Training data.
    pub train: PathBuf,
    /// Development data; left out, a tenth of the training data is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<PathBuf>,
    /// Test data, scored once at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// What is learnt: `upos`, `xpos`, `feats` or `misc:KEY` of CoNLL-U, or the
    /// name of a column.
    pub layer: String,
    /// Format of the files.
    #[serde(default)]
    pub format: Format,
    /// Names of the columns, if they are not to be guessed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

impl DataConfig {
    pub(crate) fn read_options(&self) -> ReadOptions {
        ReadOptions { format: self.format, columns: self.columns.clone(), ..Default::default() }
    }

    /// Name of the layer in the model's output.
    pub(crate) fn layer_name(&self) -> String {
        self.layer.trim_start_matches("misc:").to_lowercase()
    }

    /// The files that are named, with their keys.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let named = [("data.train", Some(&self.train)), ("data.dev", self.dev.as_ref())];
        let named = named.into_iter().chain([("data.test", self.test.as_ref())]);
        named.filter_map(|(key, path)| Some((key, path?.as_path())))
    }
}

/// What a model says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelInfo {
    /// Name, for the card.
    pub name: String,
    /// A sentence on what it does, for the card.
    pub description: String,
    /// Corpora and their licences, a line each, for the card.
    pub sources: Vec<String>,
    /// Licence of the weights, for the card.
    pub licence: String,
    /// How the weights are stored.
    pub precision: StoredPrecision,
}

fn default_seed() -> u64 {
    1
}

impl RunConfig {
    /// Reads a configuration file; each of `settings` is `key.path=value` and
    /// overrides it. Paths become absolute.
    ///
    /// # Errors
    /// If the file cannot be read, is no TOML, has an unknown key (the nearest
    /// known one is named), or a value that cannot be used.
    pub fn read(path: &Path, settings: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::InvalidData => {
                let problem = "the file is not UTF-8".to_owned();
                Error::Config { path: path.to_owned(), line: None, problem }
            }
            _ => glossator_text::Error::Read { path: path.to_owned(), source }.into(),
        })?;
        Self::parse(&text, path, settings)
    }

    /// As [`RunConfig::read`], from text; `path` stands for its place.
    ///
    /// # Errors
    /// As [`RunConfig::read`].
    pub fn parse(text: &str, path: &Path, settings: &[String]) -> Result<Self> {
        let problem = |line, problem| Error::Config { path: path.to_owned(), line, problem };
        let mut config: Self = if settings.is_empty() {
            toml::from_str(text).map_err(|error| explain(path, text, &error))?
        } else {
            let mut table: toml::Table =
                toml::from_str(text).map_err(|error| explain(path, text, &error))?;
            for setting in settings {
                set(&mut table, setting).map_err(|reason| problem(None, reason))?;
            }
            toml::Value::Table(table).try_into().map_err(|error| explain(path, text, &error))?
        };
        if let Some((key, reason)) = config.tagger.problem() {
            return Err(problem(line_of(text, key), format!("{key} {reason}")));
        }
        if let Err(error) = config.training.validate() {
            let message = error.to_string();
            let line = message.split(':').next().and_then(|key| line_of(text, key));
            return Err(problem(line, message));
        }
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Makes paths relative to the folder `base` absolute.
    fn resolve(&mut self, base: &Path) {
        let base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
        let data = &mut self.data;
        let given = self.tagger.embeddings.iter_mut().filter_map(|embedding| match embedding {
            crate::EmbeddingConfig::Words(words) => words.vectors.as_mut(),
            crate::EmbeddingConfig::Characters(_) => None,
        });
        let paths = [Some(&mut data.train), data.dev.as_mut(), data.test.as_mut()];
        for path in paths.into_iter().flatten().chain(given) {
            *path = base.join(&*path);
        }
        if let Some(model) = &mut self.init_from
            && (model.starts_with('.') || model.contains('/'))
        {
            *model = base.join(&*model).display().to_string();
        }
    }

    /// The resolved configuration as TOML.
    ///
    /// # Errors
    /// If a value has no form in TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::Config {
            path: PathBuf::from("the resolved configuration"),
            line: None,
            problem: error.to_string(),
        })
    }
}

/// Puts `key.path=value` into a table; a number in the path counts the tables
/// of a list from 0. A value that is no TOML is a string.
fn set(table: &mut toml::Table, setting: &str) -> Result<(), String> {
    let (key, value) = setting
        .split_once('=')
        .ok_or_else(|| format!("--set {setting}: expected key.path=value"))?;
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"));
    let only = parsed.ok().filter(|table| table.len() == 1);
    let value = match only.and_then(|mut table| table.remove("value")) {
        Some(value) => value,
        None => toml::Value::String(value.to_owned()),
    };
    let mut place = &mut *table;
    let mut parts = key.trim().split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            place.insert(part.to_owned(), value);
            break;
        }
        let mut entry = place.entry(part).or_insert_with(|| toml::Table::new().into());
        if let toml::Value::Array(list) = entry {
            let index = parts.next().unwrap_or_default();
            let item = index.parse().ok().and_then(|index: usize| list.get_mut(index));
            entry =
                item.ok_or_else(|| format!("--set {setting}: `{part}` has no item `{index}`"))?;
            if parts.peek().is_none() {
                *entry = value;
                break;
            }
        }
        place = entry
            .as_table_mut()
            .ok_or_else(|| format!("--set {setting}: `{part}` is not a table"))?;
    }
    Ok(())
}

/// A TOML error with its line, and the nearest known key to an unknown one.
fn explain(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let message = error.message();
    let lines_before =
        |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
    let line = error.span().map(|span| lines_before(span.start) + 1);
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown ").then(|| quoted.next()).flatten();
    let Some(unknown) = unknown else {
        return Error::Config { path: path.to_owned(), line, problem: message.to_owned() };
    };
    // A value made by --set has no line.
    let is_value = message.starts_with("unknown variant");
    let quotes = |text: &str| text.contains(&format!("\"{unknown}\""));
    let of_value = || text.lines().position(quotes).map(|line| line + 1);
    let line = if is_value { of_value() } else { line_of(text, unknown) }.or(line);
    let known: Vec<&str> = quoted.collect();
    let distance = |known: &&&str| strsim::damerau_levenshtein(unknown, known);
    let what = if is_value { "value" } else { "key" };
    let problem = match known.iter().min_by_key(distance) {
        Some(nearest) if distance(&nearest) <= unknown.len().div_ceil(2) => {
            format!("unknown {what} `{unknown}`; did you mean `{nearest}`?")
        }
        _ => format!("unknown {what} `{unknown}`; known are {}", known.join(", ")),
    };
    Error::Config { path: path.to_owned(), line, problem }
}

/// The line of a text that sets a key, given with the tables it is in, or
/// without any.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let (table, key) = key.rsplit_once('.').map_or((None, key), |(table, key)| (Some(table), key));
    let mut current = "";
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.starts_with('[') {
            current = line.split('#').next().unwrap_or_default().trim();
            current = current.trim_matches(['[', ']']);
            if current.rsplit('.').next() == Some(key) && table.is_none() {
                return Some(number);
            }
        } else if line.split('=').next().is_some_and(|name| name.trim().trim_matches('"') == key)
            && table.is_none_or(|table| table == current)
        {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "task = \"tagger\"\n[data]\ntrain = \"a.conllu\"\nlayer = \"upos\"\n";

    fn parse(text: &str, settings: &[&str]) -> Result<RunConfig, String> {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::parse(text, Path::new("/x/c.toml"), &settings).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_fill_a_small_file_and_paths_are_relative_to_it() {
        let config = parse(SMALL, &[]).unwrap();
        assert_eq!((config.seed, config.tagger.hidden_dim), (1, 256));
        assert_eq!(config.data.train, Path::new("/x/a.conllu"));
        let again = parse(&config.to_toml().unwrap(), &[]).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn unknown_keys_name_line_and_nearest() {
        let text = SMALL.to_owned() + "[tagger]\nhiden_dim = 3\n";
        let want = "/x/c.toml:6: unknown key `hiden_dim`; did you mean `hidden_dim`?";
        assert_eq!(parse(&text, &[]).unwrap_err(), want);
        let text = SMALL.to_owned() + "[[tagger.embeddings]]\ntype = \"wrods\"\n";
        let want = "/x/c.toml:6: unknown value `wrods`; did you mean `words`?";
        assert_eq!(parse(&text, &[]).unwrap_err(), want);
        let error = parse(SMALL, &["training.patients=3"]).unwrap_err();
        assert!(error.contains("did you mean `patience`?"), "{error}");
        let error = parse("task = \"tagger\"\n", &[]).unwrap_err();
        assert!(error.contains("missing field `data`"), "{error}");
    }

    #[test]
    fn values_out_of_range_name_their_line() {
        let text = SMALL.to_owned() + "[training]\nmax_epochs = 0\n";
        let error = parse(&text, &[]).unwrap_err();
        assert_eq!(error, "/x/c.toml:6: training.max_epochs: must be at least 1");
        let text = SMALL.to_owned() + "[tagger]\n\nhidden_dim = -3\n";
        assert!(parse(&text, &[]).unwrap_err().starts_with("/x/c.toml:7: "));
        let text = SMALL.to_owned()
            + "[tagger]\n# hidden_dim\nhidden_dim = 0\n"
            + "[[tagger.embeddings]]\ntype = \"characters\"\nhidden_dim = 9\n";
        assert!(parse(&text, &[]).unwrap_err().starts_with("/x/c.toml:7: tagger.hidden_dim"));
    }

    #[test]
    fn settings_override_and_add_keys() {
        let settings =
            ["seed=7", "training.optimizer=adamw", "tagger.crf=false", "data.dev=b.conllu"];
        let config = parse(SMALL, &settings).unwrap();
        assert_eq!((config.seed, config.tagger.crf), (7, false));
        assert_eq!(config.data.dev.as_deref(), Some(Path::new("/x/b.conllu")));
        let text = SMALL.to_owned() + "[[tagger.embeddings]]\ntype = \"words\"\n";
        let config = parse(&text, &["tagger.embeddings.0.vectors=v.vec"]).unwrap();
        assert!(config.to_toml().unwrap().contains("/x/v.vec"));
        let error = parse(&text, &["tagger.embeddings.1.dim=3"]).unwrap_err();
        assert!(error.contains("`embeddings` has no item `1`"), "{error}");
        let error = parse(&text, &["training.max_epochs=0", "tagger.hidden_dim=3"]).unwrap_err();
        assert_eq!(error, "/x/c.toml: training.max_epochs: must be at least 1");
        let columns = [r#"data.columns=["a", "b"]"#, "data.columns.1=ner"];
        assert_eq!(parse(SMALL, &columns).unwrap().data.columns.unwrap(), ["a", "ner"]);
        assert!(parse(SMALL, &["seed"]).unwrap_err().contains("expected key.path=value"));
    }
}

//! The configuration of a training run.

mod language_model;
mod model_info;
mod settings;
mod tagger;
mod translator;

use std::path::{Path, PathBuf};

use glossator_train::TrainingConfig;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Error, Result};
pub use language_model::{LanguageModelRunConfig, TextConfig};
pub use model_info::ModelInfo;
use settings::{Origin, set};
pub use tagger::{CacheConfig, DataConfig, TaggerRunConfig};
pub use translator::{PairsConfig, TranslatorRunConfig};

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// A tagger.
    Tagger,
    /// A character language model.
    LanguageModel,
    /// A translator.
    Translator,
}

/// A whole configuration file, of whatever task.
#[derive(Clone, Debug, PartialEq)]
pub enum RunConfig {
    /// A tagger's.
    Tagger(Box<TaggerRunConfig>),
    /// A language model's.
    LanguageModel(Box<LanguageModelRunConfig>),
    /// A translator's.
    Translator(Box<TranslatorRunConfig>),
}

/// What all configurations have.
trait Run: DeserializeOwned + Serialize {
    /// A key whose value cannot be used, and why.
    fn problem(&self) -> Option<(&'static str, String)>;

    /// The `[training]` table.
    fn training(&self) -> &TrainingConfig;

    /// What the `[training]` table is where the file, whose table is `given`, says nothing.
    fn default_training(given: &toml::Table) -> TrainingConfig;

    /// Makes paths relative to the folder `base` absolute.
    fn resolve(&mut self, base: &Path);
}

fn default_seed() -> u64 {
    1
}

/// Makes paths absolute.
fn absolute<'a>(base: &Path, paths: impl Iterator<Item = &'a mut PathBuf>) {
    for path in paths {
        *path = base.join(&*path);
    }
}

/// Makes the path of a model absolute; a name stays one.
fn model_path(base: &Path, model: &mut String) {
    if model.starts_with('.') || model.contains('/') {
        *model = base.join(&*model).display().to_string();
    }
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
        /// The task alone; everything else is let pass.
        #[derive(Deserialize)]
        struct Task {
            task: TaskKind,
        }
        let from = Origin { path, text, settings };
        let mut table: toml::Table =
            toml::from_str(text).map_err(|error| from.explain("", &error))?;
        for setting in settings {
            set(&mut table, setting).map_err(|problem| from.error(None, problem))?;
        }
        let task: Task = match settings {
            [] => toml::from_str(text),
            _ => toml::Value::Table(table.clone()).try_into(),
        }
        .map_err(|error| from.explain("task", &error))?;
        Ok(match task.task {
            TaskKind::Tagger => Self::Tagger(Box::new(run(from, table)?)),
            TaskKind::LanguageModel => Self::LanguageModel(Box::new(run(from, table)?)),
            TaskKind::Translator => Self::Translator(Box::new(run(from, table)?)),
        })
    }

    /// Seed of all chance.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Tagger(config) => config.seed,
            Self::LanguageModel(config) => config.seed,
            Self::Translator(config) => config.seed,
        }
    }

    /// The resolved configuration as TOML.
    ///
    /// # Errors
    /// If a value has no form in TOML.
    pub fn to_toml(&self) -> Result<String> {
        match self {
            Self::Tagger(config) => to_toml(&**config),
            Self::LanguageModel(config) => to_toml(&**config),
            Self::Translator(config) => to_toml(&**config),
        }
    }
}

/// A resolved configuration as TOML.
pub(crate) fn to_toml(config: &impl Serialize) -> Result<String> {
    toml::to_string(config).map_err(|error| Error::Config {
        path: PathBuf::from("the resolved configuration"),
        line: None,
        problem: error.to_string(),
    })
}

/// The configuration of one task. Where nothing was overridden the text itself is
/// read, and errors know their line.
fn run<T: Run>(from: Origin<'_>, mut table: toml::Table) -> Result<T> {
    let explain = |error: serde_path_to_error::Error<toml::de::Error>| {
        from.explain(&error.path().to_string(), error.inner())
    };
    if from.settings.is_empty() {
        let text =
            toml::Deserializer::parse(from.text).map_err(|error| from.explain("", &error))?;
        serde_path_to_error::deserialize::<_, T>(text).map_err(explain)?;
    }
    let given = match table.remove("training") {
        Some(toml::Value::Table(given)) => given,
        Some(_) => return Err(from.of_key("training", "training is a table")),
        None => toml::Table::new(),
    };
    let mut training = toml::Table::try_from(T::default_training(&given))
        .map_err(|error| from.error(None, error.to_string()))?;
    training.extend(given);
    table.insert("training".to_owned(), training.into());
    let mut config: T =
        serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(explain)?;
    if let Some((key, reason)) = config.problem() {
        return Err(from.of_key(key, &format!("{key} {reason}")));
    }
    if let Err(error) = config.training().validate() {
        let message = error.to_string();
        let key = message.split(':').next().unwrap_or_default();
        return Err(from.of_key(key, &message));
    }
    let path = from.path;
    let base = path.parent().unwrap_or(Path::new(""));
    let base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
    config.resolve(&base);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use glossator_train::OptimizerKind;

    use super::*;

    const SMALL: &str = "task = \"tagger\"\n[data]\ntrain = \"a.conllu\"\nlayer = \"upos\"\n";

    fn parse_any(text: &str, settings: &[&str]) -> Result<RunConfig, String> {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::parse(text, Path::new("/x/c.toml"), &settings).map_err(|e| e.to_string())
    }

    fn parse(text: &str, settings: &[&str]) -> Result<TaggerRunConfig, String> {
        match parse_any(text, settings)? {
            RunConfig::Tagger(config) => Ok(*config),
            other => panic!("not a tagger: {other:?}"),
        }
    }

    #[test]
    fn defaults_fill_a_small_file_and_paths_are_relative_to_it() {
        let config = parse(SMALL, &[]).unwrap();
        assert_eq!((config.seed, config.tagger.hidden_dim), (1, 256));
        assert_eq!(config.data.train, Path::new("/x/a.conllu"));
        let again = parse(&to_toml(&config).unwrap(), &[]).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn unknown_keys_name_line_and_nearest() {
        let text = SMALL.to_owned() + "[tagger]\nhiden_dim = 3\n";
        let want = "/x/c.toml:6: unknown key `hiden_dim`; did you mean `hidden_dim`?";
        assert_eq!(parse(&text, &[]).unwrap_err(), want);
        let text = SMALL.to_owned() + "[[tagger.embeddings]]\ntype = \"wrods\"\n";
        let want = "/x/c.toml:6: unknown value `wrods` of `tagger.embeddings[0].type`; did you mean `words`?";
        assert_eq!(parse(&text, &[]).unwrap_err(), want);
        let text = SMALL.to_owned() + "[tagger]\ncell = \"lstn\"\n";
        let want = "/x/c.toml:6: unknown value `lstn` of `tagger.cell`; did you mean `lstm`?";
        assert_eq!(parse(&text, &[]).unwrap_err(), want);
        let error = parse(SMALL, &["training.patients=3"]).unwrap_err();
        assert!(error.contains("did you mean `patience`?"), "{error}");
        let error = parse("task = \"tagger\"\n", &[]).unwrap_err();
        assert!(error.contains("missing field `data`"), "{error}");
    }

    #[test]
    fn values_of_a_wrong_type_name_their_key_and_line() {
        let text = SMALL.to_owned() + "[training]\nmax_epochs = \"abc\"\n";
        let want = "training.max_epochs: is \"abc\", not a whole number, not below 0";
        assert_eq!(parse(&text, &[]).unwrap_err(), format!("/x/c.toml:6: {want}"));
        let error = parse(SMALL, &["training.max_epochs=abc"]).unwrap_err();
        assert_eq!(error, format!("/x/c.toml: --set training.max_epochs=abc: {want}"));
        let error = parse(SMALL, &["tagger=3"]).unwrap_err();
        assert_eq!(error, "/x/c.toml: --set tagger=3: tagger: is 3, not a table");
        let error = parse(SMALL, &["tagger.cell=lsmt"]).unwrap_err();
        assert!(error.contains("unknown value `lsmt` of `tagger.cell`"), "{error}");
        // The line of the file is right, though the key is in it.
        let text = SMALL.to_owned() + "[training]\nmax_epochs = 5\n";
        let error = parse(&text, &["training.max_epochs=0"]).unwrap_err();
        assert!(error.starts_with("/x/c.toml: --set training.max_epochs=0: "), "{error}");
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
        assert!(to_toml(&config).unwrap().contains("/x/v.vec"));
        let error = parse(&text, &["tagger.embeddings.1.dim=3"]).unwrap_err();
        assert!(error.contains("`embeddings` has no item `1`"), "{error}");
        let error = parse(&text, &["training.max_epochs=0", "tagger.hidden_dim=3"]).unwrap_err();
        let want =
            "/x/c.toml: --set training.max_epochs=0: training.max_epochs: must be at least 1";
        assert_eq!(error, want);
        let columns = [r#"data.columns=["a", "b"]"#, "data.columns.1=ner"];
        assert_eq!(parse(SMALL, &columns).unwrap().data.columns.unwrap(), ["a", "ner"]);
        assert!(parse(SMALL, &["seed"]).unwrap_err().contains("expected key.path=value"));
    }

    #[test]
    fn a_tagger_learns_with_adamw_unless_the_file_says_sgd_or_a_rate() {
        let of = |settings: &[&str]| {
            let training = parse(SMALL, settings).unwrap().training;
            (training.optimizer, training.learning_rate)
        };
        assert_eq!(of(&[]), (OptimizerKind::AdamW, 2e-3));
        assert_eq!(of(&["training.max_epochs=3"]), (OptimizerKind::AdamW, 2e-3));
        assert_eq!(of(&["training.optimizer=adamw"]), (OptimizerKind::AdamW, 2e-3));
        assert_eq!(of(&["training.optimizer=sgd"]), (OptimizerKind::Sgd, 0.1));
        assert_eq!(of(&["training.learning_rate=0.05"]), (OptimizerKind::Sgd, 0.05));
        let both = ["training.optimizer=adamw", "training.learning_rate=0.05"];
        assert_eq!(of(&both), (OptimizerKind::AdamW, 0.05));
    }

    #[test]
    fn a_language_model_has_its_own_defaults_of_training() {
        let text = "task = \"language-model\"\n[data]\ntrain = \"a.txt\"\n[training]\nlearning_rate = 1.0\n";
        let config = match parse_any(text, &["training.batch_size=7"]).unwrap() {
            RunConfig::LanguageModel(config) => config,
            other => panic!("not a language model: {other:?}"),
        };
        let own = LanguageModelRunConfig::default_training(&toml::Table::new());
        let want = TrainingConfig { learning_rate: 1.0, batch_size: 7, ..own };
        assert_eq!(config.training, want);
        assert_eq!(config.data.train, Path::new("/x/a.txt"));
        let again = RunConfig::LanguageModel(config);
        assert_eq!(parse_any(&again.to_toml().unwrap(), &[]).unwrap(), again);
        let error = parse_any(&text.replace("language-model", "language-modle"), &[]).unwrap_err();
        let want =
            "/x/c.toml:1: unknown value `language-modle` of `task`; did you mean `language-model`?";
        assert_eq!(error, want);
        let error = parse_any(&(text.to_owned() + "[language_model]\nlayers = 0\n"), &[]);
        assert!(error.unwrap_err().starts_with("/x/c.toml:7: language_model.layers"));
    }
}

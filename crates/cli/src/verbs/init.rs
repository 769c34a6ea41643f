//! `gloss init`: a configuration to start from.

use std::{io::Write, path::PathBuf};

use clap::ValueEnum;
use glossator::errors::TextError;

use crate::{
    args::HELP,
    exit::{DONE, Usage},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gloss init tagger -o tagger.toml
  gloss init language-model -o lm.toml
  gloss init translator -o en-de.toml";

/// The configuration of a tagger: every key with its default.
const TAGGER: &str = include_str!("init/tagger.toml");
/// The configuration of a language model.
const LANGUAGE_MODEL: &str = include_str!("init/language-model.toml");

/// The configuration of a translator.
const TRANSLATOR: &str = include_str!("init/translator.toml");

/// Print a configuration to start from
///
/// It has every key with its default and a comment, and trains once the paths
/// are filled in.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// What is to be trained
    #[arg(value_name = "TASK")]
    task: Task,
    /// Write to a new file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Task {
    Tagger,
    LanguageModel,
    Translator,
}

pub fn run(args: &Args) -> anyhow::Result<u8> {
    let text = match args.task {
        Task::Tagger => TAGGER,
        Task::LanguageModel => LANGUAGE_MODEL,
        Task::Translator => TRANSLATOR,
    };
    if let Some(path) = args.output.as_ref().filter(|path| path.is_file()) {
        return Err(Usage(format!("{} exists; name another file", path.display())).into());
    }
    let output = Output::create(args.output.as_deref())?;
    let written = output.writer().write_all(text.as_bytes());
    written.map_err(|source| TextError::Write { source })?;
    output.finish()?;
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use glossator::{
        TaggerConfig,
        training::{LanguageModelRunConfig, RunConfig, TaggerRunConfig},
    };

    use super::*;

    fn parse(text: &str) -> RunConfig {
        RunConfig::parse(text, Path::new("/x/x.toml"), &[]).unwrap_or_else(|e| panic!("{e}"))
    }

    fn tagger() -> TaggerRunConfig {
        match parse(TAGGER) {
            RunConfig::Tagger(config) => *config,
            other => panic!("{other:?}"),
        }
    }

    fn language_model(text: &str) -> LanguageModelRunConfig {
        match parse(text) {
            RunConfig::LanguageModel(config) => *config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_configuration_of_a_tagger_holds_the_defaults() {
        let config = tagger();
        assert_eq!(config.seed, 1);
        assert_eq!(config.tagger, TaggerConfig::default());
        let least = "task = \"tagger\"\n[data]\ntrain = \"train\"\nlayer = \"upos\"\n";
        let RunConfig::Tagger(least) = parse(least) else { panic!("not a tagger") };
        assert_eq!(config.training, least.training);
    }

    #[test]
    fn the_configuration_of_a_language_model_holds_the_defaults() {
        let least = "task = \"language-model\"\n[data]\ntrain = \"text\"\n";
        assert_eq!(language_model(LANGUAGE_MODEL), language_model(least));
    }

    #[test]
    fn the_configuration_of_a_translator_holds_the_defaults() {
        let least = "task = \"translator\"\n[data]\ntrain_source = \"train.en\"\n\
                     train_target = \"train.de\"\n";
        assert_eq!(parse(TRANSLATOR), parse(least));
    }

    /// Every key of a resolved configuration, and those that are left out where
    /// they have no value.
    fn every_key_is_mentioned(text: &str, optional: &[&str]) {
        let written = parse(text).to_toml().unwrap();
        let keys = written.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key);
        for key in keys.chain(optional.iter().copied()) {
            let sets = |line: &str| {
                line.trim_start_matches("# ").split_once(" = ").is_some_and(|(k, _)| k == key)
            };
            assert!(text.lines().any(sets), "{key}");
        }
    }

    #[test]
    fn every_key_of_a_tagger_is_mentioned() {
        let optional = [
            "init_from",
            "dev",
            "test",
            "further_layers",
            "columns",
            "reprojection_dim",
            "class_weights",
            "vectors",
            "max_vectors",
            "model",
            "spacing",
            "lower",
            "inside",
            "pooling",
            "only_capitalized",
            "folder",
        ];
        every_key_is_mentioned(TAGGER, &optional);
    }

    #[test]
    fn every_key_of_a_language_model_is_mentioned() {
        let optional = ["init_from", "dev", "test", "dictionary", "projection_dim"];
        every_key_is_mentioned(LANGUAGE_MODEL, &optional);
    }

    #[test]
    fn every_key_of_a_translator_is_mentioned() {
        let optional = [
            "init_from",
            "dev_source",
            "dev_target",
            "test_source",
            "test_target",
            "vocabulary_size",
            "encoder_dim",
        ];
        every_key_is_mentioned(TRANSLATOR, &optional);
    }

    /// What a line sets if it is no comment any more.
    fn commented(line: &str) -> Option<(&str, &str)> {
        let (key, value) = line.strip_prefix("# ")?.split_once(" = ")?;
        (!key.contains(' ')).then_some((key, value))
    }

    #[test]
    fn what_is_commented_out_is_valid() {
        for text in [TAGGER, LANGUAGE_MODEL, TRANSLATOR] {
            let mut in_table = false;
            for (index, line) in text.lines().enumerate() {
                in_table = line.starts_with("# [[") || (in_table && !line.is_empty());
                let Some((key, _)) = commented(line).filter(|_| !in_table) else { continue };
                let mut lines: Vec<&str> = text.lines().collect();
                lines[index] = &line[2..];
                // One side of a corpus needs the other.
                let other = match key.rsplit_once('_') {
                    Some(("dev" | "test", "source")) => index + 1,
                    Some(("dev" | "test", "target")) => index - 1,
                    _ => index,
                };
                lines[other] = lines[other].trim_start_matches("# ");
                // Weights of labels need a tagger without CRF.
                let text = lines.join("\n");
                let text = if key == "class_weights" {
                    text.replace("crf = true", "crf = false")
                } else {
                    text
                };
                parse(&text);
            }
        }
    }

    #[test]
    fn tables_that_are_commented_out_are_valid() {
        let mut in_table = false;
        let mut tables = 0;
        let lines = TAGGER.lines().map(|line| {
            tables += usize::from(line.starts_with("# [["));
            in_table = line.starts_with("# [[") || (in_table && !line.is_empty());
            let is_part = in_table && (commented(line).is_some() || line.starts_with("# [["));
            if is_part { &line[2..] } else { line }
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        let RunConfig::Tagger(config) = parse(&text) else { panic!("a tagger") };
        let own = TaggerConfig::default().embeddings.len();
        assert!(tables > 0 && config.tagger.embeddings.len() == own + tables);
    }
}

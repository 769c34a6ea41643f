//! Options that several verbs share.

use std::{ffi::OsString, fmt::Debug, path::PathBuf, str::FromStr};

use clap::{
    ColorChoice, Parser, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use glossator::corpus::{Format, ReadOptions};

use crate::verbs::Verb;

/// Help opens with examples; the options follow.
pub const HELP: &str =
    "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}\n";

const EXAMPLES: &str = "\
Examples:
  echo \"George Washington went to Washington .\" | gloss tag
  gloss tag --to jsonl --scores news.txt
  gloss init tagger -o tagger.toml
  gloss train tagger.toml
  gloss eval -m ./tagger test.conllu
  gloss tag --help";

const AFTER: &str = "\
Environment:
  GLOSSATOR_CACHE  folder of models that -m finds by name
  HF_TOKEN         what the hub knows you by, for fetch; HF_ENDPOINT: another hub
  GLOSSATOR_LOG    text, json, quiet or info, or several with commas between
  NO_COLOR         no colours, unless --color always

Exit codes:
  0 done   1 findings, or a score missed   2 misuse, bad configuration
  3 bad input data   4 missing or bad model   5 input or output failed
  130, 143 interrupted, the checkpoint of a training saved";

/// Labels text with recurrent networks that read characters, and trains them.
#[derive(Parser)]
#[command(name = "gloss", version, arg_required_else_help = true)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
#[command(help_template = HELP, before_help = EXAMPLES, after_help = AFTER)]
pub struct Args {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub messages: Messages,
}

/// What is said on standard error, and how.
#[derive(clap::Args, Clone, Copy)]
#[command(next_help_heading = "Messages")]
pub struct Messages {
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Form of messages and progress; json: one object a line [default: text]
    #[arg(long, global = true, value_name = "FORM")]
    pub log_format: Option<LogFormat>,
    /// Colours of help and errors
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// The choice of colours, which the parser must know before it parses.
pub fn color_of(args: impl IntoIterator<Item = OsString>) -> ColorChoice {
    let args: Vec<String> =
        args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let next = args.iter().zip(args.iter().skip(1));
    let apart = next.filter(|(flag, _)| *flag == "--color").map(|(_, value)| value.as_str());
    let joined = args.iter().filter_map(|arg| arg.strip_prefix("--color="));
    match apart.chain(joined).next() {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// How input is read.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Input")]
pub struct Reading {
    /// Format of the input; auto: by file ending, else by content, else text
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = named(Format::ALL, Format::name))]
    pub from: Format,
    /// Names of the columns of a conll file, one of them `token` [default: guessed]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
    /// Replace bytes that are not UTF-8, and count them
    #[arg(long)]
    pub lossy: bool,
}

impl Reading {
    pub fn options(&self) -> ReadOptions {
        ReadOptions { format: self.from, columns: self.columns.clone(), lossy: self.lossy }
    }
}

/// Where data goes.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct Writing {
    /// Write to a file, which appears when it is complete [default: standard output]
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
}

/// A parser of the names of some values.
pub fn named<T>(
    values: &[T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> + use<T>
where
    T: Copy + FromStr + Send + Sync + 'static,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let names = values.iter().map(|value| name(*value));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn colours_are_found_in_both_spellings() {
        let choice = |args: &[&str]| color_of(args.iter().map(OsString::from));
        assert_eq!(choice(&["gloss", "--color", "always"]), ColorChoice::Always);
        assert_eq!(choice(&["gloss", "tag", "--color=never"]), ColorChoice::Never);
        assert_eq!(choice(&["gloss", "--color"]), ColorChoice::Auto);
    }
}

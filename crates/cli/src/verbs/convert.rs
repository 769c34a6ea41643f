//! `gloss convert`: corpora from format to format, and models of other toolkits, in
//! and out.

mod corpora;
mod models;

use std::{path::PathBuf, str::FromStr};

use glossator::corpus::OutputFormat;

use crate::{
    args::{HELP, Reading, named},
    exit::Usage,
    log::Log,
};

const EXAMPLES: &str = "\
Examples:
  gloss convert --to jsonl train.conllu
  gloss convert --to conll --layers ner --repair -o train.tsv train.conll
  gloss convert ner-english.pt -o ner-english
  gloss tag -m ./ner-english news.txt
  gloss tag -m ./ner-english.pt news.txt
  gloss convert ner.pt --with forward.pt --with backward.pt --with vectors.pt -o ner
  gloss convert ./my-tagger --to flair -o my-tagger.pt";

/// Write a corpus in another format, bring a model of Flair or Stanza here, or take
/// one to Flair
///
/// With a format as --to, the files are corpora: what they are labelled with is
/// written in that format. Tags that break their scheme are refused, or mended
/// with --repair.
///
/// A checkpoint of Flair (a language model or a sequence tagger, of any version
/// from 0.4 on) or of Stanza (a character language model or an entity tagger)
/// becomes a model's folder. Nothing in it is executed. What it is, what was left
/// out, and where it computes otherwise than a model made here is said, and
/// written into its card.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Files of a corpus (none, or `-`, is standard input); or a checkpoint of another
    /// toolkit; with --to flair a model: a built-in one, one of the cache, or a folder
    #[arg(value_name = "FILE|MODEL")]
    files: Vec<PathBuf>,
    /// File of the converted corpus [default: standard output]; or folder, or file,
    /// of the converted model, which must not exist
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
    /// What it becomes: glossator or flair for models, or a format of corpora
    #[arg(long, value_name = "FORMAT", default_value = "glossator", value_parser = named(To::ALL, To::name))]
    to: To,
    /// Of corpora: the columns that labels are taken from, or keys of MISC
    /// (misc:NER) [default: upos, xpos and keys that hold spans; every column of conll,
    /// every list of jsonl that has a string for each token]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    layers: Option<Vec<String>>,
    /// Of corpora: mend tags that break their scheme, as conlleval reads them
    #[arg(long)]
    repair: bool,
    /// Another file that a tagger of Stanza needs: a language model, word vectors
    /// [default: those it names, beside it or in Stanza's folders]
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Let a model compute as one made here, although it gives other labels so than
    /// the original
    #[arg(long)]
    without_quirks: bool,
    #[command(flatten)]
    reading: Reading,
}

/// What becomes of what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Glossator,
    Flair,
    Corpus(OutputFormat),
}

impl To {
    const ALL: &[To] = &[
        To::Glossator,
        To::Flair,
        To::Corpus(OutputFormat::Conll),
        To::Corpus(OutputFormat::Conllu),
        To::Corpus(OutputFormat::Jsonl),
        To::Corpus(OutputFormat::Inline),
        To::Corpus(OutputFormat::Html),
        To::Corpus(OutputFormat::Brat),
        To::Corpus(OutputFormat::Tokens),
        To::Corpus(OutputFormat::Lines),
        To::Corpus(OutputFormat::Text),
    ];

    fn name(self) -> &'static str {
        match self {
            To::Glossator => "glossator",
            To::Flair => "flair",
            To::Corpus(format) => format.name(),
        }
    }
}

/// A name that is no format's.
#[derive(Debug, thiserror::Error)]
#[error("unknown format `{0}`")]
struct UnknownFormat(String);

impl FromStr for To {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.iter().copied().find(|to| to.name() == name);
        found.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    let is_model = !matches!(args.to, To::Corpus(_));
    if is_model && (args.layers.is_some() || args.repair) {
        let problem =
            "--layers and --repair are of corpora: say what they become, as in --to jsonl";
        return Err(Usage(problem.to_owned()).into());
    }
    if (!is_model || args.to == To::Flair) && (args.without_quirks || !args.with.is_empty()) {
        let problem = "--without-quirks and --with are of models that come here";
        return Err(Usage(problem.to_owned()).into());
    }
    match args.to {
        To::Corpus(format) => corpora::convert(args, format, log),
        To::Glossator | To::Flair => models::convert(args, log),
    }
}

//! `gloss convert`: models of other toolkits, in and out.

use std::path::PathBuf;

use clap::ValueEnum;
use glossator::convert::{self, Conversion, ConvertOptions};

use crate::{
    args::HELP,
    exit::{DONE, Usage},
    log::Log,
};

const EXAMPLES: &str = "\
Examples:
  gloss convert ner-english.pt -o ner-english
  gloss tag -m ./ner-english news.txt
  gloss tag -m ./ner-english.pt news.txt
  gloss convert ner.pt --with forward.pt --with backward.pt --with vectors.pt -o ner
  gloss convert ./my-tagger --to flair -o my-tagger.pt";

/// Bring a model of Flair or Stanza here, or take one to Flair
///
/// A checkpoint of Flair (a language model or a sequence tagger, of any version
/// from 0.4 on) or of Stanza (a character language model or an entity tagger)
/// becomes a model's folder. Nothing in it is executed. What it is,
/// what was left out, and where it computes otherwise than a model made here is
/// said, and written into its card.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Checkpoint of another toolkit; with --to flair a model: a built-in one,
    /// one of the cache, or a folder
    #[arg(value_name = "MODEL")]
    model: String,
    /// Folder of the converted model, or its file; it must not exist
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
    /// What it becomes
    #[arg(long, value_name = "FORMAT", default_value = "glossator")]
    to: To,
    /// Another file that a tagger of Stanza needs: a language model, word vectors
    /// [default: those it names, beside it or in Stanza's folders]
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Let it compute as a model made here, although it gives other labels so
    /// than the original
    #[arg(long)]
    without_quirks: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    Glossator,
    Flair,
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    let conversion = match args.to {
        To::Glossator => {
            let without_quirks = args.without_quirks;
            let options = ConvertOptions { others: args.with.clone(), without_quirks };
            convert::convert(args.model.as_ref(), &args.output, &options)?
        }
        To::Flair if args.without_quirks || !args.with.is_empty() => {
            let problem = "--without-quirks and --with are of models that come here";
            return Err(Usage(problem.to_owned()).into());
        }
        To::Flair => convert::to_flair(&args.model, &args.output)?,
    };
    tell(&conversion, log);
    Ok(DONE)
}

fn tell(conversion: &Conversion, log: Log) {
    for found in &conversion.found {
        log.info(found);
    }
    for left_out in &conversion.left_out {
        log.warn(format_args!("left out: {left_out}"));
    }
    for quirk in &conversion.quirks {
        log.info(format_args!("computed as by the original: {}", quirk.description()));
    }
}

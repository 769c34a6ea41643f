//! `gloss embed`: token vectors.

mod jsonl;
mod npy;
mod safetensors;
mod spool;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use glossator::{Embedder, Sentence, errors::TextError};

use crate::{
    args::{HELP, Reading, Writing},
    compute::Labelling,
    exit::{DONE, Usage},
    input::{self, Input},
    log::Log,
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  gloss embed -m en-ner -o news.safetensors news.txt
  gloss embed -m ./my-language-model --from tokens --to npy -o words.npy words.txt
  echo \"The grass is green.\" | gloss embed -m vectors.txt";

/// Values of the vectors of a window of sentences.
const WINDOW_VALUES: usize = 1 << 24;
/// Tokens of it at most.
const MAX_WINDOW: usize = 1 << 16;

/// Write token vectors
///
/// Of a language model, its states at the borders of the words; of a tagger, what
/// it reads of a word; of a file of word vectors, these. A token has the same
/// vector whatever other sentences stand around its own.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Files to read; none, or `-`, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Language model or tagger (a built-in one, one of the cache, or a folder), or
    /// file of word vectors
    #[arg(long, short, value_name = "MODEL")]
    model: String,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    writing: Writing,
    /// Format of the output [default: by the ending of the output, else jsonl]
    #[arg(long, value_name = "FORMAT")]
    to: Option<Form>,
    #[command(flatten)]
    labelling: Labelling,
}

/// A format of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// `vectors [all tokens, dim]`, and `offsets` of the sentences in them
    Safetensors,
    /// The vectors as a NumPy array
    Npy,
    /// One object a sentence
    Jsonl,
}

/// A writer of one format.
trait Writer {
    /// Writes a sentence; `rows` are the vectors of its tokens, one after the other.
    fn write(&mut self, sentence: &Sentence, rows: &[f32]) -> io::Result<()>;

    /// Writes what is left.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    input::expect(&args.files, "embed", EXAMPLES)?;
    let path = args.writing.output.as_deref();
    let form = args.to.or_else(|| Form::of_path(path?)).unwrap_or(Form::Jsonl);
    if form != Form::Jsonl && path.is_none() && io::stdout().is_terminal() {
        return Err(Usage("vectors are no text for a terminal: name a file with -o".into()).into());
    }
    args.labelling.compute.prepare(log)?;
    let embedder = Embedder::load_in(&args.model, args.labelling.precision.chosen())?;
    let dim = embedder.dim();
    let mut output = Output::create(path)?;
    let mut writer = form.writer(output.writer(), path, dim).map_err(failed)?;
    let batch_size = args.labelling.batch_size;
    let input = Input::open(&args.files, args.reading.options());
    input.windows(window_tokens(dim), log, |window| {
        let vectors = embedder.embed(&window, batch_size)?;
        let mut rest = &vectors[..];
        for sentence in &window {
            let (rows, others) = rest.split_at(sentence.len() * dim);
            writer.write(sentence, rows).map_err(failed)?;
            rest = others;
        }
        Ok(output.flush()?)
    })?;
    writer.finish().map_err(failed)?;
    output.finish()?;
    Ok(DONE)
}

impl Form {
    /// The format that the ending of a file's name tells.
    fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "safetensors" => Some(Self::Safetensors),
            "npy" => Some(Self::Npy),
            "jsonl" => Some(Self::Jsonl),
            _ => None,
        }
    }

    /// A writer to `out`, which `path` names if it is a file.
    fn writer(
        self,
        out: Box<dyn Write>,
        path: Option<&Path>,
        dim: usize,
    ) -> io::Result<Box<dyn Writer>> {
        Ok(match self {
            Self::Safetensors => Box::new(safetensors::Safetensors::new(out, path, dim)?),
            Self::Npy => Box::new(npy::Npy::new(out, path, dim)?),
            Self::Jsonl => Box::new(jsonl::Jsonl::new(out, dim)),
        })
    }
}

/// Tokens of a window, so that their vectors are not too much to hold.
pub fn window_tokens(dim: usize) -> usize {
    (WINDOW_VALUES / dim.max(1)).clamp(1, MAX_WINDOW)
}

fn failed(source: io::Error) -> TextError {
    TextError::Write { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_the_format() {
        let form = |path: &str| Form::of_path(Path::new(path));
        assert_eq!(form("a.b/c.npy"), Some(Form::Npy));
        assert_eq!(form("c.safetensors"), Some(Form::Safetensors));
        assert_eq!([form("npy"), form("c.txt")], [None; 2]);
    }

    #[test]
    fn windows_are_bounded() {
        assert_eq!([0, 4096, usize::MAX].map(window_tokens), [MAX_WINDOW, 4096, 1]);
    }
}

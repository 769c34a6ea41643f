//! `gloss embed`: token vectors.

mod html;
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
  echo \"The grass is green.\" | gloss embed -m vectors.txt
  gloss embed -m en-lm-forward --states --unit 7 -o unit7.html news.txt";

/// Values of the vectors of a window of sentences.
const WINDOW_VALUES: usize = 1 << 24;
/// Characters of a word, about.
const CHARACTERS: usize = 8;
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
    /// The states of a language model after every character, not at the borders of
    /// words
    #[arg(long)]
    states: bool,
    /// With `--to html`: the unit that is shown, from 0
    #[arg(long, value_name = "N")]
    unit: Option<usize>,
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
    /// With `--states`: a page that shows a unit's value after every character
    Html,
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
    if form == Form::Html && !args.states {
        return Err(Usage("a page shows characters: give --states too".into()).into());
    }
    if form != Form::Html && args.unit.is_some() {
        return Err(Usage("--unit is of a page: give --to html too".into()).into());
    }
    let compute = args.labelling.prepare(log)?;
    let load = if args.states { Embedder::states } else { Embedder::load_in };
    let embedder = load(&args.model, compute)?;
    let dim = embedder.dim();
    let unit = args.unit.unwrap_or(0);
    if unit >= dim {
        let problem = format!("--unit {unit}: the model has the units 0 to {}", dim - 1);
        return Err(Usage(problem).into());
    }
    let mut output = Output::create(path)?;
    let mut writer = form.writer(output.writer(), path, dim, unit).map_err(failed)?;
    let batch_size = args.labelling.batch_size;
    let input = Input::open(&args.files, args.reading.options());
    // Of a language model's states, a window of words is one of more characters.
    let tokens = window_tokens(dim) / if args.states { CHARACTERS } else { 1 };
    input.windows(tokens.max(1), log, |window| {
        let window: Vec<Sentence> = match args.states {
            true => window.iter().map(Sentence::by_characters).collect(),
            false => window,
        };
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
            "html" => Some(Self::Html),
            _ => None,
        }
    }

    /// A writer to `out`, which `path` names if it is a file.
    fn writer(
        self,
        out: Box<dyn Write>,
        path: Option<&Path>,
        dim: usize,
        unit: usize,
    ) -> io::Result<Box<dyn Writer>> {
        Ok(match self {
            Self::Safetensors => Box::new(safetensors::Safetensors::new(out, path, dim)?),
            Self::Npy => Box::new(npy::Npy::new(out, path, dim)?),
            Self::Jsonl => Box::new(jsonl::Jsonl::new(out, dim)),
            Self::Html => Box::new(html::Html::new(out, dim, unit)?),
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
        assert_eq!(form("unit.html"), Some(Form::Html));
        assert_eq!([form("npy"), form("c.txt")], [None; 2]);
    }

    #[test]
    fn windows_are_bounded() {
        assert_eq!([0, 4096, usize::MAX].map(window_tokens), [MAX_WINDOW, 4096, 1]);
    }
}

//! `gloss translate`: translates text.

mod document;
mod heat_map;
mod lines;
mod penalty;
mod references;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use glossator::{
    LengthPenalty, TranslateOptions, TranslateSampling, Translator,
    corpus::{Format, ReadOptions},
};

use crate::{
    args::{HELP, Writing},
    compute::Labelling,
    exit::{DONE, Usage},
    input::{self, Input},
    log::{Log, counted},
    output::Output,
};
use document::Document;
use lines::Lines;

const EXAMPLES: &str = "\
Examples:
  echo \"The grass is green.\" | gloss translate -m en-de
  gloss translate -m ./en-de --beam 1 lines.en > lines.de
  gloss translate -m ./en-de --from text letter.txt
  gloss translate -m ./en-de --n-best 5 --to jsonl lines.en.gz
  gloss translate -m ./en-de --alignments html -o page.html lines.en
  gloss translate -m ./en-de --references lines.de lines.en
  gloss translate -m ./seed1 -m ./seed2 lines.en";

/// Tokens of a window of lines: many batches, so that lines of one length find
/// together.
const WINDOW: usize = 1 << 15;

/// Translate text
///
/// One line in, one line out, in the order of the input; a line may hold several
/// sentences. A sentence has the same translation whatever comes before and
/// behind it. Several models with the same subwords translate together.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Files to read; none, or `-`, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Translator: a built-in one (en-de), one of the cache, or a folder; several are an
    /// ensemble
    #[arg(long = "model", short = 'm', value_name = "MODEL", required = true)]
    models: Vec<String>,
    /// lines: each by itself; text: a document, whose lines may end anywhere
    #[arg(long, value_name = "FORMAT", default_value = "lines", help_heading = "Input")]
    from: From,
    /// Replace bytes that are not UTF-8, and count them
    #[arg(long, help_heading = "Input")]
    lossy: bool,
    #[command(flatten)]
    writing: Writing,
    /// Form of the output; jsonl: an object a line
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    to: To,
    /// Hypotheses followed at a time; 1: always the likeliest subword
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    beam: u16,
    /// Write so many hypotheses of each line: number ||| text ||| score
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    n_best: u16,
    /// Write the score of each translation
    #[arg(long)]
    scores: bool,
    /// Write what each word was made of: pairs of words (pharaoh), the weights of
    /// all subwords (json), or a page that shows them (html)
    #[arg(long, value_name = "FORM")]
    alignments: Option<Alignments>,
    /// How scores go with length: A or average:A (by length^A), gnmt:A, or none
    #[arg(long, value_name = "A", default_value = "1", value_parser = penalty::parse)]
    length_penalty: LengthPenalty,
    /// Weight of the penalty for source subwords that were hardly looked at
    #[arg(long, value_name = "B", default_value_t = 0.0, value_parser = penalty::weight)]
    coverage_penalty: f64,
    /// What every translation begins with
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,
    /// No run of so many subwords stands twice in a translation; 0: any may
    #[arg(long, value_name = "N", default_value_t = 0)]
    no_repeat_ngram: usize,
    /// Draw translations by chance (see --seed), not the best
    #[arg(long)]
    sample: bool,
    /// Of a sample: below 1 the likely becomes likelier still
    #[arg(long, value_name = "T", default_value_t = 1.0, requires = "sample", value_parser = penalty::temperature)]
    temperature: f32,
    /// Of a sample: only so many of the likeliest subwords are drawn from; 0: all
    #[arg(long, value_name = "K", default_value_t = 0, requires = "sample")]
    top_k: usize,
    /// Translate nothing: write how likely the lines of this file are as translations, each
    /// line read as one sentence
    #[arg(long, value_name = "FILE", conflicts_with_all = ["n_best", "alignments", "prefix", "sample"])]
    references: Option<PathBuf>,
    #[command(flatten)]
    labelling: Labelling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    Lines,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum To {
    Text,
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Alignments {
    Pharaoh,
    Json,
    Html,
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    input::expect(&args.files, "translate", EXAMPLES)?;
    let whole = args.from == From::Text;
    if whole && (args.n_best > 1 || args.alignments.is_some() || args.references.is_some()) {
        let what = "--n-best, --alignments and --references";
        return Err(Usage(format!("{what} are of single lines: leave --from text out")).into());
    }
    if args.alignments == Some(Alignments::Html) && (args.to == To::Jsonl || args.n_best > 1) {
        let problem =
            "--alignments html is a page of the best translations: leave --to and --n-best out";
        return Err(Usage(problem.to_owned()).into());
    }
    args.labelling.compute.prepare_processor("translations are made", log)?;
    let precision = args.labelling.precision.chosen();
    let load = |name: &String| Translator::load_in(name, precision);
    let translators = args.models.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    let together: Vec<&Translator> = translators.iter().collect();
    let options = ReadOptions { format: Format::Lines, columns: None, lossy: args.lossy };
    let input = Input::open(&args.files, options);
    let mut output = Output::create(args.writing.output.as_deref())?;
    if let Some(references) = &args.references {
        references::score(args, &together, references, input, &mut output, log)?;
        output.finish()?;
        return Ok(DONE);
    }
    let mut options = options_of(args);
    let mut lines = Lines::begin(args, output.writer())?;
    let mut cuts = 0;
    let mut document = Document::default();
    let mut file = PathBuf::new();
    // Translates the next lines, or the next piece of a document.
    let mut translate = |texts: &[&str]| -> anyhow::Result<()> {
        for (text, made) in texts.iter().zip(Translator::translate_by(&together, texts, &options)?)
        {
            cuts += made.cuts;
            if whole { lines.write_document(text, &made)? } else { lines.write(text, &made)? }
        }
        options.first_line += texts.len() as u64;
        Ok(output.flush()?)
    };
    input.windows(WINDOW, log, |window| {
        if !whole {
            return translate(&window.iter().map(|line| line.text()).collect::<Vec<_>>());
        }
        for line in &window {
            let here = line.place().map_or(Path::new(""), |(path, _)| path);
            if here != file {
                file = here.to_owned();
                document.rest(args.to).map_or(Ok(()), |rest| translate(&[&rest]))?;
            }
            document.add(line);
            // An object of JSON holds a document whole.
            while args.to == To::Text
                && let Some(piece) = document.settled()
            {
                translate(&[&piece])?;
            }
        }
        Ok(())
    })?;
    document.rest(args.to).map_or(Ok(()), |rest| translate(&[&rest]))?;
    lines.finish()?;
    if cuts > 0 {
        let places = counted(cuts, "place");
        log.warn(format_args!("sentences too long to be read at once were cut: {places}"));
    }
    output.finish()?;
    Ok(DONE)
}

fn options_of(args: &Args) -> TranslateOptions {
    let seed = args.labelling.compute.seed.unwrap_or(1);
    let (temperature, top) = (args.temperature, args.top_k);
    TranslateOptions {
        beam: args.beam.into(),
        n_best: args.n_best.into(),
        length_penalty: args.length_penalty,
        coverage_penalty: args.coverage_penalty,
        prefix: args.prefix.clone(),
        no_repeat_ngram: args.no_repeat_ngram,
        alignments: args.alignments.is_some(),
        sampling: args.sample.then_some(TranslateSampling { temperature, top, seed }),
        batch_subwords: args.labelling.batch_size,
        ..TranslateOptions::default()
    }
}

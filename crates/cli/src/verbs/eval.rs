//! `gloss eval`: scores a model, or a file.

mod labels;
mod raw;
mod text;
mod translations;

use std::path::PathBuf;

use clap::ValueEnum;

use glossator::{
    models::kind_of,
    training::metric::{CalibrationScorer, translation::Tokenizer},
};

use crate::{
    args::{HELP, Reading, Writing, named},
    compute::Labelling,
    exit::{self, BadData, DONE, FINDINGS, Usage},
    input,
    log::Log,
    output,
    scores::{Bound, Labels, Metric, Scorer, Scores},
};

const EXAMPLES: &str = "\
Examples:
  gloss eval -m ./my-tagger test.conllu
  gloss eval -m en-ner --columns token,ner --json test.tsv
  gloss eval -m ./my-tagger --min f1=90 --calibration test.conllu
  gloss eval --raw -m ./my-tagger --min sentences=80 test.conllu
  gloss eval --hypotheses tagged.conllu --references gold.conllu --layer upos --confusion
  gloss eval --hypotheses lines.de --references gold.de --metric bleu,chrf
  gloss eval --hypotheses new.de --compare old.de --references gold.de
  gloss eval -m ./en-de lines.en --references gold.de --min bleu=30
  gloss eval -m ./my-language-model --max perplexity=4 news.txt
  gloss eval -m ./my-language-model --by line news.txt | sort -rn | head";

/// Tokens of a window of sentences.
const WINDOW: usize = 1 << 16;

/// Score a model on files, or a file against another
///
/// A tagger is scored on files with a gold column, a language model on raw
/// text, of which every line is a document; blank lines do not count; a
/// translator on lines whose translations are in the references. With --raw the
/// raw text of a treebank is split here, and scored as the CoNLL 2018 shared task
/// does; a model is not needed. A file is
/// scored against another one as labels, if --layer names a column, else as
/// translations, line by line.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Files with a gold column, or raw text; none, or `-`, is standard input
    #[arg(value_name = "FILE", conflicts_with = "hypotheses")]
    files: Vec<PathBuf>,
    /// Model: a built-in one, one of the cache, or a folder [default: en-ner]
    #[arg(long, short, value_name = "MODEL", conflicts_with = "hypotheses")]
    model: Option<String>,
    /// File with labels, or with a translation a line, to score; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "references")]
    hypotheses: Option<PathBuf>,
    /// File with the gold labels of the same words, or files with a reference a line
    #[arg(long, value_name = "FILE", num_args = 1..)]
    references: Vec<PathBuf>,
    /// Labels or translations of the same text by a baseline, to be tested against by
    /// the paired bootstrap
    #[arg(long, value_name = "FILE", requires = "references")]
    compare: Option<PathBuf>,
    /// Of labels: also print which were taken for which
    #[arg(long, conflicts_with = "raw")]
    confusion: bool,
    /// Of a tagger: also print how often its labels or spans are right, by their
    /// probabilities
    #[arg(long, conflicts_with_all = ["raw", "hypotheses"])]
    calibration: bool,
    /// Of BLEU: how translations are cut into words
    #[arg(long, value_name = "TOKENIZER", requires = "references", conflicts_with = "layer", value_parser = translations::tokenizers())]
    tokenize: Option<Tokenizer>,
    /// Compare translations in lower case
    #[arg(long, requires = "references", conflicts_with = "layer")]
    lowercase: bool,
    /// Split the raw text of CoNLL-U files, and score tokens, words, sentences, and the
    /// labels of a model, if one is named
    #[arg(long, conflicts_with_all = ["hypotheses", "references", "by"])]
    raw: bool,
    /// Column to compare: ner, upos, … [default: the model's layer]
    #[arg(long, value_name = "LAYER")]
    layer: Option<String>,
    /// Print these numbers only: accuracy, precision, recall, f1, span-f1,
    /// macro-f1; of a language model bits-per-character, nats-per-character,
    /// perplexity, characters, unknown; of translations bleu, chrf, chrf++, ter;
    /// of raw text tokens, words, sentences, labels (F1)
    #[arg(long, value_name = "METRICS", value_delimiter = ',', value_parser = named(Metric::ALL, Metric::name), hide_possible_values = true)]
    metric: Vec<Metric>,
    /// Print a row for each: bits per character, characters, unknown ones,
    /// place, text; of a language model only
    #[arg(long, value_name = "UNIT", conflicts_with_all = ["metric", "hypotheses"])]
    by: Option<By>,
    /// Print a JSON object (with --by, one a row); scores of labels are from 0 to 100
    #[arg(long)]
    json: bool,
    /// Exit with 1 if a metric is lower
    #[arg(long, value_name = "METRIC=VALUE")]
    min: Vec<Bound>,
    /// Exit with 1 if a metric is higher
    #[arg(long, value_name = "METRIC=VALUE")]
    max: Vec<Bound>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    labelling: Labelling,
}

/// What has a row of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Every line, by itself
    Line,
    /// Every file, its lines one after the other
    File,
}

impl Args {
    fn model(&self) -> &str {
        self.model.as_deref().unwrap_or("en-ner")
    }

    /// The numbers that are printed or bounded by name.
    fn metrics(&self) -> impl Iterator<Item = Metric> {
        let bounded = self.min.iter().chain(&self.max).map(|bound| bound.metric);
        self.metric.iter().copied().chain(bounded)
    }
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    if args.json && !args.metric.is_empty() {
        log.warn("--metric: --json holds all numbers");
    }
    let scores = score(args, log)?;
    let missed = missed(args, &scores);
    missed.iter().for_each(|message| log.missed(message));
    let code = if missed.is_empty() { DONE } else { FINDINGS };
    match args.by {
        // The rows are all that is printed.
        Some(_) => Ok(code),
        None => {
            let path = args.writing.output.as_deref();
            exit::of_report(output::write(path, render(args, &scores)), code)
        }
    }
}

fn score(args: &Args, log: Log) -> anyhow::Result<Scores> {
    if args.raw {
        return Ok(Scores::Raw(raw::score(args, log)?));
    }
    match (&args.hypotheses, &args.layer, &args.references[..]) {
        (Some(hypotheses), Some(_), [references]) => {
            let scored = |file: &PathBuf| labels::compare(args, file, references, log);
            let baseline = args.compare.as_ref().map(scored).transpose()?;
            return labels(args, &scored(hypotheses)?, baseline.as_ref(), None);
        }
        (Some(_), Some(_), _) => {
            return Err(Usage("--references: labels have one file of them".to_owned()).into());
        }
        (Some(_), None, _) if args.confusion => return Err(no_confusion().into()),
        (Some(hypotheses), None, _) => {
            return Ok(Scores::Translations(translations::score(args, hypotheses, log)?));
        }
        (None, ..) => {}
    }
    input::expect(&args.files, "eval", EXAMPLES)?;
    let kind = kind_of(args.model());
    if !args.references.is_empty() && kind.as_deref() != Some("translator") {
        let problem = "--references: of --hypotheses, or of the translations of a translator";
        return Err(Usage(problem.to_owned()).into());
    }
    if matches!(kind.as_deref(), Some("language-model" | "translator")) {
        if args.confusion {
            return Err(no_confusion().into());
        }
        if args.calibration {
            return Err(Usage("--calibration: of a tagger only".to_owned()).into());
        }
    }
    Ok(match kind.as_deref() {
        Some("language-model") => Scores::Text(text::score(args, log)?),
        Some("translator") => Scores::Translations(translations::score_model(args, log)?),
        _ => {
            let (scorer, calibration) = labels::score(args, log)?;
            return labels(args, &scorer, None, calibration.as_ref());
        }
    })
}

fn no_confusion() -> Usage {
    Usage("--confusion: only labels are taken for each other".to_owned())
}

/// The scores of labels.
fn labels(
    args: &Args,
    scorer: &Scorer,
    baseline: Option<&Scorer>,
    calibration: Option<&CalibrationScorer>,
) -> anyhow::Result<Scores> {
    let seed = args.labelling.compute.seed;
    Ok(Scores::Labels(Labels::new(scorer, baseline, seed, args.confusion, calibration)?))
}

/// An error about files without what is scored.
fn nothing_in(what: &str, files: &[PathBuf]) -> BadData {
    BadData(format!("no {what} to score in {}", input::names(files)))
}

/// What is printed: an object, the numbers asked for, or the whole table.
fn render(args: &Args, scores: &Scores) -> String {
    if args.json {
        return format!("{}\n", scores.to_json());
    }
    if args.metric.is_empty() {
        return scores.table();
    }
    args.metric.iter().map(|metric| scores.line(*metric)).collect()
}

/// The bounds that do not hold.
fn missed(args: &Args, scores: &Scores) -> Vec<String> {
    let low = args.min.iter().map(|bound| (bound, "less", false));
    let high = args.max.iter().map(|bound| (bound, "more", true));
    let all = low.chain(high).filter_map(|(Bound { metric, value: bound }, than, is_max)| {
        let value = scores.get(*metric)?;
        let missed = if is_max { value > *bound } else { value < *bound };
        missed.then(|| format!("{metric} is {}, {than} than {bound}", metric.show(value)))
    });
    all.collect()
}

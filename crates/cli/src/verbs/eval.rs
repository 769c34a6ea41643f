//! `gloss eval`: scores a model, or a file.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use glossator::{
    Error, Sentence, Tagger,
    errors::TextError,
    tags::{self, Scheme},
};

use crate::{
    args::{HELP, Reading, Writing, named},
    compute::Labelling,
    exit::{self, BadData, DONE, FINDINGS, Usage},
    input::{self, Input},
    log::Log,
    output::Output,
    scores::{Bound, Metric, Scorer, column},
};

const EXAMPLES: &str = "\
Examples:
  gloss eval -m ./my-tagger test.conllu
  gloss eval -m en-ner --columns token,ner --json test.tsv
  gloss eval -m ./my-tagger --min f1=90 test.conllu
  gloss eval --hypotheses tagged.conllu --references gold.conllu --layer upos";

/// Tokens of a window of sentences.
const WINDOW: usize = 1 << 16;

/// Score a model on files with a gold column, or a file against another
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Files with a gold column; none, or `-`, is standard input
    #[arg(value_name = "FILE", conflicts_with = "hypotheses")]
    files: Vec<PathBuf>,
    /// Model: a built-in one, one of the cache, or a folder [default: en-ner]
    #[arg(long, short, value_name = "MODEL", conflicts_with = "hypotheses")]
    model: Option<String>,
    /// File with labels to score; `-` is standard input
    #[arg(long, value_name = "FILE", requires_all = ["references", "layer"])]
    hypotheses: Option<PathBuf>,
    /// File with the gold labels of the same words; `-` is standard input
    #[arg(long, value_name = "FILE", requires = "hypotheses")]
    references: Option<PathBuf>,
    /// Column to compare: ner, upos, … [default: the model's layer]
    #[arg(long, value_name = "LAYER")]
    layer: Option<String>,
    /// Print these numbers only: accuracy, precision, recall, f1, span-f1, macro-f1
    #[arg(long, value_name = "METRICS", value_delimiter = ',', value_parser = named(Metric::ALL, Metric::name), hide_possible_values = true)]
    metric: Vec<Metric>,
    /// Print a JSON object, numbers from 0 to 100
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

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    if args.json && !args.metric.is_empty() {
        log.warn("--metric: --json holds all numbers");
    }
    let scorer = match (&args.hypotheses, &args.references) {
        (Some(hypotheses), Some(references)) => compare(args, hypotheses, references, log)?,
        _ => score(args, log)?,
    };
    let missed = missed(args, &scorer);
    missed.iter().for_each(|message| log.missed(message));
    let code = if missed.is_empty() { DONE } else { FINDINGS };
    exit::of_report(write(args, &render(args, &scorer)), code)
}

fn write(args: &Args, text: &str) -> anyhow::Result<()> {
    let output = Output::create(args.writing.output.as_deref())?;
    let written = output.writer().write_all(text.as_bytes());
    written.map_err(|source| TextError::Write { source })?;
    Ok(output.finish()?)
}

/// Scores a model on the files.
fn score(args: &Args, log: Log) -> anyhow::Result<Scorer> {
    input::expect(&args.files, "eval", EXAMPLES)?;
    args.labelling.compute.prepare(log)?;
    let tagger = Tagger::load(args.model.as_deref().unwrap_or("en-ner"))?;
    let gold = args.layer.as_deref().unwrap_or(tagger.layer());
    if asks_for_spans(args) && !tagger.is_spans() {
        let name = tagger.name();
        return Err(Usage(format!("span-f1: the model {name} labels words, not spans")).into());
    }
    let mut scorer = Scorer::new(tagger.is_spans());
    let mut sentences = 0;
    let input = Input::open(&args.files, args.reading.options());
    input.windows(WINDOW, log, |mut window| {
        window.retain(|sentence| !sentence.is_empty());
        for sentence in &window {
            column(sentence, gold)?;
        }
        sentences += window.len();
        tagger.tag_batches(&mut window, args.labelling.batch_size)?;
        for sentence in &window {
            let layer = sentence.layer(tagger.layer());
            let predicted = layer.map(|layer| layer.column(sentence.len(), Scheme::Iob2));
            scorer.add(&column(sentence, gold)?, &predicted.unwrap_or_default())?;
        }
        Ok(())
    })?;
    match sentences {
        0 => Err(nothing_in(&args.files).into()),
        _ => Ok(scorer),
    }
}

/// An error about files without words.
fn nothing_in(files: &[PathBuf]) -> BadData {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let names = if names.is_empty() { "-".to_owned() } else { names.join(", ") };
    BadData(format!("no sentences to score in {names}"))
}

/// Scores a file against another one.
fn compare(args: &Args, hypotheses: &Path, references: &Path, log: Log) -> anyhow::Result<Scorer> {
    let layer = args.layer.as_deref().unwrap_or_default();
    input::expect(&[hypotheses.to_owned(), references.to_owned()], "eval", EXAMPLES)?;
    let (predicted, gold) = (read(args, hypotheses, log)?, read(args, references, log)?);
    if gold.is_empty() {
        return Err(nothing_in(&[references.to_owned()]).into());
    }
    let mut columns = Vec::new();
    for sentence in &gold {
        columns.push(column(sentence, layer)?.into_iter().map(str::to_owned).collect::<Vec<_>>());
    }
    let detection = tags::detect(columns.iter().map(Vec::as_slice));
    if asks_for_spans(args) && detection.others > 0 {
        return Err(Usage(format!("span-f1: the column `{layer}` holds labels of words")).into());
    }
    let mut scorer = Scorer::new(detection.is_spans() || asks_for_spans(args));
    for (index, (gold, column_)) in gold.iter().zip(&columns).enumerate() {
        let Some(predicted) = predicted.get(index).filter(|p| p.tokens().eq(gold.tokens())) else {
            let problem = format!("{} has other words here", hypotheses.display());
            return Err(Error::in_sentence(gold, problem).into());
        };
        scorer.add(column_, &column(predicted, layer)?)?;
    }
    match predicted.get(gold.len()) {
        Some(more) => {
            let problem = format!("{} ends before this sentence", references.display());
            Err(Error::in_sentence(more, problem).into())
        }
        None => Ok(scorer),
    }
}

/// Reads the sentences of a file that have words.
fn read(args: &Args, file: &Path, log: Log) -> anyhow::Result<Vec<Sentence>> {
    let mut sentences = Vec::new();
    let input = Input::open(&[file.to_owned()], args.reading.options());
    input.windows(WINDOW, log, |mut window| {
        window.retain(|sentence| !sentence.is_empty());
        sentences.append(&mut window);
        Ok(())
    })?;
    Ok(sentences)
}

/// Whether a number is printed or bounded that only spans have.
fn asks_for_spans(args: &Args) -> bool {
    let bounded = args.min.iter().chain(&args.max).map(|bound| bound.metric);
    args.metric.iter().copied().chain(bounded).any(|metric| metric == Metric::SpanF1)
}

/// What is printed: an object, the numbers asked for, or the whole table.
fn render(args: &Args, scorer: &Scorer) -> String {
    let report = scorer.report();
    if args.json {
        return format!("{}\n", scorer.to_json());
    }
    if args.metric.is_empty() {
        return report.to_string();
    }
    let line = |metric: &Metric| format!("{metric:10} {:6.2}\n", metric.of(&report));
    args.metric.iter().map(line).collect()
}

/// The bounds that do not hold.
fn missed(args: &Args, scorer: &Scorer) -> Vec<String> {
    let report = scorer.report();
    let low = args.min.iter().map(|bound| (bound, "less", false));
    let high = args.max.iter().map(|bound| (bound, "more", true));
    let all = low.chain(high).filter_map(|(bound, than, is_max)| {
        let value = bound.metric.of(&report);
        let missed = if is_max { value > bound.value } else { value < bound.value };
        let text = || format!("{} is {value:.2}, {than} than {}", bound.metric, bound.value);
        missed.then(text)
    });
    all.collect()
}

//! `gloss tag`: labels text.

use std::{mem::ManuallyDrop, path::PathBuf};

use glossator::{
    Annotation, Compute, Constraints, Error, Gazetteer, Layer, Sentence, TagOptions, Tagger,
    corpus::{Offsets, OutputFormat, WriteOptions, writer},
};

use crate::{
    args::{HELP, Reading, Writing, named},
    compute::Labelling,
    exit::{DONE, Usage},
    input::{self, Input},
    log::Log,
    output::Output,
    unknown::Unknown,
};

const EXAMPLES: &str = "\
Examples:
  echo \"George Washington went to Washington .\" | gloss tag
  gloss tag news.txt > news.tagged
  gloss tag -m en-ner -m en-pos --to jsonl --scores -o news.jsonl news.txt.gz
  gloss tag -m ./my-tagger --to conllu test.conllu
  gloss tag --forbid ORG --gazetteer places.tsv news.txt
  gloss tag --to html --scores -o news.html news.txt
  tail -f lines.txt | gloss tag --from lines";

/// Formats that show labels.
const FORMATS: &[OutputFormat] = &[
    OutputFormat::Inline,
    OutputFormat::Jsonl,
    OutputFormat::Conll,
    OutputFormat::Conllu,
    OutputFormat::Html,
    OutputFormat::Brat,
];

/// Batches in a window of sentences.
const BATCHES: usize = 64;
/// A window has room for at least so many tokens, however small the batches.
const MIN_WINDOW: usize = 4096;
/// And for not much more, however large.
const MAX_WINDOW: usize = 1 << 16;

/// Label text
///
/// Sentence by sentence, in the order of the input. A sentence has the same
/// labels and scores whatever comes before and behind it.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Files to read; none, or `-`, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Model: a built-in one, one of the cache, or a folder; each adds its layer
    #[arg(long = "model", short = 'm', value_name = "MODEL", default_value = "en-ner")]
    models: Vec<String>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    writing: Writing,
    /// Format of the output
    #[arg(long, value_name = "FORMAT", default_value = "inline", value_parser = named(FORMATS, OutputFormat::name))]
    to: OutputFormat,
    /// Write the probability of each label and span
    #[arg(long)]
    scores: bool,
    /// Leave out spans less probable than this, 0 to 1; labels of words all stay
    #[arg(long, value_name = "P", value_parser = probability)]
    min_score: Option<f32>,
    /// Of each layer also write so many label sequences, the likeliest, with their
    /// probabilities; jsonl only
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..=1000))]
    n_best: Option<u16>,
    /// Labels, or classes of spans, that nothing may have
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    forbid: Vec<String>,
    /// File of phrases whose label is likelier where they stand: in each line label,
    /// tab, phrase and, if need be, tab and by how much the log-odds rise [default: 3]
    #[arg(long, value_name = "FILE")]
    gazetteer: Vec<PathBuf>,
    /// Column of the input with labels that are given; `_` leaves a token open
    #[arg(long, value_name = "COLUMN")]
    fix: Option<String>,
    /// Unit of `start` and `end` in jsonl [default: chars]
    #[arg(long, value_name = "UNIT", value_parser = named(Offsets::ALL, Offsets::name))]
    offsets: Option<Offsets>,
    #[command(flatten)]
    labelling: Labelling,
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    input::expect(&args.files, "tag", EXAMPLES)?;
    if args.to == OutputFormat::Brat && args.files.len() > 1 {
        let problem = "--to brat holds the places of one document: give one file at a time";
        return Err(Usage(problem.to_owned()).into());
    }
    if args.n_best.is_some() && args.to != OutputFormat::Jsonl {
        let problem = format!("--n-best: {} has no place for sequences; use --to jsonl", args.to);
        return Err(Usage(problem).into());
    }
    if args.fix.is_some() && args.models.len() > 1 {
        let problem = "--fix: the given labels are those of one model; name only that";
        return Err(Usage(problem.to_owned()).into());
    }
    warn_of_what_has_no_place(args, log);
    let compute = args.labelling.prepare(log)?;
    // The end of the program frees them faster than it could.
    let taggers = ManuallyDrop::new(load(&args.models, &compute)?);
    let together: Vec<&Tagger> = taggers.iter().collect();
    let mut output = Output::create(args.writing.output.as_deref())?;
    let mut writer = writer(args.to, output.writer(), options(args));
    let input = Input::open(&args.files, args.reading.options());
    let options = TagOptions {
        max_tokens: args.labelling.batch_size,
        n_best: args.n_best.unwrap_or(0).into(),
        constraints: constraints(args, &together)?,
        ..TagOptions::default()
    };
    let mut unknown: Vec<Unknown> = taggers.iter().map(|_| Unknown::default()).collect();
    let tagged = input.windows(window_tokens(options.max_tokens), log, |mut window| {
        if let Some(column) = &args.fix {
            has_column(&window, column)?;
        }
        Tagger::tag_with(&together, &mut window, &options)?;
        for sentence in &mut window {
            for (tagger, unknown) in taggers.iter().zip(&mut unknown) {
                unknown.add(sentence.text(), |c| tagger.knows(c));
            }
            if let Some(min) = args.min_score {
                drop_spans_below(sentence, min);
            }
            writer.write(sentence)?;
        }
        Ok(output.flush()?)
    });
    for (tagger, unknown) in taggers.iter().zip(&unknown).filter(|(_, u)| u.count() > 0) {
        let name = tagger.name();
        log.warn(format_args!(
            "{name}: characters unknown to its language model, all read as one and the same: {unknown}"
        ));
    }
    tagged?;
    writer.finish()?;
    output.finish()?;
    Ok(DONE)
}

/// What is known of the labels.
fn constraints(args: &Args, taggers: &[&Tagger]) -> anyhow::Result<Constraints> {
    let mut constraints = Constraints::new();
    for label in &args.forbid {
        constraints = constraints.forbid(label);
    }
    for path in &args.gazetteer {
        constraints = constraints.raise(Gazetteer::read(path)?);
    }
    if let Some(column) = &args.fix {
        for tagger in taggers {
            tagger.layer_of(column).ok_or_else(|| tagger.no_layer(column))?;
        }
        constraints = constraints.fix(column);
    }
    match constraints.unknown(taggers) {
        None => Ok(constraints),
        Some(label) => {
            let names = taggers.iter().map(|tagger| tagger.name()).collect::<Vec<_>>().join(", ");
            Err(Usage(format!("`{label}` is no label of {names}; see `gloss models show`")).into())
        }
    }
}

/// Refuses sentences without a column.
fn has_column(window: &[Sentence], column: &str) -> Result<(), Error> {
    let lacks = |sentence: &&Sentence| !sentence.is_empty() && sentence.column(column).is_none();
    match window.iter().find(lacks) {
        Some(sentence) => {
            Err(Error::in_sentence(sentence, format!("--fix: {}", sentence.missing(column))))
        }
        None => Ok(()),
    }
}

/// How to write.
fn options(args: &Args) -> WriteOptions {
    WriteOptions {
        scores: args.scores,
        offsets: args.offsets.unwrap_or_default(),
        ..WriteOptions::default()
    }
}

/// Says which options the format of the output makes no use of.
fn warn_of_what_has_no_place(args: &Args, log: Log) {
    let to = args.to;
    if args.scores && matches!(to, OutputFormat::Conll | OutputFormat::Conllu) {
        log.warn(format_args!("--scores: {to} has no place for scores"));
    }
    if args.offsets.is_some() && to != OutputFormat::Jsonl {
        log.warn(format_args!("--offsets: {to} has no place for offsets"));
    }
}

/// Loads models of different layers.
///
/// # Errors
/// If there is none of a name, it is damaged, or two write the same layer.
pub fn load(names: &[String], compute: &Compute) -> anyhow::Result<Vec<Tagger>> {
    let mut taggers: Vec<Tagger> = Vec::new();
    for name in names {
        let tagger = Tagger::load_in(name, compute.clone())?;
        for layer in tagger.layers().map(|layer| layer.name) {
            let writes = |other: &&Tagger| other.layers().any(|own| own.name == layer);
            if let Some(other) = taggers.iter().find(writes) {
                let other = other.name();
                return Err(Usage(format!(
                    "-m {other} -m {name}: both write the layer `{layer}`; use one of them"
                ))
                .into());
            }
        }
        taggers.push(tagger);
    }
    Ok(taggers)
}

/// Tokens of a window: enough batches for every thread, and never too much text.
fn window_tokens(batch_size: usize) -> usize {
    batch_size.saturating_mul(BATCHES).clamp(MIN_WINDOW, MAX_WINDOW)
}

fn drop_spans_below(sentence: &mut Sentence, min: f32) {
    let below = |layer: &&Layer| layer.spans().unwrap_or_default().iter().any(|s| s.score < min);
    let layers: Vec<Layer> = sentence.layers().iter().filter(below).cloned().collect();
    for mut layer in layers {
        if let Annotation::Spans(spans) = &mut layer.annotation {
            spans.retain(|span| span.score >= min);
        }
        sentence.set_layer(layer);
    }
}

fn probability(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_bounded() {
        assert_eq!([1, 1024, 100_000].map(window_tokens), [MIN_WINDOW, MAX_WINDOW, MAX_WINDOW]);
    }

    #[test]
    fn improbable_spans_go_and_labels_stay() {
        let mut sentence = Sentence::from_tokens(&["Ada", "met", "Zoë"]);
        let mut spans = Layer::from_tags("ner", &["B-PER", "O", "B-PER"]);
        if let Annotation::Spans(spans) = &mut spans.annotation {
            spans[0].score = 0.4;
        }
        let mut labels = Layer::from_labels("upos", &["PROPN", "VERB", "PROPN"]);
        if let Annotation::Tokens(labels) = &mut labels.annotation {
            labels[1].score = 0.1;
        }
        sentence.set_layer(spans);
        sentence.set_layer(labels.clone());
        drop_spans_below(&mut sentence, 0.5);
        assert_eq!(sentence.spans().map(|span| span.text()).collect::<Vec<_>>(), ["Zoë"]);
        assert_eq!(sentence.layer("upos"), Some(&labels));
    }

    #[test]
    fn probabilities_are_from_0_to_1() {
        assert_eq!(probability("0.5"), Ok(0.5));
        assert!(["1.1", "-0.1", "nan", "x"].iter().all(|text| probability(text).is_err()));
    }
}

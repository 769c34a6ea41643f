//! `gloss bench`: how fast models are.

mod memory;
mod report;
mod statistics;
mod work;

use std::{path::PathBuf, time::Instant};

use glossator::{Isa, Sentence};

use self::{report::Report, work::Work};
use crate::{
    args::{HELP, Reading, Writing},
    compute::Labelling,
    exit::{BadData, DONE},
    input::{self, Input},
    log::Log,
    output,
};

const EXAMPLES: &str = "\
Examples:
  gloss bench news.txt
  gloss bench -m en-ner -m en-pos --threads 1 --json news.txt
  gloss bench --latency --runs 10 --from lines requests.txt
  gloss bench -m en-lm-forward news.txt
  gloss bench -m ./en-de --beam 1 --from lines lines.en";

/// Tokens of a window of sentences that are read.
const WINDOW: usize = 1 << 16;

/// Measure words per second
///
/// Reads all input first; then models label it, once to warm up and once for
/// each run. The rate of each run counts: median, least, greatest, and mean with
/// its 95 % interval by Student's t. Of a language model, making the vectors of
/// words is measured; of a translator, words that are translated.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Files to read; none, or `-`, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Tagger, language model or translator: a built-in one, one of the cache, or a
    /// folder; all work on the same text
    #[arg(long = "model", short = 'm', value_name = "MODEL", default_value = "en-ner")]
    models: Vec<String>,
    /// Runs that count, after one that does not
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// One sentence at a time, without batches: also print milliseconds per
    /// sentence, median and 95th percentile over all runs
    #[arg(long, conflicts_with = "batch_size")]
    latency: bool,
    /// Hypotheses that a translator follows at a time
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    beam: u16,
    /// Print a JSON object; one run has no interval
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    writing: Writing,
    #[command(flatten)]
    labelling: Labelling,
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    input::expect(&args.files, "bench", EXAMPLES)?;
    let compute = args.labelling.prepare(log)?;
    let start = Instant::now();
    let work = Work::load(&args.models, &compute, args.beam.into())?;
    let load = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut sentences = read(args, log)?;
    let read = start.elapsed().as_secs_f64();
    let mut report = Report {
        models: args.models.clone(),
        device: compute.device.to_string(),
        precision: args.labelling.precision.name(),
        threads: rayon::current_num_threads(),
        instructions: Isa::detect().to_string(),
        batch_size: (!args.latency).then_some(args.labelling.batch_size),
        sentences: sentences.len(),
        words: sentences.iter().map(Sentence::len).sum(),
        characters: sentences.iter().map(|sentence| sentence.text().chars().count()).sum(),
        load,
        read,
        ..Report::default()
    };
    measure(args, &work, &mut sentences, &mut report)?;
    report.peak_memory = memory::peak();
    let text = if args.json { format!("{}\n", report.to_json()) } else { report.table() };
    output::write(args.writing.output.as_deref(), &text)?;
    Ok(DONE)
}

/// All sentences that have words.
fn read(args: &Args, log: Log) -> anyhow::Result<Vec<Sentence>> {
    let mut sentences = Vec::new();
    let input = Input::open(&args.files, args.reading.options());
    input.windows(WINDOW, log, |window| {
        sentences.extend(window.into_iter().filter(|sentence| !sentence.is_empty()));
        Ok(())
    })?;
    if sentences.is_empty() {
        return Err(BadData(format!("no words to label in {}", input::names(&args.files))).into());
    }
    Ok(sentences)
}

/// Warms up and takes the times of all runs.
fn measure(
    args: &Args,
    work: &Work,
    sentences: &mut [Sentence],
    report: &mut Report,
) -> anyhow::Result<()> {
    for run in 0..=args.runs {
        let (seconds, mut each) = match args.latency {
            true => {
                let each = work.each(sentences)?;
                (each.iter().sum(), each)
            }
            false => (work.through(sentences, args.labelling.batch_size)?, Vec::new()),
        };
        if run > 0 {
            report.runs.push(seconds);
            report.latencies.append(&mut each);
        }
    }
    Ok(())
}

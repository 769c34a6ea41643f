//! `gloss check`: looks at corpora before training does, and at texts before a
//! model does.

mod distance;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use clap::ArgGroup;
use glossator::{
    Source, TaggerConfig,
    corpus::{self, Format, ReadOptions},
    errors::TextError,
    training::{
        CacheConfig, DataConfig, ModelInfo, RunConfig, TaggerRunConfig, TaskKind, TrainingConfig,
        check::{self, Finding, Statistics},
    },
};

use crate::{
    args::{HELP, named},
    compute::Compute,
    exit::{self, DONE, FINDINGS, Usage},
    input,
    log::{Log, counted},
    output,
};

const EXAMPLES: &str = "\
Examples:
  gloss check tagger.toml
  gloss check --train train.conllu --dev dev.conllu --layer upos
  gloss check --train train.tsv --dev dev.tsv --columns token,pos,ner
  gloss check -m en-ner news.txt";

/// Findings of one kind that are printed one by one.
const SHOWN: usize = 5;
/// Labels of a file that are printed, the frequent ones.
const LABELS: usize = 20;

/// Look at corpora before training does, or at texts before a model does
///
/// Reads corpora as training would, prints what is in them and what is wrong.
/// With -m and texts it says how far they are from what the model was trained
/// on. Exits with 1 on findings.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
#[command(group = ArgGroup::new("corpora").required(true).multiple(true).args(["files", "train", "model"]))]
pub struct Args {
    /// Configuration file that names the corpora; with -m, the texts: none, or
    /// `-`, is standard input
    #[arg(value_name = "CONFIG|FILE")]
    files: Vec<PathBuf>,
    /// Model to hold texts against: a tagger with language models, or a
    /// language model
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,
    /// Training data
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    train: Option<PathBuf>,
    /// Development data
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    dev: Option<PathBuf>,
    /// Test data
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    test: Option<PathBuf>,
    /// Column to learn: upos, xpos, feats, misc:NER, or a column's name [default: upos of
    /// CoNLL-U, else the last column]
    #[arg(long, value_name = "LAYER", conflicts_with = "files")]
    layer: Option<String>,
    /// Format of the files; auto: by file ending, else by content
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = named(Format::ALL, Format::name))]
    from: Format,
    /// Names of the columns of conll files, one of them `token` [default: guessed]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    #[command(flatten)]
    compute: Compute,
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    let mut found = match (&args.model, &args.train) {
        (Some(_), None) => (String::new(), Vec::new()),
        (_, Some(train)) => describe(&of_options(args, train.clone())?)?,
        (None, None) => {
            let [config] = &args.files[..] else {
                return Err(Usage("name one configuration, or a model with -m".to_owned()).into());
            };
            describe(&RunConfig::read(config, &[])?)?
        }
    };
    if let Some(model) = &args.model {
        let corpora = [args.train.as_ref(), args.dev.as_ref(), args.test.as_ref()];
        let mut texts: Vec<PathBuf> = corpora.into_iter().flatten().cloned().collect();
        texts.extend(args.files.iter().cloned());
        input::expect(&texts, "check", EXAMPLES)?;
        let options =
            ReadOptions { format: args.from, columns: args.columns.clone(), lossy: false };
        let device = args.compute.prepare(log)?;
        let compute = glossator::Compute { precision: None, device };
        let (text, findings) = distance::of(model, compute, &texts, options, log)?;
        found.0.push_str(&text);
        found.1.extend(findings);
    }
    let (text, findings) = found;
    report(text, &findings)
}

/// Prints what is in the data and what is wrong with it; the code that says whether
/// anything is.
pub fn report(mut text: String, findings: &[Finding]) -> anyhow::Result<u8> {
    for (path, line, message) in grouped(findings) {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        text.push_str(&format!("{}{line}: {message}\n", shown(&path).display()));
    }
    text.push_str(&match findings.len() {
        0 => "no findings\n".to_owned(),
        count => format!("{}\n", counted(count, "finding")),
    });
    let code = if findings.is_empty() { DONE } else { FINDINGS };
    exit::of_report(output::print(&text).map_err(Into::into), code)
}

/// A configuration of what the options name.
fn of_options(args: &Args, train: PathBuf) -> anyhow::Result<RunConfig> {
    for path in [Some(&train), args.dev.as_ref(), args.test.as_ref()].into_iter().flatten() {
        File::open(path).map_err(|source| TextError::Read { path: path.clone(), source })?;
    }
    let layer = match &args.layer {
        Some(layer) => layer.clone(),
        None => usual_layer(args, &train)?,
    };
    Ok(RunConfig::Tagger(Box::new(TaggerRunConfig {
        task: TaskKind::Tagger,
        seed: 1,
        init_from: None,
        data: DataConfig {
            train,
            dev: args.dev.clone(),
            test: args.test.clone(),
            layer,
            further_layers: Vec::new(),
            format: args.from,
            columns: args.columns.clone(),
        },
        tagger: TaggerConfig::default(),
        cache: CacheConfig::default(),
        training: TrainingConfig::default(),
        model: ModelInfo::default(),
    })))
}

/// What is learnt from a file of which nothing is said.
fn usual_layer(args: &Args, train: &Path) -> anyhow::Result<String> {
    let options = ReadOptions { format: args.from, columns: args.columns.clone(), lossy: false };
    // What cannot be read is found when it is looked at.
    for sentence in corpus::open(train, 0, &options)?.skipping_broken().map_while(Result::ok) {
        if let Source::Rows(rows) = sentence.source()
            && !rows.is_conllu()
        {
            return Ok(rows.columns().last().unwrap_or_default().to_owned());
        }
    }
    Ok("upos".to_owned())
}

/// Lines on the corpora of a configuration, and what is wrong with them.
pub fn describe(config: &RunConfig) -> anyhow::Result<(String, Vec<Finding>)> {
    Ok(match config {
        RunConfig::Tagger(config) => {
            let (statistics, findings) = check::check(config)?;
            let several = !config.data.further_layers.is_empty();
            (statistics.iter().map(|file| line(file, several)).collect(), findings)
        }
        RunConfig::LanguageModel(config) => {
            let (statistics, findings) = check::check_text(config)?;
            (statistics.to_string(), findings)
        }
        RunConfig::Translator(config) => {
            let (statistics, findings) = check::check_pairs(config)?;
            (statistics.to_string(), findings)
        }
    })
}

/// Figures of a file, with the name of the layer where there are `several`.
fn line(statistics: &Statistics, several: bool) -> String {
    let Statistics { key, path, layer, sentences, tokens, labels, is_spans } = statistics;
    let kind = if *is_spans { "spans" } else { "labels" };
    let kind = if several { format!("{kind} of {layer}") } else { kind.to_owned() };
    let total: usize = labels.values().sum();
    let mut sorted: Vec<_> = labels.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let list = sorted.iter().take(LABELS).map(|(label, count)| format!("{label} {count}"));
    let mut list = list.collect::<Vec<_>>().join(", ");
    if sorted.len() > LABELS {
        list.push_str(&format!(" and {} more", sorted.len() - LABELS));
    }
    let path = shown(path);
    let path = path.display();
    format!("{key} {path}: {sentences} sentences, {tokens} words, {total} {kind}: {list}\n")
}

/// The path as seen from here.
fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}

/// Place and message of a finding, or of many that are alike.
type Line = (PathBuf, Option<usize>, String);

/// The findings, and a count in place of those that repeat a kind too often.
fn grouped(findings: &[Finding]) -> Vec<Line> {
    let mut seen: BTreeMap<(&Path, String), usize> = BTreeMap::new();
    let mut lines = Vec::new();
    for finding in findings {
        let count = seen.entry((&finding.path, kind(&finding.message))).or_default();
        *count += 1;
        if *count <= SHOWN {
            lines.push((finding.path.clone(), finding.line, finding.message.clone()));
        }
    }
    for ((path, kind), count) in seen {
        if count > SHOWN {
            lines.push((path.to_owned(), None, format!("{} more: {kind}", count - SHOWN)));
        }
    }
    lines
}

/// A message with dots for what differs from finding to finding: numbers, and what
/// is quoted.
fn kind(message: &str) -> String {
    let mut kind = String::new();
    for (i, part) in message.split('`').enumerate() {
        if i % 2 == 1 {
            kind.push_str("`…`");
            continue;
        }
        for c in part.chars() {
            match c.is_ascii_digit() {
                false => kind.push(c),
                true if kind.ends_with('…') => {}
                true => kind.push('…'),
            }
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_one_kind_are_counted() {
        let finding =
            |line: usize, message: String| Finding { path: "a".into(), line: Some(line), message };
        let mut findings: Vec<Finding> =
            (1..=8).map(|i| finding(i, format!("token {i} `w{i}`: bad"))).collect();
        findings.push(finding(9, "empty".to_owned()));
        let lines = grouped(&findings);
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[5], ("a".into(), Some(9), "empty".to_owned()));
        assert_eq!(lines[6], ("a".into(), None, "3 more: token … `…`: bad".to_owned()));
    }
}

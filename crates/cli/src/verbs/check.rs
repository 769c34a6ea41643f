//! `gloss check`: looks at corpora before training does.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use clap::ArgGroup;
use glossator::{
    TaggerConfig,
    corpus::Format,
    errors::TextError,
    training::{
        CacheConfig, DataConfig, ModelInfo, RunConfig, TaggerRunConfig, TaskKind, TrainingConfig,
        check::{self, Finding, Statistics},
    },
};

use crate::{
    args::{HELP, named},
    exit::{self, DONE, FINDINGS},
    log::counted,
    output,
};

const EXAMPLES: &str = "\
Examples:
  gloss check tagger.toml
  gloss check --train train.conllu --dev dev.conllu --layer upos
  gloss check --train train.tsv --columns token,pos,ner --layer ner";

/// Findings of one kind that are printed one by one.
const SHOWN: usize = 5;
/// Labels of a file that are printed, the frequent ones.
const LABELS: usize = 20;

/// Look at corpora before training does
///
/// Reads them as training would, prints what is in them and what is wrong.
/// Exits with 1 on findings.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
#[command(group = ArgGroup::new("corpora").required(true).args(["config", "train"]))]
pub struct Args {
    /// Configuration file that names the corpora
    #[arg(value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// Training data
    #[arg(long, value_name = "FILE", requires = "layer")]
    train: Option<PathBuf>,
    /// Development data
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    dev: Option<PathBuf>,
    /// Test data
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    test: Option<PathBuf>,
    /// Column to learn: upos, xpos, feats, misc:NER, or a column's name
    #[arg(long, value_name = "LAYER", conflicts_with = "config")]
    layer: Option<String>,
    /// Format of the files; auto: by file ending, else by content
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = named(Format::ALL, Format::name), conflicts_with = "config")]
    from: Format,
    /// Names of the columns of conll files, one of them `token` [default: guessed]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "config")]
    columns: Option<Vec<String>>,
}

pub fn run(args: &Args) -> anyhow::Result<u8> {
    let config = match (&args.config, &args.train) {
        (Some(config), _) => RunConfig::read(config, &[])?,
        (None, train) => of_options(args, train.clone().unwrap_or_default())?,
    };
    let (mut text, findings) = describe(&config)?;
    for (path, line, message) in grouped(&findings) {
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
fn of_options(args: &Args, train: PathBuf) -> Result<RunConfig, TextError> {
    for path in [Some(&train), args.dev.as_ref(), args.test.as_ref()].into_iter().flatten() {
        File::open(path).map_err(|source| TextError::Read { path: path.clone(), source })?;
    }
    Ok(RunConfig::Tagger(Box::new(TaggerRunConfig {
        task: TaskKind::Tagger,
        seed: 1,
        init_from: None,
        data: DataConfig {
            train,
            dev: args.dev.clone(),
            test: args.test.clone(),
            layer: args.layer.clone().unwrap_or_default(),
            format: args.from,
            columns: args.columns.clone(),
        },
        tagger: TaggerConfig::default(),
        cache: CacheConfig::default(),
        training: TrainingConfig::default(),
        model: ModelInfo::default(),
    })))
}

/// Lines on the corpora of a configuration, and what is wrong with them.
pub fn describe(config: &RunConfig) -> anyhow::Result<(String, Vec<Finding>)> {
    Ok(match config {
        RunConfig::Tagger(config) => {
            let (statistics, findings) = check::check(config)?;
            (statistics.iter().map(line).collect(), findings)
        }
        RunConfig::LanguageModel(config) => {
            let (statistics, findings) = check::check_text(config)?;
            (statistics.to_string(), findings)
        }
    })
}

/// One line on a corpus.
fn line(statistics: &Statistics) -> String {
    let Statistics { key, path, sentences, tokens, labels, is_spans } = statistics;
    let kind = if *is_spans { "spans" } else { "labels" };
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

/// A message without what differs from finding to finding: numbers, and what
/// is quoted.
fn kind(message: &str) -> String {
    let parts = message.split('`').enumerate().map(|(i, part)| match i % 2 {
        0 => part.replace(|c: char| c.is_ascii_digit(), ""),
        _ => "`…`".to_owned(),
    });
    parts.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
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
        assert_eq!(lines[6], ("a".into(), None, "3 more: token `…`: bad".to_owned()));
    }
}

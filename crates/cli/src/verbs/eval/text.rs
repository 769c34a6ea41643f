//! Text that a language model predicts.

mod rows;

use std::path::{Path, PathBuf};

use self::rows::Rows;
use super::{Args, By, WINDOW, nothing_in};
use crate::{exit::Usage, input::Input, log::Log, scores::Metric};
use glossator::{
    LanguageModel, Sentence, TextScore,
    corpus::{Format, ReadOptions},
};

/// Bytes of a line that is not scored together with others.
const LONG: usize = 1 << 14;

/// Scores a language model on the files; with `--by`, prints a row for each
/// line or file.
pub fn score(args: &Args, log: Log) -> anyhow::Result<TextScore> {
    refuse_labels(args)?;
    let compute = args.labelling.prepare(log)?;
    let model = LanguageModel::load_in(args.model(), compute)?;
    let open = |_| Rows::create(args.writing.output.as_deref(), args.json);
    let mut rows = args.by.map(open).transpose()?;
    let options = ReadOptions { format: Format::Lines, ..args.reading.options() };
    let stdin = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &stdin[..] } else { &args.files };
    let mut total = TextScore::default();
    for file in files {
        let input = Input::open(std::slice::from_ref(file), options.clone());
        match (&mut rows, args.by) {
            (Some(rows), Some(By::Line)) => {
                total += by_line(&model, input, file, log, rows)?;
            }
            (rows, _) => {
                let score = read_through(&model, input, log)?;
                if let Some(rows) = rows {
                    rows.file(&score, file)?;
                }
                total += score;
            }
        }
    }
    if total.characters == 0 {
        return Err(nothing_in("text", &args.files).into());
    }
    rows.map_or(Ok(()), Rows::finish)?;
    Ok(total)
}

/// Scores the lines of a file as one text.
fn read_through(model: &LanguageModel, input: Input, log: Log) -> anyhow::Result<TextScore> {
    let mut scorer = model.scorer();
    input.windows(WINDOW, log, |window| {
        for line in lines(&window) {
            scorer.add(&format!("{}\n", line.text()))?;
        }
        Ok(())
    })?;
    Ok(scorer.finish()?)
}

/// Scores every line of a file by itself, and prints it.
fn by_line(
    model: &LanguageModel,
    input: Input,
    file: &Path,
    log: Log,
    rows: &mut Rows,
) -> anyhow::Result<TextScore> {
    let mut total = TextScore::default();
    input.windows(WINDOW, log, |window| {
        let lines: Vec<&Sentence> = lines(&window).collect();
        for (line, score) in lines.iter().zip(score_each(model, &lines)?) {
            let number = line.place().map_or(0, |(_, line)| line);
            rows.line(&score, file, number, line.text())?;
            total += score;
        }
        rows.flush()
    })?;
    Ok(total)
}

/// A score for every line; a long one is read in pieces, to the same effect.
fn score_each(model: &LanguageModel, lines: &[&Sentence]) -> anyhow::Result<Vec<TextScore>> {
    let delimiter = &model.config().document_delimiter;
    let is_long = |line: &Sentence| line.text().len() > LONG;
    let mut scores = Vec::new();
    for group in lines.chunk_by(|a, b| is_long(a) == is_long(b)) {
        if is_long(group[0]) {
            for line in group {
                scores.push(model.score(&format!("{}{delimiter}", line.text()))?);
            }
        } else {
            let texts: Vec<&str> = group.iter().map(|line| line.text()).collect();
            scores.append(&mut model.score_documents(&texts)?);
        }
    }
    Ok(scores)
}

/// The lines that are not empty, as in training.
fn lines(window: &[Sentence]) -> impl Iterator<Item = &Sentence> {
    window.iter().filter(|line| !line.text().is_empty())
}

/// Refuses what only labels have.
fn refuse_labels(args: &Args) -> Result<(), Usage> {
    let model = args.model();
    let refused = |what: &str, why: &str| {
        Err(Usage(format!("{what}: {model} is a language model, which {why}")))
    };
    if let Some(metric) = args.metrics().find(|metric| !Metric::OF_TEXT.contains(metric)) {
        return refused(metric.name(), &format!("has {}", Metric::names(Metric::OF_TEXT)));
    }
    if args.layer.is_some() {
        return refused("--layer", "reads no labels");
    }
    if args.reading.columns.is_some() {
        return refused("--columns", "reads raw text");
    }
    match args.reading.from {
        Format::Auto | Format::Text | Format::Lines => Ok(()),
        from => refused(&format!("--from {from}"), "reads raw text"),
    }
}

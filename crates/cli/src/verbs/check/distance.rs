//! How far texts are from what a model was trained on.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use glossator::{
    LanguageModel, TextScore, TextScorer, corpus::ReadOptions, training::check::Finding,
};

use crate::{
    exit::{BadData, Usage},
    input::Input,
    log::Log,
    unknown::Unknown,
};

/// Tokens of a window of sentences.
const WINDOW: usize = 1 << 16;
/// Bytes of a paragraph, about as those of running text.
const PARAGRAPH: usize = 500;
/// Bits a character more than on the development text that make a text far.
const FAR: f64 = 1.0;
/// Part of the characters that may be unknown.
const UNKNOWN: f64 = 0.005;

/// What language models make of one text.
struct Reading {
    scores: Vec<TextScore>,
    unknown: Unknown,
}

/// Lines on the texts, and what is odd about them.
pub fn of(
    name: &str,
    compute: glossator::Compute,
    texts: &[PathBuf],
    options: ReadOptions,
    log: Log,
) -> anyhow::Result<(String, Vec<Finding>)> {
    let models = LanguageModel::all_of(name, compute)?;
    if models.is_empty() {
        let problem = format!("-m {name}: it has no language model to hold a text against");
        return Err(Usage(problem).into());
    }
    let stdin = [PathBuf::from("-")];
    let texts = if texts.is_empty() { &stdin } else { texts };
    let (mut lines, mut findings) = (String::new(), Vec::new());
    for text in texts {
        let reading = read(&models, text, options.clone(), log)?;
        let (line, found) = judge(&models, text, &reading);
        lines.push_str(&line);
        findings.extend(found);
    }
    Ok((lines, findings))
}

/// Lets the models read a text, in paragraphs of its sentences.
fn read(
    models: &[Arc<LanguageModel>],
    text: &Path,
    options: ReadOptions,
    log: Log,
) -> anyhow::Result<Reading> {
    let mut scorers: Vec<TextScorer<'_>> = models.iter().map(|model| model.scorer()).collect();
    let mut unknown = Unknown::default();
    let mut paragraph = String::new();
    Input::open(&[text.to_owned()], options).windows(WINDOW, log, |window| {
        for sentence in &window {
            for word in sentence.text().split_whitespace() {
                let gap = if paragraph.is_empty() { "" } else { " " };
                paragraph.extend([gap, word]);
            }
            if paragraph.len() > PARAGRAPH {
                add(&mut scorers, models, &mut unknown, &mut paragraph)?;
            }
        }
        Ok(())
    })?;
    add(&mut scorers, models, &mut unknown, &mut paragraph)?;
    let scores = scorers.into_iter().map(TextScorer::finish).collect::<Result<Vec<_>, _>>()?;
    match scores[0].characters {
        0 => Err(BadData(format!("no text in {}", text.display())).into()),
        _ => Ok(Reading { scores, unknown }),
    }
}

/// Adds a paragraph, if there is one, to all scores.
fn add(
    scorers: &mut [TextScorer<'_>],
    models: &[Arc<LanguageModel>],
    unknown: &mut Unknown,
    paragraph: &mut String,
) -> anyhow::Result<()> {
    if paragraph.is_empty() {
        return Ok(());
    }
    unknown.add(paragraph, |c| models.iter().all(|model| model.knows(c)));
    paragraph.push('\n');
    scorers.iter_mut().try_for_each(|scorer| scorer.add(paragraph))?;
    paragraph.clear();
    Ok(())
}

/// A line a model and what follows from all.
fn judge(models: &[Arc<LanguageModel>], text: &Path, reading: &Reading) -> (String, Vec<Finding>) {
    let (mut lines, mut excess) = (String::new(), Vec::new());
    let shown = text.display();
    for (model, score) in models.iter().zip(&reading.scores) {
        let (name, bits) = (model.name(), score.bits_per_character());
        // Writing to a string cannot fail.
        let _ = match model.development().map(TextScore::bits_per_character) {
            Some(own) => {
                excess.push(bits - own);
                writeln!(
                    lines,
                    "{shown}: {bits:.3} bits a character ({own:.3} on the development text of {name})"
                )
            }
            None => writeln!(lines, "{shown}: {bits:.3} bits a character ({name})"),
        };
    }
    let unknown = &reading.unknown;
    let _ = writeln!(lines, "{shown}: unknown characters {unknown}");
    let mut findings = Vec::new();
    let mut find = |message| findings.push(Finding { path: text.to_owned(), line: None, message });
    let mean = excess.iter().sum::<f64>() / excess.len().max(1) as f64;
    if mean > FAR {
        find(format!(
            "far from what the model was trained on ({mean:.2} bits a character more than on its \
             development text): another language or kind of text, noise, or odd spacing; expect \
             worse labels; `gloss eval -m LANGUAGE_MODEL --by line` shows the odd lines"
        ));
    }
    if unknown.count() as f64 > UNKNOWN * reading.scores[0].characters as f64 {
        find(
            "many characters that the model has never seen, all read as one and the same"
                .to_owned(),
        );
    }
    (lines, findings)
}

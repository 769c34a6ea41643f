//! How far texts are from what a model was trained on.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use glossator::{LanguageModel, TextScore, corpus::ReadOptions, training::check::Finding};

use crate::{
    exit::{BadData, Usage},
    input::Input,
    log::Log,
    unknown::Unknown,
};

/// Tokens of a window of sentences.
const WINDOW: usize = 1 << 16;
/// Bytes of text that are in memory to be read through in one piece.
const PIECE: usize = 1 << 20;
/// Characters of a paragraph, about as those of running text.
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
    texts: &[PathBuf],
    options: ReadOptions,
    log: Log,
) -> anyhow::Result<(String, Vec<Finding>)> {
    let models = LanguageModel::all_of(name)?;
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
    let mut scores = vec![TextScore::default(); models.len()];
    let mut unknown = Unknown::default();
    let (mut paragraphs, mut length) = (String::new(), 0);
    let mut score = |paragraphs: &mut String| -> anyhow::Result<()> {
        let text = std::mem::take(paragraphs);
        if !text.trim().is_empty() {
            for (model, score) in models.iter().zip(&mut scores) {
                *score += model.score(&format!("{}\n", text.trim()))?;
            }
        }
        Ok(())
    };
    Input::open(&[text.to_owned()], options).windows(WINDOW, log, |window| {
        for sentence in &window {
            let own = sentence.text().split_whitespace().collect::<Vec<_>>().join(" ");
            unknown.add(&own, |c| models.iter().all(|model| model.knows(c)));
            length += own.chars().count();
            paragraphs.push_str(&own);
            let ends = length > PARAGRAPH;
            paragraphs.push(if ends { '\n' } else { ' ' });
            length = if ends { 0 } else { length };
            if ends && paragraphs.len() > PIECE {
                score(&mut paragraphs)?;
            }
        }
        Ok(())
    })?;
    score(&mut paragraphs)?;
    match scores[0].characters {
        0 => Err(BadData(format!("no text in {}", text.display())).into()),
        _ => Ok(Reading { scores, unknown }),
    }
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

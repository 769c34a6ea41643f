//! How likely given translations are.

use std::{io::Write, path::Path};

use glossator::{PairScore, Translator, corpus::text_lines, errors::TextError};
use serde_json::json;

use super::{Args, To, WINDOW};
use crate::{
    exit::{BadData, Usage},
    input::{self, Input},
    log::Log,
    output::Output,
};

/// Scores the lines of a file as translations of those of the input.
///
/// # Errors
/// If there are several models, the files have not as many lines, or the output
/// fails.
pub(super) fn score(
    args: &Args,
    models: &[&Translator],
    references: &Path,
    input: Input,
    output: &mut Output,
    log: Log,
) -> anyhow::Result<()> {
    let &[model] = models else {
        return Err(Usage("--references: name one model".to_owned()).into());
    };
    let names = (input::names(&args.files), references.display().to_string());
    let ends = |short: &str, long: &str, line: usize| {
        BadData(format!("{short}:{line}: the file ends before this line, which {long} still has"))
    };
    let mut targets = text_lines(references)?;
    let mut out = output.writer();
    let mut number = 0;
    input.windows(WINDOW, log, |window| {
        // A translation is made without the space around a line.
        let sources: Vec<&str> = window.iter().map(|line| line.text().trim()).collect();
        let mut own = Vec::with_capacity(sources.len());
        for place in 0..sources.len() {
            match targets.next().transpose()? {
                Some(target) => own.push(target),
                None => return Err(ends(&names.1, &names.0, number + place + 1).into()),
            }
        }
        let own: Vec<&str> = own.iter().map(|line| line.trim()).collect();
        for score in model.score_each(&sources, &own)? {
            number += 1;
            write(args.to, &mut out, number, score)?;
        }
        Ok(output.flush()?)
    })?;
    match targets.next().transpose()? {
        Some(_) => Err(ends(&names.0, &names.1, number + 1).into()),
        None => Ok(()),
    }
}

fn write(to: To, out: &mut dyn Write, line: usize, score: PairScore) -> Result<(), TextError> {
    let PairScore { nats, subwords } = score;
    let written = match to {
        To::Text => writeln!(out, "{:.6}", -nats),
        To::Jsonl => {
            let object = json!({ "line": line, "log_probability": -nats, "subwords": subwords });
            writeln!(out, "{object}")
        }
    };
    written.map_err(|source| TextError::Write { source })
}

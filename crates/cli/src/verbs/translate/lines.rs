//! Translations as lines of text or JSON.

use std::io::{self, Write};

use glossator::{Hypothesis, Translation, errors::TextError};
use serde_json::{Value, json};

use super::{Alignments, Args, To, heat_map};

/// Writes what became of each line.
pub(super) struct Lines<'a> {
    args: &'a Args,
    out: Box<dyn Write>,
    /// Number of the next line, from 0.
    number: usize,
}

impl<'a> Lines<'a> {
    /// Begins what is written.
    ///
    /// # Errors
    /// If the output fails.
    pub(super) fn begin(args: &'a Args, mut out: Box<dyn Write>) -> Result<Self, TextError> {
        if args.alignments == Some(Alignments::Html) {
            heat_map::begin(&mut *out).map_err(|source| TextError::Write { source })?;
        }
        Ok(Self { args, out, number: 0 })
    }

    /// Ends it.
    ///
    /// # Errors
    /// If the output fails.
    pub(super) fn finish(mut self) -> Result<(), TextError> {
        match self.args.alignments {
            Some(Alignments::Html) => {
                heat_map::end(&mut *self.out).map_err(|source| TextError::Write { source })
            }
            _ => Ok(()),
        }
    }

    /// Writes the translation of a line.
    ///
    /// # Errors
    /// If the output fails.
    pub(super) fn write(&mut self, source: &str, made: &Translation) -> Result<(), TextError> {
        let written = match self.args.to {
            _ if self.args.alignments == Some(Alignments::Html) => {
                heat_map::table(&mut *self.out, made)
            }
            To::Text => self.text(made),
            To::Jsonl => writeln!(self.out, "{}", self.object(source, made)),
        };
        self.number += 1;
        written.map_err(|source| TextError::Write { source })
    }

    /// Writes the translation of a document, or of a piece of it, which has its own
    /// line ends.
    ///
    /// # Errors
    /// If the output fails.
    pub(super) fn write_document(
        &mut self,
        source: &str,
        made: &Translation,
    ) -> Result<(), TextError> {
        let written = match self.args.to {
            To::Text => self.out.write_all(made.text.as_bytes()),
            To::Jsonl => writeln!(self.out, "{}", self.object(source, made)),
        };
        written.map_err(|source| TextError::Write { source })
    }

    fn text(&mut self, made: &Translation) -> io::Result<()> {
        let scores = self.args.scores;
        if self.args.n_best > 1 {
            for one in &made.hypotheses {
                writeln!(self.out, "{} ||| {} ||| {:.6}", self.number, line(&one.text), one.score)?;
            }
            return Ok(());
        }
        let mut parts = vec![line(&made.text)];
        if scores {
            let score = made.hypotheses.first().map_or(0.0, |best| best.score);
            parts.push(format!("{score:.6}"));
        }
        match self.args.alignments {
            Some(Alignments::Pharaoh) => parts.push(pharaoh(made)),
            Some(Alignments::Json) => {
                let best = made.hypotheses.first();
                parts.push(best.map_or_else(|| "{}".to_owned(), |b| matrix(made, b).to_string()));
            }
            Some(Alignments::Html) | None => {}
        }
        writeln!(self.out, "{}", parts.join(" ||| "))
    }

    fn object(&self, source: &str, made: &Translation) -> Value {
        let mut object = json!({ "line": self.number + 1, "source": source, "text": made.text });
        if self.args.scores || self.args.n_best > 1 {
            let hypotheses = made.hypotheses.iter().map(|one| {
                let (score, log_probability) = (one.score, one.log_probability);
                json!({ "text": one.text, "score": score, "log_probability": log_probability })
            });
            object["hypotheses"] = hypotheses.collect();
        }
        match (self.args.alignments, made.hypotheses.first()) {
            (Some(Alignments::Pharaoh), _) => object["alignment"] = pharaoh(made).into(),
            (Some(Alignments::Json), Some(best)) => object["alignment"] = matrix(made, best),
            _ => {}
        }
        object
    }
}

/// A text as one line, whatever the model put into it.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// Pairs of words, from 0, as `source-target`.
fn pharaoh(made: &Translation) -> String {
    let pairs = made.word_pairs().into_iter().map(|(from, to)| format!("{from}-{to}"));
    pairs.collect::<Vec<_>>().join(" ")
}

/// The weights of all subwords, with their names.
fn matrix(made: &Translation, best: &Hypothesis) -> Value {
    json!({ "source": made.source, "target": best.subwords, "weights": best.alignment })
}

//! Scores of lines or files, one a row.

use std::{io::Write, path::Path};

use glossator::{TextScore, errors::TextError};
use serde_json::{Value, json};

use crate::{output::Output, scores::text_to_json};

/// Characters of a line that are shown.
const SHOWN: usize = 80;

/// A table with tabs, or JSON objects.
pub struct Rows {
    output: Output,
    out: Box<dyn Write>,
    json: bool,
}

impl Rows {
    pub fn create(path: Option<&Path>, json: bool) -> anyhow::Result<Self> {
        let output = Output::create(path)?;
        Ok(Self { out: output.writer(), output, json })
    }

    /// A line of a file.
    pub fn line(
        &mut self,
        score: &TextScore,
        path: &Path,
        line: usize,
        text: &str,
    ) -> anyhow::Result<()> {
        let path = path.display();
        let row = match self.json {
            true => object(
                score,
                &[("path", json!(path.to_string())), ("line", json!(line)), ("text", json!(text))],
            ),
            false => format!("{}\t{path}:{line}\t{}", numbers(score), beginning(text)),
        };
        self.write(&row)
    }

    /// A file.
    pub fn file(&mut self, score: &TextScore, path: &Path) -> anyhow::Result<()> {
        let path = path.display();
        let row = match self.json {
            true => object(score, &[("path", json!(path.to_string()))]),
            false => format!("{}\t{path}", numbers(score)),
        };
        self.write(&row)?;
        self.flush()
    }

    fn write(&mut self, row: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{row}").map_err(|source| TextError::Write { source })?)
    }

    /// Hands on what is buffered.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.output.flush()?)
    }

    pub fn finish(self) -> anyhow::Result<()> {
        Ok(self.output.finish()?)
    }
}

fn numbers(score: &TextScore) -> String {
    format!("{:.4}\t{}\t{}", score.bits_per_character(), score.characters, score.unknown)
}

fn object(score: &TextScore, more: &[(&str, Value)]) -> String {
    let mut object = text_to_json(score);
    object.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    Value::Object(object).to_string()
}

/// The first characters of a line; those that move the cursor are escaped.
fn beginning(line: &str) -> String {
    let mut shown = String::new();
    for c in line.chars().take(SHOWN) {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line_with_four_tabs() {
        assert_eq!(beginning("a\tb\u{1b}[1m\u{85}é"), "a\\tb\\u{1b}[1m\\u{85}é");
        assert_eq!(beginning(&"é".repeat(99)).chars().count(), 80);
        let score = TextScore { characters: 2, unknown: 1, nats: 2.0 * std::f64::consts::LN_2 };
        assert_eq!(numbers(&score), "1.0000\t2\t1");
    }
}

//! A page that shows one unit of a language model over a text (Karpathy et al.,
//! 2015).

use std::io::{self, Write};

use glossator::Sentence;

use super::Writer;

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="und">
<head>
<meta charset="utf-8">
<style>
body { font: 1.1rem/2 ui-monospace, monospace; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #111; background: #fff; overflow-wrap: anywhere; white-space: pre-wrap }
p { margin: 0 0 1rem }
</style>
"#;

/// Colours of values above and below zero.
const ABOVE: &str = "0 110 200";
const BELOW: &str = "225 95 0";

/// Every character on the colour of the unit's value after it.
pub struct Html {
    out: Box<dyn Write>,
    dim: usize,
    unit: usize,
}

impl Html {
    pub fn new(mut out: Box<dyn Write>, dim: usize, unit: usize) -> io::Result<Self> {
        write!(out, "{HEAD}<title>unit {unit}</title>\n</head>\n<body>\n")?;
        let mark =
            |colour, value| format!(r#"<span style="background:rgb({colour}/60%)">{value}</span>"#);
        writeln!(out, "<p>unit {unit}: {} to {}</p>", mark(BELOW, "-1"), mark(ABOVE, "1"))?;
        Ok(Self { out, dim, unit })
    }
}

impl Writer for Html {
    fn write(&mut self, sentence: &Sentence, rows: &[f32]) -> io::Result<()> {
        write!(self.out, "<p dir=\"auto\">")?;
        for (token, row) in sentence.tokens().zip(rows.chunks_exact(self.dim)) {
            let value = row[self.unit];
            let colour = if value < 0.0 { BELOW } else { ABOVE };
            // The text stays readable on the darkest of them.
            let share = (60.0 * value.abs().min(1.0)).round();
            let text = match token {
                "&" => "&amp;",
                "<" => "&lt;",
                ">" => "&gt;",
                token => token,
            };
            write!(
                self.out,
                r#"<span style="background:rgb({colour}/{share}%)" title="{value:.2}">{text}</span>"#
            )?;
        }
        writeln!(self.out, "</p>")
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        write!(self.out, "</body>\n</html>\n")
    }
}

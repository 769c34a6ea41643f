use std::io;

use super::{Render, on_one_line};
use crate::corpus::conllu::text_comment;
use crate::{Sentence, Source};

/// The text, a blank line after each sentence.
pub(super) struct Text;

/// The text, one sentence a line.
pub(super) struct Lines;

/// Tokens joined by spaces, one sentence a line.
pub(super) struct Tokens;

impl Render for Text {
    fn render(&mut self, sentence: &Sentence, out: &mut String) -> io::Result<()> {
        if !sentence.is_empty() {
            out.push_str(&on_one_line(text(sentence)));
            out.push_str("\n\n");
        }
        Ok(())
    }
}

impl Render for Lines {
    fn render(&mut self, sentence: &Sentence, out: &mut String) -> io::Result<()> {
        out.push_str(&on_one_line(text(sentence)));
        out.push('\n');
        Ok(())
    }
}

impl Render for Tokens {
    fn render(&mut self, sentence: &Sentence, out: &mut String) -> io::Result<()> {
        for (i, token) in sentence.tokens().enumerate() {
            out.push_str(if i > 0 { " " } else { "" });
            out.push_str(&on_one_line(token).replace(' ', "\u{a0}"));
        }
        out.push('\n');
        Ok(())
    }
}

/// The text as it stood before words were taken apart, if a comment tells it.
fn text(sentence: &Sentence) -> &str {
    let comment = match sentence.source() {
        Source::Rows(rows) if rows.is_conllu() => rows.lines().find_map(text_comment),
        _ => None,
    };
    comment.unwrap_or(sentence.text())
}

//! Documents of any length, handed on in pieces.

use glossator::{Position, Sentence, Source, segment};

use super::To;

/// Bytes of a document that are collected before some are handed on.
const ENOUGH: usize = 1 << 16;

/// What is not yet handed on of a document that is read line by line.
#[derive(Debug, Default)]
pub(super) struct Document {
    text: String,
    /// Where the rest starts in `text`.
    at: usize,
    /// Bytes of the rest from which on it is looked at.
    enough: usize,
    /// What stands behind the last line that has an end.
    line_end: Option<&'static str>,
}

impl Document {
    /// Adds a line with its end; one that has none gets that of the line before.
    pub(super) fn add(&mut self, line: &Sentence) {
        match line.source() {
            Source::Line("\r\n") => self.line_end = Some("\r\n"),
            Source::Line("\n") => self.line_end = Some("\n"),
            _ => {}
        }
        self.text.push_str(line.text());
        self.text.push_str(self.line_end.unwrap_or("\n"));
    }

    /// Whole sentences, with the white space around them, which nothing that
    /// follows can change; none if it takes more to know.
    pub(super) fn settled(&mut self) -> Option<String> {
        let rest = &self.text[self.at..];
        if rest.len() < ENOUGH.max(self.enough) {
            return None;
        }
        let mut len = ENOUGH;
        loop {
            len = rest.floor_char_boundary(2 * len);
            let sentences = segment::document(&rest[..len], Position::default());
            // What comes may still change the last one, and so the end of the one before.
            let last = sentences.len().saturating_sub(2);
            match sentences.get(last).map_or(0, |sentence| sentence.start().bytes) {
                0 if len < rest.len() => {}
                0 => {
                    self.enough = 2 * len;
                    return None;
                }
                end => return Some(self.take(end)),
            }
        }
    }

    /// All that is left, for an object without the last line's end.
    pub(super) fn rest(&mut self, to: To) -> Option<String> {
        let left = self.text.len() - self.at;
        let mut rest = (left > 0).then(|| self.take(left))?;
        if to == To::Jsonl {
            rest.truncate(rest.len() - self.line_end.unwrap_or("\n").len());
        }
        Some(rest)
    }

    fn take(&mut self, len: usize) -> String {
        let piece = self.text[self.at..self.at + len].to_owned();
        self.at += len;
        self.enough = 0;
        // Of a long line not each time.
        if self.at > self.text.len() / 2 {
            self.text.drain(..self.at);
            self.at = 0;
        }
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[String]) -> Vec<String> {
        let (mut document, mut pieces) = (Document::default(), Vec::new());
        for line in lines {
            document.add(&segment::sentence(line, Position::default()));
            while let Some(piece) = document.settled() {
                assert!(document.text.len() < 4 * line.len() + 4 * ENOUGH, "memory stays flat");
                pieces.push(piece);
            }
        }
        pieces.extend(document.rest(To::Text));
        pieces
    }

    #[test]
    fn pieces_are_whole_sentences_however_a_document_comes() {
        let sentences: Vec<String> =
            (0..40_000).map(|number| format!("The {number} is here.")).collect();
        for lines in [sentences.clone(), vec![sentences.join(" ")]] {
            let pieces = read(&lines);
            assert!(pieces.len() > 4, "{}", pieces.len());
            assert!(pieces.concat() == lines.join("\n") + "\n");
            for piece in &pieces {
                assert!(piece.starts_with("The ") && piece.trim_end().ends_with("here."));
            }
        }
    }

    #[test]
    fn a_sentence_is_never_handed_on_in_part() {
        let line = "word ".repeat(ENOUGH);
        let pieces = read(&[line.clone(), "An end. ".repeat(9), "An end. ".repeat(1 << 14)]);
        assert!(pieces[0].starts_with(&line), "{}", pieces[0].len());
        assert!(pieces[0].trim_end().ends_with("An end."));
    }
}

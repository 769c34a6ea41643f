use std::collections::VecDeque;

use super::input::Input;
use super::{Reader, Warnings};
use crate::segment::{self, Extent, LIMIT, WINDOW};
use crate::{Position, Result, Sentence};

/// A reader of raw text, which holds one window of it. Sentences are given out
/// as soon as they are certain.
pub(super) struct TextReader {
    input: Input,
    document: usize,
    /// Text read and not yet split; it starts at `position`, on `line`.
    text: String,
    position: Position,
    line: usize,
    /// Whether a newline has arrived since the text was last split, of which so
    /// many bytes were left.
    fresh: bool,
    left: usize,
    ended: bool,
    ready: VecDeque<Sentence>,
}

impl TextReader {
    pub fn new(input: Input, document: usize) -> TextReader {
        TextReader {
            document,
            text: String::new(),
            position: input.start(),
            line: 1,
            fresh: false,
            left: 0,
            ended: false,
            ready: VecDeque::new(),
            input,
        }
    }

    /// Reads until there is enough to look at.
    fn fill(&mut self) -> Result<Extent> {
        // A buffer far larger than a window is never made: a read is smaller.
        while self.text.len() <= WINDOW && !self.ended {
            // Looked at after each line, a long sentence would cost its square.
            if self.fresh && self.text.len() > self.left + self.left / 8 {
                return Ok(Extent::Part);
            }
            let len = self.text.len();
            self.ended = !self.input.read_text(&mut self.text)?;
            self.fresh |= self.text[len..].contains('\n');
        }
        Ok(if self.text.len() <= WINDOW { Extent::Rest } else { Extent::Full })
    }

    /// Splits the next window; false at the end.
    fn split(&mut self) -> Result<bool> {
        let extent = self.fill()?;
        if self.text.is_empty() {
            return Ok(false);
        }
        let text = std::mem::take(&mut self.text);
        let end = text.floor_char_boundary(WINDOW);
        let found = segment::window(&text[..end], LIMIT, extent);
        let mut from = 0;
        for range in found.sentences {
            self.pass(&text[from..range.start]);
            let sentence = segment::sentence(&text[range.clone()], self.position);
            self.ready.push_back(sentence.located(self.document, self.input.path(), self.line));
            self.pass(&text[range.clone()]);
            from = range.end;
        }
        self.pass(&text[from..found.consumed]);
        self.input.warnings.forced_breaks += found.forced;
        self.text = text;
        self.text.drain(..found.consumed);
        (self.fresh, self.left) = match extent {
            Extent::Full => (true, 0),
            _ => (false, self.text.len()),
        };
        Ok(true)
    }

    fn pass(&mut self, text: &str) {
        self.position.advance(text);
        self.line += memchr::memchr_iter(b'\n', text.as_bytes()).count();
    }
}

impl Reader for TextReader {
    fn next(&mut self) -> Result<Option<Sentence>> {
        while self.ready.is_empty() && self.split()? {}
        Ok(self.ready.pop_front())
    }

    fn warnings(&self) -> &Warnings {
        &self.input.warnings
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::corpus::tests::{Dribble, Failing, all, options, texts};
    use crate::corpus::{Format, read};

    #[test]
    fn sentences_know_line_and_place() {
        let sentences = all(Format::Text, "\u{feff}One two.\nThree\nfour.\n\nFive");
        assert_eq!(texts(&sentences), ["One|two|.", "Three|four|.", "Five"]);
        let places: Vec<_> =
            sentences.iter().map(|s| (s.start().bytes, s.place().map(|place| place.1))).collect();
        // The byte order mark is three bytes of the document.
        assert_eq!(places, [(3, Some(1)), (12, Some(2)), (25, Some(5))]);
        assert_eq!((sentences[0].start().chars, sentences[0].start().utf16), (1, 1));
    }

    #[test]
    fn sentences_that_are_certain_do_not_wait_for_more() {
        for (text, want) in [
            ("It rained. We left. Then\n", vec!["It rained."]),
            ("A list\n\nof words\n \nand", vec!["A list", "of words"]),
            ("It rained\nall day.\n", vec![]),
        ] {
            let input = Box::new(std::io::Cursor::new(text).chain(Failing));
            let sentences = read(input, Path::new("-"), 0, &options(Format::Auto)).expect("text");
            assert_eq!(sentences.format(), Format::Text);
            let found: Vec<_> =
                sentences.map_while(|s| s.ok().map(|s| s.text().to_owned())).collect();
            assert_eq!(found, want, "{text}");
        }
    }

    #[test]
    fn a_line_without_end_is_read_in_windows() {
        let bytes = std::io::repeat(b'x').take(1_000_000);
        let mut sentences =
            read(Box::new(bytes), Path::new("-"), 0, &options(Format::Text)).expect("input");
        let lengths: Vec<_> = sentences.by_ref().map(|s| s.expect("text").text().len()).collect();
        assert_eq!(
            (lengths.len(), lengths.iter().sum::<usize>(), lengths[0]),
            (16, 1_000_000, 65536)
        );
        assert_eq!(sentences.warnings().forced_breaks, 15);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn chunks_do_not_matter(piece in "(?s)[a-cA. \n\r\u{e9}中𝄞]{0,60}|(?s).{0,30}", times in 1..4usize, size in 1..8usize) {
            let text = piece.repeat(times);
            let input = Box::new(Dribble { bytes: text.clone().into_bytes(), at: 0, size });
            let read = read(input, Path::new("sample"), 0, &options(Format::Text)).expect("input");
            let read: Vec<_> = read.map(|sentence| sentence.expect("text")).collect();
            let whole = all(Format::Text, &text);
            prop_assert_eq!(&read, &whole);
            let (start, text) = match text.strip_prefix('\u{feff}') {
                Some(rest) => (Position::default().after("\u{feff}"), rest),
                None => (Position::default(), text.as_str()),
            };
            let split = segment::document(text, start);
            prop_assert_eq!(split.len(), read.len());
            for (split, read) in split.iter().zip(&read) {
                prop_assert_eq!((split.text(), split.start()), (read.text(), read.start()));
            }
        }
    }

    #[test]
    fn chunks_do_not_matter_to_long_texts() {
        let long = "Wörter und 中文 without end\n".repeat(3000) + "A b. C d?\nE f. ";
        let paragraphs = "One of 3. Mai. “It (is) the U.S. We go on\n\n".repeat(200);
        let gap = format!("A b.{}c d. E f.\n", " ".repeat(WINDOW));
        let text = [long.as_str(), &paragraphs, &gap, &long].concat();
        let sentences = |size| {
            let input = Box::new(Dribble { bytes: text.clone().into_bytes(), at: 0, size });
            let read = read(input, Path::new("-"), 0, &options(Format::Text)).expect("input");
            read.map(|sentence| sentence.expect("text"))
                .map(|s| (s.start(), s.len()))
                .collect::<Vec<_>>()
        };
        let whole = sentences(usize::MAX);
        assert!(whole.len() > 400);
        for size in [97, 7001, 65_537] {
            assert!(sentences(size) == whole, "{size}");
        }
    }
}

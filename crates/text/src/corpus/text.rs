use std::collections::VecDeque;

use super::input::Input;
use super::{Reader, Warnings};
use crate::segment::{self, WINDOW};
use crate::{Position, Result, Sentence};

/// A reader of raw text, which holds one window of it.
pub(super) struct TextReader {
    input: Input,
    document: usize,
    /// Text read and not yet split; it starts at `position`, on `line`.
    text: String,
    position: Position,
    line: usize,
    ended: bool,
    ready: VecDeque<Sentence>,
}

impl TextReader {
    pub fn new(input: Input, document: usize) -> TextReader {
        let (text, position, ready) = (String::new(), Position::default(), VecDeque::new());
        TextReader { input, document, text, position, line: 1, ended: false, ready }
    }

    /// Splits the next window; false at the end.
    fn split(&mut self) -> Result<bool> {
        while self.text.len() <= WINDOW && !self.ended {
            self.ended = !self.input.read_text(&mut self.text)?;
        }
        if self.text.is_empty() {
            return Ok(false);
        }
        // A buffer far larger than a window is never made: a read is smaller.
        let text = std::mem::take(&mut self.text);
        let end = text.floor_char_boundary(WINDOW);
        let found = segment::window(&text[..end], self.ended && end == text.len());
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
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::corpus::tests::{Dribble, all, options, texts};
    use crate::corpus::{Format, read};

    #[test]
    fn sentences_know_line_and_place() {
        let sentences = all(Format::Text, "\u{feff}One two.\nThree\nfour.\n\nFive");
        assert_eq!(texts(&sentences), ["One|two|.", "Three|four|.", "Five"]);
        let places: Vec<_> =
            sentences.iter().map(|s| (s.start().bytes, s.place().map(|place| place.1))).collect();
        assert_eq!(places, [(0, Some(1)), (9, Some(2)), (22, Some(5))]);
    }

    #[test]
    fn a_line_without_end_is_read_in_windows() {
        let bytes = std::io::Read::take(std::io::repeat(b'x'), 1_000_000);
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
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let split = segment::document(text, Position::default());
            prop_assert_eq!(split.len(), read.len());
            for (split, read) in split.iter().zip(&read) {
                prop_assert_eq!((split.text(), split.start()), (read.text(), read.start()));
            }
        }
    }

    #[test]
    fn windows_of_a_stream_are_those_of_the_text() {
        let text = "Wörter und 中文 without end ".repeat(9000) + "A b. C d? ";
        let input = Box::new(Dribble { bytes: text.clone().into_bytes(), at: 0, size: 7001 });
        let read = read(input, Path::new("-"), 0, &options(Format::Text)).expect("input");
        let read: Vec<_> =
            read.map(|sentence| sentence.expect("text")).map(|s| (s.start(), s.len())).collect();
        let split = segment::document(&text, Position::default());
        assert_eq!(read, split.iter().map(|s| (s.start(), s.len())).collect::<Vec<_>>());
        assert!(read.len() > 4);
    }
}

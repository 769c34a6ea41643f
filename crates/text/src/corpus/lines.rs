use super::input::{Input, chomp};
use super::{Reader, Warnings};
use crate::{Position, Result, Sentence, Source, segment};

/// A reader of one sentence a line; an empty line is a sentence without tokens.
/// Every line is a document.
pub(super) struct LineReader {
    input: Input,
    document: usize,
    split: fn(&str) -> Sentence,
    line: String,
}

impl LineReader {
    /// Reads raw sentences.
    pub fn raw(input: Input, document: usize) -> LineReader {
        let split = |line: &str| segment::sentence(line, Position::default());
        LineReader { input, document, split, line: String::new() }
    }

    /// Reads tokens split by spaces or tabs.
    pub fn tokens(input: Input, document: usize) -> LineReader {
        LineReader { input, document, split: tokens, line: String::new() }
    }
}

impl Reader for LineReader {
    fn next(&mut self) -> Result<Option<Sentence>> {
        let number = self.input.line();
        self.line.clear();
        if !self.input.read_line(&mut self.line)? {
            return Ok(None);
        }
        let line = chomp(&self.line);
        let end = match &self.line[line.len()..] {
            "\r\n" => "\r\n",
            "" => "",
            _ => "\n",
        };
        let mut sentence = (self.split)(line).with_source(Source::Line(end));
        if number == 1 {
            sentence = sentence.at(self.input.start());
        }
        Ok(Some(sentence.located(self.document + number - 1, self.input.path(), number)))
    }

    fn warnings(&self) -> &Warnings {
        &self.input.warnings
    }
}

/// A line split at ASCII spaces and tabs; other white space is part of a token.
fn tokens(line: &str) -> Sentence {
    let mut ranges = Vec::new();
    let mut at = 0;
    for token in line.split([' ', '\t']) {
        if !token.is_empty() {
            ranges.push(at..at + token.len());
        }
        at += token.len() + 1;
    }
    Sentence::of_parts(line.to_owned(), ranges, Position::default())
}

#[cfg(test)]
mod tests {
    use crate::corpus::Format;
    use crate::corpus::tests::{all, texts};

    #[test]
    fn every_line_is_a_sentence_and_a_document() {
        let sentences = all(Format::Lines, "It's red.\r\n\nGo");
        assert_eq!(texts(&sentences), ["It|'s|red|.", "", "Go"]);
        let places: Vec<_> =
            sentences.iter().map(|s| (s.document(), s.place().map(|place| place.1))).collect();
        assert_eq!(places, [(0, Some(1)), (1, Some(2)), (2, Some(3))]);
    }

    #[test]
    fn a_byte_order_mark_counts_in_the_offsets_of_its_line() {
        for format in [Format::Lines, Format::Tokens] {
            let sentences = all(format, "\u{feff}Go on\nGo");
            let start = sentences[0].token_positions()[1].0;
            assert_eq!((start.bytes, start.chars, start.utf16), (6, 4, 4), "{format}");
            assert_eq!((sentences[0].text(), sentences[1].start().bytes), ("Go on", 0), "{format}");
        }
    }

    #[test]
    fn tokens_are_split_at_spaces_only() {
        let sentences = all(Format::Tokens, " It's  a\u{a0}b .\n");
        assert_eq!(texts(&sentences), ["It's|a\u{a0}b|."]);
        assert_eq!(
            (sentences[0].text(), sentences[0].token_range(1)),
            (" It's  a\u{a0}b .", 7..11)
        );
    }
}

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::tables::{Abbreviation, abbreviation, is_number, is_opener, is_ordinal};

/// Bytes after which a sentence without an end is ended.
const LIMIT: usize = 64 << 10;

/// Bytes that are looked at together: the limit, and what decides whether a
/// sentence ends there.
pub(crate) const WINDOW: usize = LIMIT + (16 << 10);

/// What was found in a window of a text.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Sentences in order, without white space at their edges.
    pub sentences: Vec<Range<usize>>,
    /// Bytes that need not be looked at again; the next window starts here.
    pub consumed: usize,
    /// Sentences ended because of their length.
    pub forced: usize,
}

/// Splits `text`, of which [`WINDOW`] bytes are given or all there are (`last`).
///
/// The result depends on the text from the window's start only, so windows of a
/// stream give the same sentences as the whole text.
pub(crate) fn window(text: &str, last: bool) -> Window {
    let mut found = Window::default();
    let from = text.len() - text.trim_start().len();
    if from > 0 && !last {
        found.consumed = from;
        return found;
    }
    let mut paragraph = from;
    while paragraph < text.len() {
        let (end, next) = paragraph_end(text, paragraph);
        if !split_paragraph(text, paragraph..end, last, &mut found) {
            return found;
        }
        paragraph = next;
    }
    found.consumed = text.len();
    found
}

/// Where the paragraph that starts at `from` ends, and where the next starts.
fn paragraph_end(text: &str, from: usize) -> (usize, usize) {
    for newline in memchr::memchr_iter(b'\n', &text.as_bytes()[from..]) {
        let line = &text[from + newline + 1..];
        let blank = line.trim_start_matches([' ', '\t', '\r']);
        if blank.starts_with('\n') {
            return (from + newline, text.len() - blank.trim_start().len());
        }
    }
    (text.len(), text.len())
}

/// Adds a paragraph's sentences; false if the window ends here.
fn split_paragraph(text: &str, range: Range<usize>, last: bool, found: &mut Window) -> bool {
    let paragraph = without_newlines(&text[range.clone()]);
    let mut start = 0;
    for (at, piece) in paragraph.split_sentence_bound_indices() {
        let end = at + piece.len();
        if end < paragraph.len() && joins(&paragraph[start..end], &paragraph[end..]) {
            continue;
        }
        let sentence = trimmed(&paragraph, start..end);
        start = end;
        if !sentence.is_empty()
            && !accept(text, range.start + sentence.start..range.start + sentence.end, last, found)
        {
            return false;
        }
    }
    true
}

/// Adds a sentence unless it is too long, or ends where too little of what
/// follows is known.
fn accept(text: &str, sentence: Range<usize>, last: bool, found: &mut Window) -> bool {
    if sentence.end <= LIMIT || (last && sentence.len() <= LIMIT) {
        found.sentences.push(sentence);
        return true;
    }
    found.consumed = sentence.start;
    if sentence.start == 0 || last {
        let end = sentence.start + forced_end(&text[sentence.clone()]);
        found.sentences.push(trimmed(text, sentence.start..end));
        found.forced += 1;
        found.consumed = end;
    }
    false
}

/// Where to end a sentence that is too long: behind the last white space within
/// the limit, or at a character.
fn forced_end(text: &str) -> usize {
    let limit = text.floor_char_boundary(LIMIT);
    match text[..limit].char_indices().rfind(|(_, char)| char.is_whitespace()) {
        Some((at, space)) if at > 0 => at + space.len_utf8(),
        _ => limit,
    }
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + piece.len() - piece.trim_start().len();
    start..(start + piece.trim().len())
}

/// The paragraph with spaces for its newlines, which end sentences in Unicode.
fn without_newlines(paragraph: &str) -> Cow<'_, str> {
    match memchr::memchr2(b'\n', b'\r', paragraph.as_bytes()) {
        None => Cow::Borrowed(paragraph),
        Some(_) => Cow::Owned(paragraph.replace(['\n', '\r'], " ")),
    }
}

/// Whether a sentence goes on where Unicode would end it.
fn joins(before: &str, after: &str) -> bool {
    let next = after.trim_start().trim_start_matches(['"', '\'', '“', '‘', '«', '(', '[']);
    if next.starts_with(char::is_lowercase) {
        return true;
    }
    let before = before.trim_end();
    let Some(stem) = before.strip_suffix('.') else { return false };
    let word = stem.rsplit(char::is_whitespace).next().unwrap_or_default();
    let word = word.trim_start_matches(|char: char| !char.is_alphanumeric());
    let next_word = next.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
    match abbreviation(word) {
        Some(Abbreviation::Inner) => true,
        Some(Abbreviation::Either) => !is_opener(next_word),
        Some(Abbreviation::Numbered) => next.starts_with(char::is_numeric),
        None => is_ordinal(word, next) || (stem == word && is_number(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        window(text, true).sentences.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn blank_lines_end_sentences_and_newlines_do_not() {
        assert_eq!(
            split("A list\n \t\r\nof words\nand\r\nmore"),
            ["A list", "of words\nand\r\nmore"]
        );
        assert_eq!(split("One.\nTwo! Three?"), ["One.", "Two!", "Three?"]);
        assert_eq!(split(" \n\n \n"), [""; 0]);
    }

    #[test]
    fn abbreviations_do_not_end_sentences() {
        assert_eq!(
            split("Dr. J. Gray met Mr. Hu. They sat."),
            ["Dr. J. Gray met Mr. Hu.", "They sat."]
        );
        assert_eq!(
            split("He left the U.S. Senate. In the U.S. He stayed."),
            ["He left the U.S. Senate.", "In the U.S.", "He stayed."]
        );
        assert_eq!(split("See No. 5. It is red."), ["See No. 5.", "It is red."]);
        assert_eq!(split("He said no. She left."), ["He said no.", "She left."]);
        assert_eq!(split("Am 3. Mai kam er. Er blieb."), ["Am 3. Mai kam er.", "Er blieb."]);
        assert_eq!(split("1. Rest. 2. Eat."), ["1. Rest.", "2. Eat."]);
    }

    #[test]
    fn lower_case_goes_on() {
        assert_eq!(split("“Stop!” she said. Done."), ["“Stop!” she said.", "Done."]);
        assert_eq!(split("你好。再见。"), ["你好。", "再见。"]);
    }

    #[test]
    fn a_sentence_without_end_is_ended_at_a_word_or_a_character() {
        let words = "word ".repeat(LIMIT / 4);
        let found = window(&words[..WINDOW], false);
        assert_eq!((found.forced, found.sentences.len()), (1, 1));
        assert!(found.consumed > LIMIT - 8 && found.consumed <= LIMIT);
        assert!(words[found.sentences[0].clone()].ends_with("word"));
        let letters = "é".repeat(LIMIT);
        let found = window(&letters, true);
        assert_eq!((found.forced, found.consumed), (1, LIMIT));
    }

    #[test]
    fn windows_go_on_where_the_last_sentence_was_not_certain() {
        let text = format!("{} {}", "A b c d. ".repeat(8000), "E ".repeat(9000));
        let found = window(&text[..WINDOW], false);
        assert!(found.forced == 0 && found.consumed < LIMIT);
        assert!(window(&format!("  {text}")[..WINDOW], false).sentences.is_empty());
    }
}

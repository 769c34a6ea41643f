use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::tables::{Abbreviation, abbreviation, is_number, is_opener, is_ordinal, is_shortened};

/// Bytes after which a sentence of raw text without an end is ended.
pub(crate) const LIMIT: usize = 64 << 10;

/// Bytes that are looked at together: the limit, and what decides whether a
/// sentence ends there.
pub(crate) const WINDOW: usize = LIMIT + (16 << 10);

/// Bytes of a run that is shortened before bounds are looked for.
const LONG_RUN: usize = 16;

/// The full stops of Unicode (ATerm), sorted.
const FULL_STOPS: [char; 4] = ['.', '\u{2024}', '\u{fe52}', '\u{ff0e}'];

/// Marks that may open a sentence.
const OPENERS: &[char] = &['"', '\'', '“', '‘', '«', '(', '['];

/// How much of a text is in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What has arrived, less than [`WINDOW`]; more may follow.
    Part,
    /// [`WINDOW`] bytes; more may follow.
    Full,
    /// All that is left.
    Rest,
}

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

/// Finds the sentences of a window that are certain, whatever follows; those
/// longer than `limit` are ended there.
///
/// A sentence is certain if its paragraph, or another sentence behind it, is
/// there to its end. Else it is looked at once more as the first of a full
/// window. So windows of a stream, however it arrives, give the same sentences.
pub(crate) fn window(text: &str, limit: usize, extent: Extent) -> Window {
    let mut found = Window::default();
    let mut paragraph = text.len() - text.trim_start().len();
    if paragraph > 0 && extent == Extent::Full {
        found.consumed = paragraph;
        return found;
    }
    while paragraph < text.len() {
        let (end, next) = paragraph_end(text, paragraph);
        let whole = end < text.len() || extent == Extent::Rest;
        let view = View { text, limit, whole, full: extent == Extent::Full };
        if !view.split(paragraph..end, &mut found) {
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

/// How a paragraph is looked at.
struct View<'a> {
    text: &'a str,
    limit: usize,
    /// Whether the paragraph is there to its end.
    whole: bool,
    /// Whether the text is a full window.
    full: bool,
}

impl View<'_> {
    /// Adds a paragraph's sentences; false if the window ends here.
    fn split(&self, range: Range<usize>, found: &mut Window) -> bool {
        let paragraph = &self.text[range.clone()];
        let bounds = for_bounds(paragraph);
        let cut = |(at, piece): (usize, &str)| Cut { rest: &paragraph[at..at + piece.len()], at };
        let mut pieces = Bounds { text: &bounds, at: 0 }.flat_map(cut).peekable();
        let mut start = 0;
        while let Some((at, piece)) = pieces.next() {
            let end = at + piece.len();
            // Of line separators in a row each is a piece; they belong to what is before.
            let blank = pieces.peek().is_some_and(|(_, next)| next.trim_start().is_empty());
            if blank || end < paragraph.len() && joins(&paragraph[start..end], &paragraph[end..]) {
                continue;
            }
            let decided = |(at, next): &(usize, &str)| {
                let end = at + next.len();
                end < paragraph.len() && !without_openers(&paragraph[*at..end]).is_empty()
            };
            let certain = self.whole || pieces.peek().is_some_and(decided);
            let sentence = trimmed(paragraph, start..end);
            start = end;
            if !sentence.is_empty()
                && !self.accept(
                    range.start + sentence.start..range.start + sentence.end,
                    certain,
                    found,
                )
            {
                return false;
            }
        }
        true
    }

    /// Adds a sentence unless it is not certain, or too long.
    fn accept(&self, sentence: Range<usize>, certain: bool, found: &mut Window) -> bool {
        let first = self.full && sentence.start == 0;
        if !(certain || first) {
            found.consumed = sentence.start;
            return false;
        }
        if sentence.len() <= self.limit {
            found.sentences.push(sentence);
            return true;
        }
        let end = sentence.start + forced_end(&self.text[sentence.clone()], self.limit);
        found.sentences.push(trimmed(self.text, sentence.start..end));
        found.forced += 1;
        found.consumed = end;
        false
    }
}

/// The sentences of Unicode. Only what may end one is looked at with all its rules.
struct Bounds<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Bounds<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let may_end = |byte: &u8| matches!(byte, b'.' | b'!' | b'?') || !byte.is_ascii();
        let stop = rest.bytes().position(|byte| may_end(&byte)).unwrap_or(rest.len());
        // Nothing before the word that the mark belongs to has a say.
        let word = memchr::memrchr(b' ', &rest.as_bytes()[..stop]).map_or(0, |space| space + 1);
        let len = word + rest[word..].split_sentence_bounds().next().map_or(0, str::len);
        let at = self.at;
        self.at += len;
        Some((at, &rest[..len]))
    }
}

/// A sentence of Unicode, cut behind each full stop before a small letter that may
/// end a sentence.
struct Cut<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Iterator for Cut<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let text = self.rest;
        let ends = |stop: &usize| {
            let after = text[stop + 1..].trim_start();
            after.len() < text.len() - stop - 1
                && without_openers(after).starts_with(char::is_lowercase)
                && ends_before_lower(&text[..=*stop])
        };
        let stop = memchr::memchr_iter(b'.', text.as_bytes()).find(ends);
        let end = stop.map_or(text.len(), |stop| text.len() - text[stop + 1..].trim_start().len());
        let at = self.at;
        self.at += end;
        self.rest = &text[end..];
        Some((at, &text[..end]))
    }
}

/// Where to end a sentence that is too long: behind the last white space within
/// the limit, or at a character.
fn forced_end(text: &str, limit: usize) -> usize {
    let limit = text.floor_char_boundary(limit);
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

/// The paragraph as bounds are looked for in it, byte for byte as long: with
/// spaces for its newlines, which end sentences in Unicode, and with characters that
/// the rules pass over for most of a long run behind a full stop. The search looks
/// ahead from each mark and space there, and would take the square of their number.
fn for_bounds(paragraph: &str) -> Cow<'_, str> {
    let text = match memchr::memchr3(b'\n', b'\r', b'\t', paragraph.as_bytes()) {
        None => Cow::Borrowed(paragraph),
        Some(_) => Cow::Owned(paragraph.replace(['\n', '\r', '\t'], " ")),
    };
    let behind = |(at, stop): (usize, &str)| long_runs(&text, at + stop.len());
    let runs: Vec<Range<usize>> = text.match_indices(FULL_STOPS).flat_map(behind).collect();
    if runs.is_empty() {
        return text;
    }
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for run in runs {
        out.push_str(&text[from..run.start]);
        out.push_str(&filler(run.len()));
        from = run.end;
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// Long runs of marks, and of spaces behind them, that follow a full stop which ends
/// at `from`. The first of a run, which is not in its range, stands for all of it.
fn long_runs(text: &str, from: usize) -> impl Iterator<Item = Range<usize>> {
    let marks = repeats(text, from, Kind::Mark);
    let spaces = repeats(text, marks.end, Kind::Space);
    [marks, spaces].into_iter().filter(|run| run.len() > LONG_RUN)
}

/// The characters from `from` on that are of a kind or passed over, without those up
/// to the first of the kind.
fn repeats(text: &str, from: usize, kind: Kind) -> Range<usize> {
    let mut first = None;
    for (at, char) in text[from..].char_indices() {
        let at = from + at;
        match Kind::of(char) {
            found if found == kind => first = first.or(Some(at + char.len_utf8())),
            Kind::Passed => {}
            _ => return first.unwrap_or(at)..at,
        }
    }
    first.unwrap_or(text.len())..text.len()
}

/// Characters that the rules pass over, of `len` bytes, at least 3.
fn filler(len: usize) -> String {
    let odd = len % 2;
    "\u{2060}".repeat(odd) + &"\u{ad}".repeat((len - 3 * odd) / 2)
}

/// What a character is to the rules of Unicode behind a full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A bracket or a quotation mark (Close).
    Mark,
    /// White space that ends no line (Sp).
    Space,
    /// What the rules pass over (Extend, Format).
    Passed,
    Other,
}

impl Kind {
    fn of(char: char) -> Kind {
        match char {
            '(' | ')' | '[' | ']' | '{' | '}' | '"' | '\'' => Kind::Mark,
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Kind::Other,
            _ if char.is_whitespace() => Kind::Space,
            _ if char.is_ascii() => Kind::Other,
            _ => Kind::by_bounds(char),
        }
    }

    /// The kind of a character that is not ASCII nor white space, from the bounds
    /// that texts with it have: the tables of Unicode can be asked for nothing else.
    fn by_bounds(char: char) -> Kind {
        let ends = |before: &str, after: &str| {
            let text = format!("{before}{char}{after}");
            let first = text.split_sentence_bounds().next().map_or(0, str::len);
            first == before.len() + char.len_utf8()
        };
        if !ends("1.", "A") || ends("1", "A") {
            Kind::Other
        } else if ends("1.", "1") {
            Kind::Mark
        } else {
            Kind::Passed
        }
    }
}

/// Whether a sentence goes on where Unicode, or a mark before a small letter, would
/// end it.
fn joins(before: &str, after: &str) -> bool {
    let next = without_openers(after);
    let touches = !before.ends_with(char::is_whitespace) && !after.starts_with(char::is_whitespace);
    let before = before.trim_end();
    if next.starts_with(char::is_lowercase) && (touches || !ends_before_lower(before)) {
        return true;
    }
    let Some(stem) = before.strip_suffix('.') else { return false };
    let word = last_word(stem);
    let next_word = next.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
    match abbreviation(word) {
        Some(Abbreviation::Inner) => true,
        Some(Abbreviation::Either) => !is_opener(next_word),
        Some(Abbreviation::Numbered) => next.starts_with(char::is_numeric),
        None => is_ordinal(word, next) || (stem == word && is_number(word)),
    }
}

/// Whether a sentence may end so although a small letter follows, as where nothing is
/// written in capitals.
fn ends_before_lower(before: &str) -> bool {
    match before.strip_suffix('.') {
        None => before.ends_with('?') || before.ends_with('!') && !is_titled(before),
        Some(stem) => {
            let word = last_word(stem);
            let is_word = word.chars().count() > 2 && word.chars().all(char::is_alphanumeric);
            is_word && !is_shortened(word)
        }
    }
}

/// Whether an exclamation mark belongs to a name: `Yahoo! and others`.
fn is_titled(before: &str) -> bool {
    let word = last_word(before);
    let mut letters = word.trim_end_matches('!').chars();
    letters.next().is_some_and(char::is_uppercase) && letters.any(char::is_lowercase)
}

/// What stands behind the last space, without marks in front.
fn last_word(text: &str) -> &str {
    let word = text.rsplit(char::is_whitespace).next().unwrap_or_default();
    word.trim_start_matches(|char: char| !char.is_alphanumeric())
}

/// The text from its first word on.
fn without_openers(text: &str) -> &str {
    text.trim_start().trim_start_matches(OPENERS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<&str> {
        window(text, LIMIT, Extent::Rest).sentences.into_iter().map(|range| &text[range]).collect()
    }

    proptest! {
        #[test]
        fn bounds_are_those_of_unicode(text in "[ a-cA-C0-9.!?,\"'()é。…\t]{0,60}|\\PC{0,60}") {
            let own: Vec<_> = Bounds { text: &text, at: 0 }.collect();
            prop_assert_eq!(own, text.split_sentence_bound_indices().collect::<Vec<_>>());
        }

        #[test]
        fn shortened_runs_keep_the_bounds(text in "([a-cA-C1=,.!?．中]{1,3}[()»\"\u{301}\u{ad}]{0,30}[ \u{a0}\u{3000}\u{301}]{0,30}){0,4}") {
            let length = |(at, piece): (usize, &str)| (at, piece.len());
            let own: Vec<_> = Bounds { text: &for_bounds(&text), at: 0 }.map(length).collect();
            let all: Vec<_> = text.split_sentence_bound_indices().map(length).collect();
            prop_assert_eq!(own, all);
        }
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
        assert_eq!(split("i went. it rained! why? so"), ["i went.", "it rained!", "why?", "so"]);
        assert_eq!(split("approx. five of max. ten"), ["approx. five of max. ten"]);
        assert_eq!(split("Not as popular as Yahoo! and AOL"), ["Not as popular as Yahoo! and AOL"]);
        assert_eq!(split("see a.org/b?c=d now ... then"), ["see a.org/b?c=d now ... then"]);
    }

    #[test]
    fn a_sentence_without_end_is_ended_at_a_word_or_a_character() {
        let words = "word ".repeat(LIMIT / 4);
        let found = window(&words[..WINDOW], LIMIT, Extent::Full);
        assert_eq!((found.forced, found.sentences.len()), (1, 1));
        assert!(found.consumed > LIMIT - 8 && found.consumed <= LIMIT);
        assert!(words[found.sentences[0].clone()].ends_with("word"));
        let letters = "é".repeat(LIMIT);
        let found = window(&letters, LIMIT, Extent::Rest);
        assert_eq!((found.forced, found.consumed), (1, LIMIT));
    }

    #[test]
    fn windows_go_on_where_the_last_sentence_was_not_certain() {
        let text = format!("{} {}", "A b c d. ".repeat(8000), "E ".repeat(9000));
        let found = window(&text[..WINDOW], LIMIT, Extent::Full);
        assert!(found.forced == 0 && text[found.consumed..].starts_with("A b c d.  E "));
        let spaced = format!("  {text}");
        assert!(window(&spaced[..WINDOW], LIMIT, Extent::Full).sentences.is_empty());
    }

    /// Texts with a long run of these that give as many sentences as with a short
    /// one. Looked at anew for each character, a run would take minutes.
    fn assert_linear(runs: &[&str]) {
        for run in runs {
            let text = format!("A b.{}C d. E f.", run.repeat(400_001));
            let found = window(&text, usize::MAX, Extent::Rest).sentences;
            let short = format!("A b.{run}C d. E f.");
            assert_eq!(found.len(), split(&short).len(), "{run:?}");
        }
    }

    #[test]
    fn long_runs_take_linear_time() {
        assert_linear(&[" ", "\t ", "(", "\""]);
    }

    #[test]
    fn long_mixed_runs_take_linear_time() {
        assert_linear(&["()", "[\"", " \u{a0}", "(\u{301}", " \u{ad}\u{3000}"]);
    }

    #[test]
    fn long_runs_beyond_ascii_take_linear_time() {
        assert_linear(&["»", "“", "\u{a0}", "\u{3000}"]);
    }

    #[test]
    fn line_separators_in_a_row_take_linear_time() {
        assert_linear(&["\u{2028}", "\u{85} "]);
    }

    #[test]
    fn long_runs_end_sentences_as_short_ones_do() {
        for run in [" ", " \u{a0}", "()", "»", "(\u{301}", "\u{2028}"] {
            for next in ["Then", "then", "(then", "= then", "5 then", " then", ", then"] {
                let found = |times: usize| {
                    let text = format!("We left.{}{next} it rained.", run.repeat(times));
                    split(&text).iter().map(|piece| piece.replace(run, "")).collect::<Vec<_>>()
                };
                assert_eq!(found(3), found(300), "{run:?} {next:?}");
            }
        }
    }

    #[test]
    fn full_stops_are_those_of_unicode() {
        let is_cut = |text: &str| text.split_sentence_bounds().count() > 1;
        let is_full_stop =
            |char: &char| is_cut(&format!("1{char}A")) && !is_cut(&format!("1{char}1"));
        let found: Vec<char> = ('\0'..='\u{ffff}').filter(is_full_stop).collect();
        assert_eq!(found, FULL_STOPS);
    }

    #[test]
    fn a_sentence_is_certain_once_the_next_is_complete() {
        let certain = |text: &str| {
            let found = window(text, LIMIT, Extent::Part);
            (found.sentences.len(), found.consumed)
        };
        assert_eq!(certain("It rained. We left."), (0, 0));
        assert_eq!(certain("It rained. We left. T"), (1, 11));
        assert_eq!(certain("In the U.S. We"), (0, 0));
        assert_eq!(certain("It rained.\n\nWe left"), (1, 12));
        assert_eq!(certain(" \n"), (0, 2));
    }
}

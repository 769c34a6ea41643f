use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::tables::{self, Abbreviation};

const OPENERS: &[char] = &['(', '[', '{', '<', '"', '\'', '“', '„', '‘', '«'];
const CLOSERS: &[char] = &[')', ']', '}', '>', '"', '\'', '”', '’', '»'];
/// Marks that may stand behind an address without belonging to it.
const STOPS: &[char] = &['.', ',', ';', ':', '!', '?', '…'];
/// Marks of which a row is one token.
const ROWS: &[char] = &['.', '-', '!', '?', '=', '*', '_', '~', '…', '`', '\'', '$', '<', '>'];
/// Marks of which any row is one token.
const ENDS: &[char] = &['.', '!', '?'];
const APOSTROPHES: &[char] = &['\'', '’'];

/// Byte ranges of the tokens of a sentence.
pub(super) fn tokens(text: &str) -> Vec<Range<usize>> {
    let ranges = Vec::with_capacity(text.len() / 5);
    let mut tokens = Tokens { text, final_dot: final_dot(text), ranges, touching: 0, known: None };
    for stretch in text.split_whitespace() {
        let start = stretch.as_ptr() as usize - text.as_ptr() as usize;
        tokens.add_stretch(start..start + stretch.len());
    }
    tokens.ranges
}

/// The dot that ends the sentence, if one does.
fn final_dot(text: &str) -> Option<usize> {
    let end = text.trim_end_matches(|char: char| char.is_whitespace() || CLOSERS.contains(&char));
    end.strip_suffix('.').map(str::len)
}

struct Tokens<'a> {
    text: &'a str,
    final_dot: Option<usize>,
    ranges: Vec<Range<usize>>,
    /// The first of the ranges that touch each other and what comes next.
    touching: usize,
    /// Where a token starts that is known to consist of one kind of characters.
    /// A long token is so not looked at again for each of its parts.
    known: Option<(usize, Kind)>,
}

/// What all characters of a token are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// This mark.
    Mark(char),
    /// Marks that end sentences.
    End,
    /// Digits, and marks between them.
    Number,
    Capital,
}

impl Kind {
    fn fits(self, char: char) -> bool {
        match self {
            Kind::Mark(mark) => char == mark,
            Kind::End => ENDS.contains(&char),
            Kind::Number => char.is_ascii_digit() || ".,:/".contains(char),
            Kind::Capital => char.is_uppercase(),
        }
    }

    /// The kind of row that `segment`, if it is one mark, lengthens.
    fn of_row(segment: &str) -> Option<Kind> {
        let mut chars = segment.chars();
        let mark = chars.next().filter(|char| ROWS.contains(char) && chars.as_str().is_empty())?;
        Some(if ENDS.contains(&mark) { Kind::End } else { Kind::Mark(mark) })
    }
}

impl<'a> Tokens<'a> {
    /// Adds the tokens of a stretch without white space.
    fn add_stretch(&mut self, range: Range<usize>) {
        self.touching = self.ranges.len();
        let Some(whole) = whole(&self.text[range.clone()]) else {
            return self.add_words(range);
        };
        let whole = range.start + whole.start..range.start + whole.end;
        self.add_words(range.start..whole.start);
        self.touching = self.ranges.len();
        self.ranges.push(whole.clone());
        self.add_words(whole.end..range.end);
    }

    /// Adds the words of Unicode, some of them put together, others split.
    fn add_words(&mut self, range: Range<usize>) {
        let mut segments = self.text[range.clone()].split_word_bound_indices().peekable();
        while let Some((at, segment)) = segments.next() {
            let at = range.start + at;
            let next = segments.peek().map_or("", |(_, next)| *next);
            let previous = self.previous();
            if Kind::of_row(segment).is_some_and(|kind| self.is_all(kind))
                || (segment == "." && next != "." && self.takes_dot(previous, at))
            {
                self.extend(segment.len());
            } else if let Some(kind) = self.infix(segment, next) {
                self.extend(segment.len() + next.len());
                // What is added may be more than a number, as in "1/2nd".
                self.known = self.known.filter(|_| next.chars().all(|char| kind.fits(char)));
                segments.next();
            } else if is_clitic(previous, segment, next) {
                self.ranges.push(at..at + segment.len() + next.len());
                segments.next();
            } else {
                self.add_word(at, segment);
            }
        }
    }

    /// The token that touches what comes next, or nothing.
    fn previous(&self) -> &'a str {
        self.ranges[self.touching..].last().map_or("", |range| &self.text[range.clone()])
    }

    /// Whether the token that touches what comes next is all of this kind.
    fn is_all(&mut self, kind: Kind) -> bool {
        let Some(start) = self.ranges[self.touching..].last().map(|range| range.start) else {
            return false;
        };
        if self.known == Some((start, kind)) {
            return true;
        }
        let all = self.previous().chars().all(|char| kind.fits(char));
        if all {
            self.known = Some((start, kind));
        }
        all
    }

    /// Whether `segment` holds two parts together, and of which kind the first
    /// is: `10:30`, `1/2`, `AT&T`.
    fn infix(&mut self, segment: &str, next: &str) -> Option<Kind> {
        let digit = |char: char| char.is_ascii_digit();
        let kind = match segment {
            ":" | "/" if self.previous().ends_with(digit) && next.starts_with(digit) => {
                Kind::Number
            }
            "&" if !next.is_empty() && next.chars().all(char::is_uppercase) => Kind::Capital,
            _ => return None,
        };
        self.is_all(kind).then_some(kind)
    }

    fn extend(&mut self, bytes: usize) {
        if let Some(last) = self.ranges.last_mut() {
            last.end += bytes;
        }
    }

    /// Whether `word` is an abbreviation to which the dot at `dot` belongs.
    fn takes_dot(&self, word: &str, dot: usize) -> bool {
        let next = self.text[dot + 1..].trim_start();
        match tables::abbreviation(word) {
            None => tables::is_ordinal(word, next),
            Some(Abbreviation::Numbered) => next.starts_with(char::is_numeric),
            Some(_) => tables::is_dotted(word) || self.final_dot != Some(dot),
        }
    }

    /// Adds a word, split at its clitics: `it|'s`, `do|n't`, `can|not`.
    fn add_word(&mut self, at: usize, word: &str) {
        let (first, mut end) = (self.ranges.len(), word.len());
        while let Some(cut) = clitic_start(&word[..end]) {
            self.ranges.push(at + cut..at + end);
            end = cut;
        }
        self.ranges.push(at..at + end);
        self.ranges[first..].reverse();
    }
}

/// Whether an apostrophe and `next` are a clitic of a word that does not hold
/// them already, as in `1990's`.
fn is_clitic(previous: &str, segment: &str, next: &str) -> bool {
    let word = previous.ends_with(|char: char| char.is_alphanumeric() || char == '.');
    word && matches!(segment, "'" | "’") && tables::is_clitic(next)
}

/// Where the last clitic of a word starts.
fn clitic_start(word: &str) -> Option<usize> {
    let Some(apostrophe) = word.rfind(APOSTROPHES).filter(|at| *at > 0) else {
        return tables::fused(word);
    };
    let clitic = word[apostrophe..].trim_start_matches(APOSTROPHES);
    let negated = apostrophe > 1
        && clitic.eq_ignore_ascii_case("t")
        && word[..apostrophe].ends_with(['n', 'N']);
    match negated {
        true => Some(apostrophe - 1),
        false => tables::is_clitic(clitic).then_some(apostrophe),
    }
}

/// The part of a stretch that stays whole: an address, a hashtag, a handle, an
/// emoticon.
fn whole(stretch: &str) -> Option<Range<usize>> {
    if tables::is_emoticon(stretch) {
        return Some(0..stretch.len());
    }
    let core = stretch.trim_start_matches(OPENERS);
    let start = stretch.len() - core.len();
    let mut end =
        core.trim_end_matches(|char| STOPS.contains(&char) || CLOSERS.contains(&char)).len();
    let open = core[..end].matches('(').count() > core[..end].matches(')').count();
    if open && core[end..].starts_with(')') {
        end += 1; // the bracket was opened inside the address
    }
    let core = &core[..end];
    let address = tables::scheme(core).is_some_and(|scheme| core.len() > scheme) || is_email(core);
    let end = if address { Some(core.len()) } else { handle_end(core) };
    end.map(|end| start..start + end)
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    let name_char = |char: char| char.is_alphanumeric() || "._+-%".contains(char);
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|char| char.is_alphanumeric() || char == '-')
    };
    !name.is_empty()
        && name.chars().all(name_char)
        && host.contains('.')
        && host.split('.').all(label)
}

/// The length of a hashtag or a handle.
fn handle_end(text: &str) -> Option<usize> {
    let name = text.strip_prefix(['#', '@'])?;
    let end = name.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(name.len());
    let named = name[..end].starts_with(|char: char| char.is_alphabetic() || char == '_');
    named.then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> String {
        tokens(text).into_iter().map(|range| &text[range]).collect::<Vec<_>>().join("|")
    }

    fn check(cases: &[(&str, &str)]) {
        for (text, want) in cases {
            assert_eq!(split(text), *want, "{text}");
        }
    }

    #[test]
    fn words_and_punctuation() {
        check(&[
            ("George Washington went.", "George|Washington|went|."),
            ("(“Well-known”, isn't it?!)", "(|“|Well|-|known|”|,|is|n't|it|?!|)"),
            ("Wait... what--no!!!", "Wait|...|what|--|no|!!!"),
            ("``$$$ ran''.", "``|$$$|ran|''|."),
            ("a\u{a0}b\u{200b}", "a|b|\u{200b}"),
            ("你好👩‍👩‍👧", "你|好|👩‍👩‍👧"),
            ("", ""),
        ]);
    }

    #[test]
    fn numbers_stay_together() {
        check(&[
            ("At 10:30 it cost $1,234.50.", "At|10:30|it|cost|$|1,234.50|."),
            ("Odds: 3/4, or 5%", "Odds|:|3/4|,|or|5|%"),
            ("Am 3. Mai um 3. Dann", "Am|3.|Mai|um|3|.|Dann"),
        ]);
    }

    #[test]
    fn a_long_row_takes_linear_time() {
        // Looked at anew for each part, these would take minutes.
        for (part, last) in [("=", "="), ("?!", "."), ("1/", "2"), ("A&", "B")] {
            let row = part.repeat(400_000) + last;
            let found: Vec<_> = tokens(&row).into_iter().map(|range| range.len()).collect();
            assert_eq!(found, [row.len()], "{part}");
        }
        check(&[
            ("==--==", "==|--|=="),
            ("1/2nd/3", "1/2nd|/|3"),
            ("A&B:1/2", "A&B|:|1/2"),
            ("A&B&c&D", "A&B|&|c|&|D"),
        ]);
    }

    #[test]
    fn abbreviations_keep_their_dot_inside_a_sentence() {
        check(&[
            ("Mr. J. Hu of the U.S. left.", "Mr.|J.|Hu|of|the|U.S.|left|."),
            ("He works for Acme Inc.", "He|works|for|Acme|Inc|."),
            ("In the U.S.", "In|the|U.S."),
            ("No. 5, e.g. that (etc.).", "No.|5|,|e.g.|that|(|etc.|)|."),
            ("AT&T said no.", "AT&T|said|no|."),
            ("He knew Mr...", "He|knew|Mr|..."),
        ]);
    }

    #[test]
    fn contractions_are_split() {
        check(&[
            ("They're sure she'll can't.", "They|'re|sure|she|'ll|ca|n't|."),
            ("It’s the ’90s", "It|’s|the|’|90s"),
            ("I shouldn't've; cannot", "I|should|n't|'ve|;|can|not"),
            ("the 1990's, O'Brien's, the U.S.'s", "the|1990|'s|,|O'Brien|'s|,|the|U.S.|'s"),
        ]);
    }

    #[test]
    fn addresses_stay_whole() {
        check(&[
            ("(see https://a.org/b_(c)?d=1).", "(|see|https://a.org/b_(c)?d=1|)|."),
            ("Mail a.b+c@d-e.org, ok", "Mail|a.b+c@d-e.org|,|ok"),
            ("#tag_1! @me's #1", "#tag_1|!|@me|'s|#|1"),
            ("fine :-) www.x.de", "fine|:-)|www.x.de"),
            ("www.", "www|."),
        ]);
    }
}

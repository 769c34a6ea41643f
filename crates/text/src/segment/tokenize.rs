use std::ops::Range;

use super::{
    numbers,
    tables::{self, Abbreviation},
    whole::{CLOSERS, whole},
    words::Words,
};

/// Marks of which a row is one token.
const ROWS: &[char] =
    &['.', '-', '!', '?', '=', '*', '_', '~', '…', '`', '\'', '’', '$', '<', '>', '+'];
/// Marks of which any row is one token.
const ENDS: &[char] = &['!', '?'];
const APOSTROPHES: &[char] = &['\'', '’'];

/// The tokens of a sentence.
#[derive(Debug, Default)]
pub(super) struct Tokenized {
    /// Byte ranges.
    pub(super) ranges: Vec<Range<usize>>,
    /// Numbers of the tokens that are one word with the token before, in order:
    /// the `n't` of `don't`.
    pub(super) joined: Vec<usize>,
}

/// The tokens of a sentence.
pub(super) fn tokens(text: &str) -> Tokenized {
    let found = Tokenized { ranges: Vec::with_capacity(text.len() / 5), ..Tokenized::default() };
    let final_dot = final_dot(text);
    let mut tokens = Tokens { text, final_dot, found, touching: 0, quoted: false, known: None };
    for stretch in text.split_whitespace() {
        let start = stretch.as_ptr() as usize - text.as_ptr() as usize;
        tokens.add_stretch(start..start + stretch.len());
    }
    tokens.found
}

/// The dot that ends the sentence, if one does.
fn final_dot(text: &str) -> Option<usize> {
    let end = text.trim_end_matches(|char: char| char.is_whitespace() || CLOSERS.contains(&char));
    end.strip_suffix('.').map(str::len)
}

struct Tokens<'a> {
    text: &'a str,
    final_dot: Option<usize>,
    found: Tokenized,
    /// The first of the tokens that touch each other and what comes next.
    touching: usize,
    /// Whether a quotation by single marks is open.
    quoted: bool,
    /// Where a token starts that is known to consist of one kind of characters.
    /// A long token is so not looked at again for each of its parts.
    known: Option<(usize, Kind)>,
}

/// What all characters of a token are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// This mark.
    Mark(char),
    /// Marks that end questions and exclamations.
    End,
    /// Digits, and marks between them.
    Number,
    Capital,
    /// Nothing of all this.
    Other,
}

impl Kind {
    fn fits(self, char: char) -> bool {
        match self {
            Kind::Mark(mark) => char == mark,
            Kind::End => ENDS.contains(&char),
            Kind::Number => char.is_ascii_digit() || ".,:/".contains(char),
            Kind::Capital => char.is_uppercase(),
            Kind::Other => false,
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
        self.touching = self.found.ranges.len();
        let stretch = &self.text[range.clone()];
        if stretch.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return self.add_word(range.start, stretch);
        }
        if let Some(word) = stretch.strip_suffix(',')
            && word.bytes().all(|byte| byte.is_ascii_alphabetic())
            && !word.is_empty()
        {
            self.add_word(range.start, word);
            return self.found.ranges.push(range.end - 1..range.end);
        }
        let Some(whole) = whole(stretch) else {
            return self.add_words(range);
        };
        let whole = range.start + whole.start..range.start + whole.end;
        self.add_words(range.start..whole.start);
        self.touching = self.found.ranges.len();
        self.found.ranges.push(whole.clone());
        self.add_words(whole.end..range.end);
    }

    /// Adds the words of Unicode, some of them put together, others split.
    fn add_words(&mut self, range: Range<usize>) {
        let mut segments = Words::of(&self.text[range.clone()]).peekable();
        // What came before is part of the token that ends here.
        let mut done = range.start;
        while let Some((at, segment)) = segments.next() {
            let at = range.start + at;
            if at < done {
                continue;
            }
            let next = segments.peek().map_or("", |(_, next)| *next);
            let previous = self.previous();
            if Kind::of_row(segment).is_some_and(|kind| self.is_all(kind))
                || (matches!(segment, "!" | "?") && previous == ".")
                || (segment == "." && next != "." && self.takes_dot(previous, at))
                || (segment == "$" && tables::is_dollar(previous))
            {
                self.extend(segment.len());
            } else if let Some(len) = self.separated(&self.text[..range.end], at) {
                self.extend(len);
                done = at + len;
            } else if let Some(kind) = self.infix(at, segment, next) {
                let own = clitic_start(next).or_else(|| numbers::unit(next)).unwrap_or(next.len());
                self.extend(segment.len() + own);
                // What is added may be more than a number, as in "1/2nd".
                self.known = self.known.filter(|_| next[..own].chars().all(|char| kind.fits(char)));
                if own < next.len() {
                    self.add_word(at + segment.len() + own, &next[own..]);
                    self.join_last_if_clitic(&next[own..]);
                }
                segments.next();
            } else if is_clitic(previous, segment, next) {
                self.add_joined(at..at + segment.len() + next.len());
                segments.next();
            } else if self.is_genitive(previous, segment, next) {
                self.add_joined(at..at + segment.len());
            } else if previous.is_empty() && numbers::is_lead(segment, next) {
                self.found.ranges.push(at..at + segment.len() + next.len());
                segments.next();
            } else {
                self.quoted = match segment {
                    "'" | "‘" if previous.is_empty() => true,
                    "'" | "’" => false,
                    _ => self.quoted,
                };
                self.add_word(at, segment);
            }
        }
    }

    /// The token that touches what comes next, or nothing.
    fn previous(&self) -> &'a str {
        self.found.ranges[self.touching..].last().map_or("", |range| &self.text[range.clone()])
    }

    /// Whether the token that touches what comes next is all of this kind.
    fn is_all(&mut self, kind: Kind) -> bool {
        let Some(start) = self.found.ranges[self.touching..].last().map(|range| range.start) else {
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

    /// The length of what goes on in `text`, from a mark at `at` on, with the groups of
    /// digits of a telephone number or a date whose first group is the last token.
    fn separated(&self, text: &str, at: usize) -> Option<usize> {
        if !matches!(text.as_bytes()[at], b'-' | b'/') {
            return None;
        }
        let first = self.found.ranges[self.touching..].last()?;
        let end = numbers::groups(&text[first.start..])?;
        (first.end == at).then_some(first.start + end - at)
    }

    /// Whether `segment` holds two parts together, and of which kind the first
    /// is: `10:30`, `10/30`, `AT&T`, `non-human`.
    fn infix(&mut self, at: usize, segment: &str, next: &str) -> Option<Kind> {
        let digit = |char: char| char.is_ascii_digit();
        let previous = self.previous();
        let kind = match segment {
            ":" if previous.ends_with(digit) && next.starts_with(digit) => Kind::Number,
            "/" if previous.ends_with(digit)
                && next.starts_with(digit)
                && !numbers::is_fraction(previous, next, &self.text[at + 1 + next.len()..]) =>
            {
                Kind::Number
            }
            "&" if !next.is_empty()
                && is_capital(&next[..clitic_start(next).unwrap_or(next.len())]) =>
            {
                Kind::Capital
            }
            "&" if previous.len() == 1 && next.len() == 1 => Kind::Other,
            "-" if tables::is_prefix(previous) && next.starts_with(char::is_alphanumeric) => {
                Kind::Other
            }
            _ => return None,
        };
        (kind == Kind::Other || self.is_all(kind)).then_some(kind)
    }

    fn extend(&mut self, bytes: usize) {
        if let Some(last) = self.found.ranges.last_mut() {
            last.end += bytes;
        }
    }

    /// Adds a token that is one word with the one before.
    fn add_joined(&mut self, range: Range<usize>) {
        self.found.joined.push(self.found.ranges.len());
        self.found.ranges.push(range);
    }

    fn join_last_if_clitic(&mut self, word: &str) {
        if word.starts_with(APOSTROPHES) {
            self.found.joined.push(self.found.ranges.len() - 1);
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

    /// Whether `segment` is the apostrophe of a plural's genitive, as in `the dogs'
    /// tails`, and no quotation mark.
    fn is_genitive(&self, word: &str, segment: &str, next: &str) -> bool {
        let plural = word.len() > 2 && word.ends_with(['s', 'S']);
        plural && matches!(segment, "'" | "’") && next.is_empty() && !self.quoted
    }

    /// Adds a word, split at its clitics, `it|'s`, `do|n't`, `can|not`, and before
    /// its unit, `7|pm`.
    fn add_word(&mut self, at: usize, word: &str) {
        let is_plain = word.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_plain && tables::fused(word).is_none() {
            return self.found.ranges.push(at..at + word.len());
        }
        let (first, mut end) = (self.found.ranges.len(), word.len());
        while let Some(cut) = clitic_start(&word[..end]) {
            self.found.ranges.push(at + cut..at + end);
            end = cut;
        }
        let clitics = self.found.ranges.len() - first;
        if let Some(cut) = numbers::unit(&word[..end]) {
            self.found.ranges.push(at + cut..at + end);
            end = cut;
        }
        self.found.ranges.push(at..at + end);
        self.found.ranges[first..].reverse();
        let last = self.found.ranges.len();
        self.found.joined.extend(last - clitics..last);
    }
}

fn is_capital(word: &str) -> bool {
    !word.is_empty() && word.chars().all(char::is_uppercase)
}

/// Whether an apostrophe and `next` are a clitic of a word that does not hold
/// them already, as in `1990's`.
fn is_clitic(previous: &str, segment: &str, next: &str) -> bool {
    let word = previous.ends_with(|char: char| char.is_alphanumeric() || char == '.');
    word && matches!(segment, "'" | "’" | "`") && tables::is_clitic(next)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> String {
        tokens(text).ranges.into_iter().map(|range| &text[range]).collect::<Vec<_>>().join("|")
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
            ("你好👩‍👩‍👧世界。", "你好|👩‍👩‍👧|世界|。"),
            ("ฉันกินข้าว ok", "ฉัน|กิน|ข้าว|ok"),
            ("", ""),
        ]);
    }

    #[test]
    fn numbers_stay_together() {
        check(&[
            ("At 10:30 it cost $1,234.50.", "At|10:30|it|cost|$|1,234.50|."),
            ("Odds: 3/4, or 5%", "Odds|:|3|/|4|,|or|5|%"),
            ("On 9/11, or 4/26/2001, at 7:30pm", "On|9/11|,|or|4/26/2001|,|at|7:30|pm"),
            ("Call +44 or 713-555-0199 (3-5 pm)", "Call|+44|or|713-555-0199|(|3|-|5|pm|)"),
            ("It is 35mm, the 2nd, at .5 or US$5", "It|is|35|mm|,|the|2nd|,|at|.5|or|US$|5"),
            ("Am 3. Mai um 3. Dann", "Am|3.|Mai|um|3|.|Dann"),
        ]);
    }

    #[test]
    fn a_long_row_takes_linear_time() {
        // Looked at anew for each part, these would take minutes.
        for (part, last) in [("=", "="), ("?!", "?"), ("1/", "2"), ("A&", "B")] {
            let row = part.repeat(400_000) + last;
            let found: Vec<_> = tokens(&row).ranges.into_iter().map(|range| range.len()).collect();
            assert_eq!(found, [row.len()], "{part}");
        }
        check(&[
            ("==--==", "==|--|=="),
            ("1/2nd/3", "1/2nd|/|3"),
            ("A&B:10/2", "A&B|:|10/2"),
            ("A&B&c&D", "A&B|&|c|&|D"),
        ]);
    }

    #[test]
    fn a_long_text_without_spaces_takes_linear_time() {
        // Looked at anew for each word, these would take hours.
        for text in ["我們喜歡讀書", "ฉันกินข้าว"] {
            let long = text.repeat(30_000);
            assert!(tokens(&long).ranges.len() > 60_000);
        }
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
            ("It’s the ’90s", "It|’s|the|’90s"),
            ("I shouldn't've; cannot", "I|should|n't|'ve|;|can|not"),
            ("the dogs' tails and 'the cats' tails", "the|dogs|'|tails|and|'|the|cats|'|tails"),
            ("PG&E's q&a", "PG&E|'s|q&a"),
            ("the 1990's, O'Brien's, the U.S.'s", "the|1990|'s|,|O'Brien|'s|,|the|U.S.|'s"),
        ]);
    }

    #[test]
    fn parts_of_one_word_are_known() {
        let joined = |text: &str| {
            let Tokenized { ranges, joined } = tokens(text);
            joined.into_iter().map(|i| &text[ranges[i].clone()]).collect::<Vec<_>>().join("|")
        };
        assert_eq!(joined("I shouldn't've; cannot"), "n't|'ve|not");
        assert_eq!(joined("PG&E's dogs' 1990's 'dogs' 7pm's"), "'s|'|'s|'s");
        assert_eq!(joined("self-made at 7pm, it is"), "");
    }

    #[test]
    fn addresses_stay_whole() {
        check(&[
            ("(see https://a.org/b_(c)?d=1).", "(|see|https://a.org/b_(c)?d=1|)|."),
            ("Mail a.b+c@d-e.org, ok", "Mail|a.b+c@d-e.org|,|ok"),
            ("see non-final_3.doc, or (b.pdf)", "see|non-final_3.doc|,|or|(|b.pdf|)"),
            (
                "Ann Lee@ACME, \"x\"<y@z.org>, great!:)",
                "Ann|Lee@ACME|,|\"|x|\"|<|y@z.org|>|,|great|!|:)",
            ),
            ("non-human, e-mail, self-made w/o", "non-human|,|e-mail|,|self|-|made|w/o"),
            ("#tag_1! @me's #1", "#tag_1|!|@me|'s|#|1"),
            ("fine :-) www.x.de", "fine|:-)|www.x.de"),
            ("www.", "www|."),
        ]);
    }
}

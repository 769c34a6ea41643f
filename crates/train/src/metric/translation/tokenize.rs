//! Tokenization for scores. Everything here only puts spaces into a text (and
//! takes marks out of it); [`words`](super::text::words) divides it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::text::is_space;

/// How BLEU divides a line into tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tokenizer {
    /// That of the NIST script `mteval-v13a` without its language-specific parts,
    /// the one of published scores.
    #[default]
    #[serde(rename = "13a")]
    V13a,
    /// White space alone, for text that is tokenized already.
    None,
    /// Every character but white space is a token.
    Char,
    /// Chinese characters are tokens, the rest as in [`V13a`](Self::V13a).
    Zh,
}

impl Tokenizer {
    /// Name in signatures and configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::V13a => "13a",
            Self::None => "none",
            Self::Char => "char",
            Self::Zh => "zh",
        }
    }

    /// The text with white space between its tokens.
    pub(super) fn tokenize(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::V13a => v13a(text).into(),
            Self::None => text.into(),
            Self::Char => set_apart(text, |_| true).into(),
            Self::Zh => western(&set_apart(text.trim_matches(is_space), is_chinese), false).into(),
        }
    }
}

fn v13a(text: &str) -> String {
    let text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    western(&format!(" {} ", unescape(&text)), false)
}

/// Replaces four entities of XML, one after the other: `&amp;lt;` becomes `<`.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let text = text.replace("&quot;", "\"").replace("&amp;", "&");
    text.replace("&lt;", "<").replace("&gt;", ">").into()
}

/// Sets punctuation apart: that of ASCII but `'`, `,`, `-` and `.`; then marks
/// that do not stand between digits; then a dash behind a digit. On request, also
/// an `'s` before a space. A mark at the very border of `text` stays where it is.
fn western(text: &str, possessives: bool) -> String {
    let is_mark = |character| matches!(character, '.' | ',');
    let is_digit = |character: char| character.is_ascii_digit();
    let mut text = set_apart(text, |character| {
        character == ' ' || (character.is_ascii_punctuation() && !"',-.".contains(character))
    });
    if possessives {
        text = text.replace("'s ", " 's ");
    }
    let text = between(&text, |left, right| !is_digit(left) && is_mark(right), ["", " ", " "]);
    let text = between(&text, |left, right| is_mark(left) && !is_digit(right), [" ", " ", ""]);
    between(&text, |left, right| is_digit(left) && right == '-', ["", " ", " "])
}

/// Puts a space on both sides of the characters that `apart` picks.
fn set_apart(text: &str, apart: impl Fn(char) -> bool) -> String {
    let mut spaced = String::with_capacity(2 * text.len());
    for character in text.chars() {
        if apart(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    spaced
}

/// Puts `spaces` before, within and behind the pairs that `picked` picks, from
/// left to right; a character belongs to one pair only.
fn between(text: &str, picked: impl Fn(char, char) -> bool, spaces: [&str; 3]) -> String {
    let [before, within, behind] = spaces;
    let mut spaced = String::with_capacity(text.len() + text.len() / 4);
    let mut characters = text.chars().peekable();
    while let Some(left) = characters.next() {
        let Some(right) = characters.next_if(|&right| picked(left, right)) else {
            spaced.push(left);
            continue;
        };
        spaced += before;
        spaced.push(left);
        spaced += within;
        spaced.push(right);
        spaced += behind;
    }
    spaced
}

/// Whether `zh` sets the character apart. The range from U+2001 is that of the
/// reference implementation, as is the missing plane 2: it writes those code
/// points with four digits and a character behind.
fn is_chinese(character: char) -> bool {
    matches!(character,
        '\u{2001}'..='\u{2a6d}' | '\u{2e80}'..='\u{2fdf}' | '\u{2ff0}'..='\u{303f}'
        | '\u{3100}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' | '\u{31c0}'..='\u{31ef}'
        | '\u{3200}'..='\u{4db5}' | '\u{4e00}'..='\u{9fbb}' | '\u{f900}'..='\u{fa2d}'
        | '\u{fa30}'..='\u{fa6a}' | '\u{fa70}'..='\u{fad9}' | '\u{fe10}'..='\u{fe1f}'
        | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ffef}')
}

/// Normalizes a line as Tercom does: entities, punctuation, `'s` and, on request,
/// Chinese and Japanese characters and their punctuation as words.
pub(super) fn tercom(text: &str, asian: bool) -> String {
    let text = text.replace("\n-", "").replace('\n', " ");
    let text = western(&format!(" {} ", unescape(&text)), true);
    if asian { set_apart(&text, |c| is_ideograph(c) || is_asian_mark(c)) } else { text }
}

/// Takes out punctuation as Tercom does.
pub(super) fn without_punctuation(text: &str, asian: bool) -> String {
    let is_mark = |character| ".,?:;!\"()".contains(character);
    text.chars().filter(|&c| !(is_mark(c) || (asian && is_asian_mark(c)))).collect()
}

/// Whether Tercom makes the character a word. Kana are none: its rules for them
/// ask for a line that begins with kana, and it puts a space there before.
fn is_ideograph(character: char) -> bool {
    matches!(character,
        '\u{2e80}'..='\u{2eff}' | '\u{31c0}'..='\u{31ef}' | '\u{3200}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}')
}

fn is_asian_mark(character: char) -> bool {
    let ideographic = matches!(character,
        '\u{3001}' | '\u{3002}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}'
        | '\u{ff61}'..='\u{ff65}' | '\u{30fb}');
    ideographic || "．，？：；！＂（）".contains(character)
}

#[cfg(test)]
mod tests {
    use super::{super::text::words, *};

    fn tokens(tokenizer: Tokenizer, text: &str) -> String {
        words(&tokenizer.tokenize(text)).join(" ")
    }

    #[test]
    fn marks_between_digits_stay() {
        let text = "He paid 1,250.75 (or so), i.e. 3-4% more...";
        let want = "He paid 1,250.75 ( or so ) , i . e . 3 - 4 % more . . .";
        assert_eq!(tokens(Tokenizer::V13a, text), want);
        assert_eq!(tokens(Tokenizer::V13a, "it's well-known, ٣,٤"), "it's well-known , ٣ , ٤");
    }

    #[test]
    fn a_character_belongs_to_one_pair() {
        // The second mark is taken by the first, so the third finds no partner before it.
        assert_eq!(tokens(Tokenizer::V13a, "1,,,2"), "1 , , ,2");
        assert_eq!(tokens(Tokenizer::V13a, "1--2"), "1 - -2");
    }

    #[test]
    fn entities_are_replaced_in_turn() {
        assert_eq!(tokens(Tokenizer::V13a, "a &amp;lt; b<skipped>-\nc\nd"), "a < bc d");
        assert_eq!(tokens(Tokenizer::V13a, "a&amp;quot;b"), "a & quot ; b");
    }

    #[test]
    fn characters_and_ideographs() {
        assert_eq!(tokens(Tokenizer::Char, "ab\u{a0}e\u{301}"), "a b e \u{301}");
        assert_eq!(tokens(Tokenizer::Zh, "我有2,5元。ok"), "我 有 2,5 元 。 ok");
        assert_eq!(tokens(Tokenizer::None, " a,b\u{1c}c "), "a,b c");
    }

    #[test]
    fn tercom_divides_possessives_and_ideographs() {
        let normal = |text, asian| words(&tercom(text, asian)).join(" ");
        assert_eq!(normal("Tom's house, 'tis\n-s", false), "Tom 's house , 'tiss");
        assert_eq!(normal("漢字かな。", true), "漢 字 かな 。");
        assert_eq!(normal("漢字かな。", false), "漢字かな。");
        assert_eq!(without_punctuation("(a) b。", false), "a b。");
        assert_eq!(without_punctuation("(a) b。", true), "a b");
    }
}

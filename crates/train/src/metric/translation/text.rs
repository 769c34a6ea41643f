//! White space and punctuation as Python has them, for sacreBLEU is written in Python.

use std::collections::HashMap;

/// Whether `str.split` divides there: Unicode's white space and the four
/// separators U+001C to U+001F.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// What stands between white space.
pub(super) fn words(text: &str) -> Vec<&str> {
    text.split(is_space).filter(|word| !word.is_empty()).collect()
}

/// Without white space at the end.
pub(super) fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// Whether the character is one of Python's `string.punctuation`.
pub(super) fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation()
}

/// Numbers words from 1, equal ones alike.
#[derive(Default)]
pub(super) struct Numbers<'a>(HashMap<&'a str, u32>);

impl<'a> Numbers<'a> {
    /// Numbers of the words of a text.
    pub(super) fn of(&mut self, words: &[&'a str]) -> Vec<u32> {
        let number = |&word: &&'a str| {
            let next = self.0.len() as u32 + 1;
            *self.0.entry(word).or_insert(next)
        };
        words.iter().map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_white_space_and_joiners_are_not() {
        let text = "a\u{1c}b\u{1f}c\u{85}d\u{a0}e\u{3000}f\u{200b}g\u{2060}h\u{feff}i \u{180e}j";
        let want = ["a", "b", "c", "d", "e", "f\u{200b}g\u{2060}h\u{feff}i", "\u{180e}j"];
        assert_eq!(words(text), want);
        assert_eq!(trim_end("x \u{1d}\n\u{2029}"), "x");
        assert!(words("\u{1e}\u{a0}").is_empty());
    }

    #[test]
    fn punctuation_is_that_of_ascii() {
        let all: String =
            ('\0'..='\u{3000}').filter(|&character| is_punctuation(character)).collect();
        assert_eq!(all, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");
    }
}

//! Words that are seldom what was meant: characters that are not seen, letters of two
//! scripts.

use std::collections::BTreeSet;

use glossator_text::Sentence;
use unicode_script::{Script, UnicodeScript};

use super::{Finding, of_token};

/// Scripts with letters that look alike.
const ALIKE: [Script; 4] = [Script::Latin, Script::Cyrillic, Script::Greek, Script::Armenian];

/// What is odd about the words of a sentence.
pub(super) fn odd(sentence: &Sentence) -> Vec<Finding> {
    let finding = |(number, token): (usize, &str)| {
        if token.is_ascii() {
            return None;
        }
        let reason = unseen(token).or_else(|| mixed(token))?;
        Some(of_token(sentence, number, &reason))
    };
    sentence.tokens().enumerate().filter_map(finding).collect()
}

/// A character that takes no room, or looks like a space. Joiners of emoji and of
/// scripts that need them are left alone.
fn unseen(token: &str) -> Option<String> {
    let name = |char: char| match char {
        '\u{a0}' | '\u{2007}' | '\u{202f}' => Some("a space that does not break"),
        '\u{ad}' => Some("a soft hyphen"),
        '\u{200b}' => Some("a space of no width"),
        '\u{feff}' => Some("a byte order mark"),
        '\u{fffd}' => Some("a replacement for what could not be decoded"),
        char if char.is_control() => Some("a control character"),
        _ => None,
    };
    let found = token.chars().find_map(|char| Some((char, name(char)?)));
    found.map(|(char, name)| format!("holds {name} (U+{:04X})", u32::from(char)))
}

/// Letters of two scripts that look alike, as a Cyrillic `а` among Latin ones.
fn mixed(token: &str) -> Option<String> {
    let scripts: BTreeSet<&str> = token
        .chars()
        .filter(|char| char.is_alphabetic())
        .map(|char| char.script())
        .filter(|script| ALIKE.contains(script))
        .map(|script| script.full_name())
        .collect();
    let scripts: Vec<&str> = scripts.into_iter().collect();
    match scripts[..] {
        [one, other, ..] => Some(format!("mixes letters of {one} and {other}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_named() {
        let found = |word: &str| {
            let sentence = Sentence::from_tokens(&["x", word]);
            odd(&sentence).into_iter().map(|finding| finding.message).collect::<Vec<_>>()
        };
        for (word, part) in [
            ("New\u{a0}York", "does not break (U+00A0)"),
            ("a\u{200b}b", "no width (U+200B)"),
            ("co\u{ad}op", "soft hyphen"),
            ("P\u{430}ris", "mixes letters of Cyrillic and Latin"),
            ("x\u{7}é", "control character (U+0007)"),
        ] {
            let messages = found(word);
            assert!(messages.len() == 1 && messages[0].contains(part), "{word:?}: {messages:?}");
            assert!(messages[0].starts_with("token 2 "), "{messages:?}");
        }
        for word in ["München", "Москва", "中文abc", "👩\u{200d}👩", "na\u{ef}ve", "5µm"]
        {
            assert_eq!(found(word), [""; 0], "{word}");
        }
    }
}

//! Splitting of raw text into sentences and tokens, with exact offsets.
//!
//! Bounds of sentences and words after Unicode Standard Annex 29, mended by a
//! few rules and tables: abbreviations, initials, numbers, addresses, English
//! contractions. A blank line always ends a sentence, a single newline never.

mod numbers;
pub mod score;
mod split;
mod tables;
mod tokenize;
mod whole;
mod words;

use std::ops::Range;

use crate::{Position, Sentence};

use tokenize::Tokenized;

pub(crate) use split::{Extent, LIMIT, WINDOW, window};

/// Splits a text that starts at `start` of its document into sentences.
///
/// Sentences have no white space at their edges, and between them is nothing
/// else. They may have any length.
pub fn document(text: &str, start: Position) -> Vec<Sentence> {
    let (mut position, mut from) = (start, 0);
    let place = |range: Range<usize>| {
        position.advance(&text[from..range.start]);
        let sentence = sentence(&text[range.clone()], position);
        position.advance(&text[range.clone()]);
        from = range.end;
        sentence
    };
    window(text, usize::MAX, Extent::Rest).sentences.into_iter().map(place).collect()
}

/// Splits one sentence, which starts at `start` of its document, into tokens.
pub fn sentence(text: &str, start: Position) -> Sentence {
    let Tokenized { ranges, joined } = tokenize::tokens(text);
    Sentence::of_parts(text.to_owned(), ranges, start).with_joined(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sentences_know_their_places() {
        let text = "Zoë left.\n\n He stayed. ";
        let sentences = document(text, Position { bytes: 5, chars: 5, utf16: 5 });
        let places: Vec<_> =
            sentences.iter().map(|s| (s.text(), s.start().bytes, s.start().chars)).collect();
        assert_eq!(places, [("Zoë left.", 5, 5), ("He stayed.", 18, 17)]);
    }

    #[test]
    fn a_sentence_in_memory_is_never_cut() {
        let text = format!("{}end. No.", "word ".repeat(40_000));
        let lengths: Vec<_> =
            document(&text, Position::default()).iter().map(|s| s.text().len()).collect();
        assert_eq!(lengths, [200_004, 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn tokens_and_gaps_rebuild_any_text(text in "(?s)[ a-cA-C.!?'’\\-:@#/0-9\n\r\t\u{a0}é中𝄞\u{301}]{0,80}|\\PC{0,40}|(?s).{0,40}") {
            let mut rebuilt = String::new();
            for sentence in document(&text, Position::default()) {
                let gap = &text[rebuilt.len()..sentence.start().bytes];
                prop_assert!(gap.trim().is_empty());
                rebuilt.push_str(gap);
                let mut at = 0;
                for i in 0..sentence.len() {
                    let range = sentence.token_range(i);
                    prop_assert!(!range.is_empty() && sentence.text()[at..range.start].trim().is_empty());
                    at = range.end;
                }
                prop_assert!(!sentence.is_empty() && at == sentence.text().len());
                rebuilt.push_str(sentence.text());
            }
            prop_assert!(text[rebuilt.len()..].trim().is_empty());
        }

        #[test]
        fn positions_are_slices_in_all_units(text in "(?s)[ab. \n\r\u{e9}中𝄞]{0,60}|(?s).{0,40}") {
            let chars: Vec<char> = text.chars().collect();
            let utf16: Vec<u16> = text.encode_utf16().collect();
            for sentence in document(&text, Position::default()) {
                let (start, end) = (sentence.start(), sentence.end());
                prop_assert_eq!(&text[start.bytes..end.bytes], sentence.text());
                prop_assert_eq!(chars[start.chars..end.chars].iter().collect::<String>(), sentence.text());
                prop_assert_eq!(String::from_utf16_lossy(&utf16[start.utf16..end.utf16]), sentence.text());
                for (i, (start, end)) in sentence.token_positions().into_iter().enumerate() {
                    prop_assert_eq!(&text[start.bytes..end.bytes], sentence.token(i));
                    prop_assert_eq!(chars[start.chars..end.chars].iter().collect::<String>(), sentence.token(i));
                }
            }
        }
    }
}

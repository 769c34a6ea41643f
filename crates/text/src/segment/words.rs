//! Words after Unicode Standard Annex 29; of scripts that put no space between words,
//! as a dictionary (Chinese, Japanese) or a small network (Thai, Lao, Khmer, Burmese)
//! finds them.

use std::sync::LazyLock;

use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed, options::WordBreakInvariantOptions};
use unicode_segmentation::{UWordBoundIndices, UnicodeSegmentation};

static SEGMENTER: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_auto(WordBreakInvariantOptions::default()));

/// Words with their places, and all that is between them.
pub(super) enum Words<'a> {
    Spaced(UWordBoundIndices<'a>),
    /// Ends of the words, the last one first.
    Found {
        text: &'a str,
        at: usize,
        ends: Vec<usize>,
    },
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        if text.is_ascii() || !text.chars().any(is_unspaced) {
            return Self::Spaced(text.split_word_bound_indices());
        }
        let mut ends: Vec<usize> = SEGMENTER.segment_str(text).filter(|end| *end > 0).collect();
        ends.reverse();
        Self::Found { text, at: 0, ends }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Spaced(words) => words.next(),
            Self::Found { text, at, ends } => {
                let start = *at;
                *at = ends.pop()?;
                Some((start, &text[start..*at]))
            }
        }
    }
}

/// Whether a character is of a script without spaces between words.
fn is_unspaced(char: char) -> bool {
    matches!(
        char,
        '\u{0e00}'..='\u{0eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3005}'..='\u{3007}'
            | '\u{3041}'..='\u{30ff}'
            | '\u{3400}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

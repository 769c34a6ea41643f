//! From text to ids.

use std::collections::HashMap;

use glossator_text::Dictionary;
use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Ids of code points; unknown ones are 0.
#[derive(Clone, Debug)]
pub(crate) struct CharacterIds {
    ascii: [u32; 128],
    others: HashMap<char, u32>,
}

impl CharacterIds {
    pub(crate) fn new(dictionary: &Dictionary) -> Self {
        let mut ids = Self { ascii: [0; 128], others: HashMap::new() };
        for (item, id) in dictionary.iter().zip(0..) {
            let mut chars = item.chars();
            let (Some(c), None) = (chars.next(), chars.next()) else { continue };
            match ids.ascii.get_mut(c as usize) {
                Some(place) => *place = id,
                None => drop(ids.others.insert(c, id)),
            }
        }
        ids
    }

    /// The id of a code point.
    pub(crate) fn id(&self, c: char) -> u32 {
        let other = || self.others.get(&c).copied().unwrap_or(0);
        self.ascii.get(c as usize).copied().unwrap_or_else(other)
    }

    /// Ids of all code points of the words, and how many each has.
    pub(crate) fn of(&self, words: &[&str]) -> (Vec<u32>, Vec<usize>) {
        let mut ids = Vec::new();
        let mut lengths = Vec::with_capacity(words.len());
        for word in words {
            let before = ids.len();
            ids.extend(word.chars().map(|c| self.id(c)));
            lengths.push(ids.len() - before);
        }
        (ids, lengths)
    }
}

/// A word in lower case with every digit a `0`.
#[cfg(feature = "train")]
pub(crate) fn normalized(word: &str) -> String {
    let digit = |c: char| if c.is_numeric() { '0' } else { c };
    word.chars().flat_map(char::to_lowercase).map(digit).collect()
}

/// How a word is looked for among those that have a vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lookup {
    /// As it stands, else in lower case, else with its digits as `#`, else as `0`.
    #[default]
    Stepwise,
    /// In lower case only.
    Lower,
    /// As it stands only.
    Exact,
}

impl Lookup {
    /// Id of a word; 0 if it is not known.
    pub(crate) fn id(self, dictionary: &Dictionary, word: &str) -> u32 {
        match self {
            Self::Stepwise => dictionary.get(word).or_else(|| stepwise(dictionary, word)),
            Self::Lower => dictionary.get(&word.to_lowercase()),
            Self::Exact => dictionary.get(word),
        }
        .unwrap_or(0)
    }
}

/// Looks for a word that is not known as it stands. Digits are the decimal ones of
/// any script, as in Flair.
fn stepwise(dictionary: &Dictionary, word: &str) -> Option<u32> {
    let lower = word.to_lowercase();
    let is_digit = |c: char| c.general_category() == GeneralCategory::DecimalNumber;
    let digits = |with: char| -> String {
        lower.chars().map(|c| if is_digit(c) { with } else { c }).collect()
    };
    let known = |word: &str| dictionary.get(word);
    known(&lower).or_else(|| known(&digits('#'))).or_else(|| known(&digits('0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_fall_back_step_by_step() {
        let mut dictionary = Dictionary::with_unknown();
        for item in ["Turin", "turin", "in", "##.##", "0-0"] {
            dictionary.add(item);
        }
        let words = ["Turin", "TURIN", "IN", "12.50", "3-4", "x"];
        let ids = |lookup: Lookup| words.map(|word| lookup.id(&dictionary, word));
        assert_eq!(ids(Lookup::Stepwise), [1, 2, 3, 4, 5, 0]);
        assert_eq!(ids(Lookup::Lower), [2, 2, 3, 0, 0, 0]);
        assert_eq!(ids(Lookup::Exact), [1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn lower_case_and_digits_are_those_of_flair() {
        let mut dictionary = Dictionary::with_unknown();
        for item in ["οδος", "##", "½", "#"] {
            dictionary.add(item);
        }
        // A final sigma, digits of another script; a fraction is no digit.
        let ids = ["ΟΔΟΣ", "٣٤", "½", "²"].map(|word| Lookup::Stepwise.id(&dictionary, word));
        assert_eq!(ids, [1, 2, 3, 0]);
    }

    #[test]
    fn a_character_is_a_code_point() {
        let mut dictionary = Dictionary::with_unknown();
        dictionary.add("ü");
        dictionary.add("a");
        let (ids, lengths) = CharacterIds::new(&dictionary).of(&["aü!", "", "a"]);
        assert_eq!((ids, lengths), (vec![2, 1, 0, 2], vec![3, 0, 1]));
    }
}

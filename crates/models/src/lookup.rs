//! From text to ids.

use std::collections::HashMap;

use glossator_text::Dictionary;

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

/// Id of a word: as it stands, else in lower case, else with its digits as
/// `#`, else as `0`; 0 if none is known.
pub(crate) fn word_id(dictionary: &Dictionary, word: &str) -> u32 {
    if let Some(id) = dictionary.get(word) {
        return id;
    }
    let lower: String = word.chars().flat_map(char::to_lowercase).collect();
    let digits = |with: char| -> String {
        lower.chars().map(|c| if c.is_numeric() { with } else { c }).collect()
    };
    dictionary
        .get(&lower)
        .or_else(|| dictionary.get(&digits('#')))
        .or_else(|| dictionary.get(&digits('0')))
        .unwrap_or(0)
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
        let ids = ["Turin", "TURIN", "IN", "12.50", "3-4", "x"].map(|w| word_id(&dictionary, w));
        assert_eq!(ids, [1, 2, 3, 4, 5, 0]);
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

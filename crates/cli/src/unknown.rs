//! Characters that a model does not know.

use std::{collections::BTreeMap, fmt};

/// Kinds of unknown characters that are shown.
const SHOWN: usize = 8;

/// Counts the characters of a text, and those of them that are unknown.
#[derive(Debug, Default)]
pub struct Unknown {
    characters: usize,
    kinds: BTreeMap<char, usize>,
}

impl Unknown {
    /// Counts the characters of a text.
    pub fn add(&mut self, text: &str, knows: impl Fn(char) -> bool) {
        for c in text.chars() {
            self.characters += 1;
            if !c.is_whitespace() && !knows(c) {
                *self.kinds.entry(c).or_default() += 1;
            }
        }
    }

    /// Unknown characters.
    pub fn count(&self) -> usize {
        self.kinds.values().sum()
    }
}

impl fmt::Display for Unknown {
    /// How many, which part, and the most frequent ones.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, all) = (self.count(), self.characters);
        let part = 100.0 * count as f64 / all.max(1) as f64;
        write!(f, "{count} of {all} ({part:.2} %)")?;
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let shown = kinds.iter().take(SHOWN).map(|(c, _)| c.escape_debug().to_string());
        let shown = shown.collect::<Vec<_>>().join(" ");
        match kinds.len() {
            0 => Ok(()),
            n if n <= SHOWN => write!(f, ": {shown}"),
            n => write!(f, ": {shown} and {} more", n - SHOWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_characters_are_counted_the_frequent_ones_first() {
        let mut unknown = Unknown::default();
        unknown.add("aяя б\u{7}\u{a0}", |c| c == 'a');
        assert_eq!((unknown.count(), unknown.characters), (4, 7));
        assert_eq!(unknown.to_string(), "4 of 7 (57.14 %): я \\u{7} б");
        unknown.add("0123456789", |_| false);
        assert!(unknown.to_string().ends_with(" and 5 more"), "{unknown}");
    }
}

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher};
use std::ops::AddAssign;

use super::lines::Line;

/// Characters below are counted in an array: the alphabets.
const DENSE: usize = 0x3000;

/// Documents and characters, and what tells them from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub n_documents: usize,
    pub n_chars: usize,
    /// Sum of a hash of every document.
    pub checksum: u64,
}

impl Tally {
    /// The tally of one document.
    pub fn of(line: Line<'_>) -> Tally {
        let mut hasher = DefaultHasher::new();
        hasher.write(line.text.as_bytes());
        hasher.write_u8(line.ended.into());
        let n_chars = line.text.chars().count() + usize::from(line.ended);
        Tally { n_documents: 1, n_chars, checksum: hasher.finish() }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.n_documents += other.n_documents;
        self.n_chars += other.n_chars;
        self.checksum = self.checksum.wrapping_add(other.checksum);
    }
}

/// Counts characters.
pub(super) struct Counter {
    dense: Vec<usize>,
    sparse: HashMap<char, usize>,
}

impl Counter {
    pub fn new() -> Counter {
        Counter { dense: vec![0; DENSE], sparse: HashMap::new() }
    }

    pub fn add(&mut self, line: Line<'_>) {
        self.dense[usize::from(b'\n')] += usize::from(line.ended);
        if line.text.is_ascii() {
            line.text.bytes().for_each(|byte| self.dense[usize::from(byte)] += 1);
            return;
        }
        for char in line.text.chars() {
            match self.dense.get_mut(char as usize) {
                Some(count) => *count += 1,
                None => *self.sparse.entry(char).or_default() += 1,
            }
        }
    }

    pub fn finish(self) -> BTreeMap<char, usize> {
        let dense = ('\0'..).zip(self.dense).filter(|(_, count)| *count > 0);
        dense.chain(self.sparse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_all_planes_are_counted() {
        let mut counter = Counter::new();
        counter.add(Line { text: "aba", ended: true, number: 1 });
        counter.add(Line { text: "aé\u{2fff}\u{3000}中𝄞𝄞", ended: false, number: 2 });
        let counts = BTreeMap::from([
            ('\n', 1),
            ('a', 3),
            ('b', 1),
            ('é', 1),
            ('\u{2fff}', 1),
            ('\u{3000}', 1),
            ('中', 1),
            ('𝄞', 2),
        ]);
        assert_eq!(counter.finish(), counts);
    }

    #[test]
    fn tallies_count_delimiters_and_tell_texts_apart() {
        let tally = |text, ended| Tally::of(Line { text, ended, number: 1 });
        assert_eq!(tally("aé", true).n_chars, 3);
        assert_eq!(tally("aé", false).n_chars, 2);
        assert_ne!(tally("ab", true), tally("ac", true));
    }
}

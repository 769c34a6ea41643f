//! Words made of their character n-grams (Bojanowski et al., 2017), as fastText
//! numbers them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Rows;

/// How n-grams are made and numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubwordsShape {
    /// Characters of the shortest n-gram.
    pub min: usize,
    /// Characters of the longest one.
    pub max: usize,
    /// Vectors that n-grams share.
    pub buckets: usize,
}

/// N-grams and their vectors.
#[derive(Clone, Debug)]
pub(crate) struct Subwords {
    pub(crate) shape: SubwordsShape,
    pub(super) rows: Rows,
    /// Rows before the first of an n-gram.
    pub(super) first: usize,
}

/// A word that stands for the end of a sentence and is made of nothing.
const END: &str = "</s>";

impl Subwords {
    /// Vectors in memory, `[buckets, dim]`, behind a row that is not used.
    pub(crate) fn of_values(shape: SubwordsShape, values: Arc<Vec<f32>>) -> Self {
        Self { shape, rows: Rows::Values(values), first: 0 }
    }

    /// Puts the mean of a word's n-grams into `to`; zeros if it has none.
    pub(super) fn mean(&self, word: &str, to: &mut [f32]) {
        self.add(word, to, 0);
    }

    /// Makes the vector in `to` the mean of itself and the word's n-grams.
    pub(super) fn mean_with(&self, word: &str, to: &mut [f32]) {
        self.add(word, to, 1);
    }

    fn add(&self, word: &str, to: &mut [f32], before: usize) {
        let mut count = before;
        if word != END {
            self.shape.each(word, |bucket| {
                self.rows.add(self.first + bucket + 1, to);
                count += 1;
            });
        }
        if count > 1 {
            let by = 1.0 / count as f32;
            to.iter_mut().for_each(|value| *value *= by);
        }
    }

    /// The same in memory.
    #[cfg(feature = "train")]
    pub(crate) fn in_memory(&self, dim: usize) -> Self {
        Self::of_values(self.shape, self.values(dim).into())
    }

    /// The vectors of all buckets, `[buckets + 1, dim]`, behind a row of zeros.
    #[cfg(feature = "train")]
    pub(crate) fn values(&self, dim: usize) -> Vec<f32> {
        let mut all = vec![0.0; (self.shape.buckets + 1) * dim];
        for (bucket, row) in all.chunks_exact_mut(dim).skip(1).enumerate() {
            self.rows.add(self.first + bucket + 1, row);
        }
        all
    }
}

impl SubwordsShape {
    /// What is wrong with the values, if anything.
    pub(crate) fn problem(self) -> Option<String> {
        let is_wrong = self.buckets == 0 || self.buckets > 1 << 30 || self.max > 100;
        is_wrong.then(|| "has sizes that cannot be".to_owned())
    }

    /// The bucket of each n-gram of a word between its borders.
    fn each(self, word: &str, mut found: impl FnMut(usize)) {
        if self.buckets == 0 {
            return;
        }
        let word = format!("<{word}>");
        let places: Vec<usize> = word.char_indices().map(|(place, _)| place).collect();
        let end = |place: usize| places.get(place).copied().unwrap_or(word.len());
        for from in 0..places.len() {
            for n in self.min.max(1)..=self.max.min(places.len() - from) {
                // A border alone says nothing.
                if n == 1 && (from == 0 || from + n == places.len()) {
                    continue;
                }
                let bytes = &word.as_bytes()[places[from]..end(from + n)];
                found(hash(bytes) as usize % self.buckets);
            }
        }
    }
}

/// FNV-1a of bytes that are taken as signed.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(2_166_136_261, |hash: u32, byte| {
        (hash ^ i32::from(*byte as i8) as u32).wrapping_mul(16_777_619)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ngrams_are_cut_by_characters_between_borders() {
        let shape = SubwordsShape { min: 1, max: 2, buckets: 1 << 20 };
        let of = |word: &str| {
            let mut buckets = Vec::new();
            shape.each(word, |bucket| buckets.push(bucket));
            buckets
        };
        let want = ["<ü", "ü", "üx", "x", "x>"];
        assert_eq!(of("üx"), want.map(|ngram| hash(ngram.as_bytes()) as usize % (1 << 20)));
        assert_eq!(of(""), [hash(b"<>") as usize % (1 << 20)]);
        SubwordsShape { min: 9, max: 9, buckets: 7 }.each("short", |_| panic!("none is so long"));
    }

    #[test]
    fn the_hash_takes_bytes_as_signed() {
        // FNV-1a of "a", and what becomes of the two bytes of "ü" when they are signed.
        assert_eq!(hash(b"a"), 0xe40c_292c);
        let signed = |hash: u32, byte: i8| (hash ^ byte as u32).wrapping_mul(16_777_619);
        assert_eq!(hash("ü".as_bytes()), signed(signed(2_166_136_261, -61), -68));
    }
}

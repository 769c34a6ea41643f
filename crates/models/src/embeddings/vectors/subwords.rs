//! Words made of their character n-grams (Bojanowski et al., 2017), as fastText and
//! finalfusion number them.

use std::{collections::HashMap, sync::Arc};

use ::finalfusion::subword::{BucketIndexer, FinalfusionHashIndexer, Indexer};
use serde::{Deserialize, Serialize};

use super::Rows;
use crate::limits::is_default;

/// How n-grams are made, numbered and put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubwordsShape {
    /// Characters of the shortest n-gram.
    pub min: usize,
    /// Characters of the longest one.
    pub max: usize,
    /// Vectors that n-grams share.
    pub buckets: usize,
    /// What numbers n-grams.
    #[serde(default, skip_serializing_if = "is_default")]
    pub indexer: SubwordsIndexer,
    /// Whether a word's vector is made a unit vector; else it is the mean.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unit: bool,
}

/// How n-grams are numbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubwordsIndexer {
    /// By fastText's hash, modulo the buckets. The border of a word alone is no
    /// n-gram.
    #[default]
    Fasttext,
    /// By fastText's hash in a file of finalfusion, where a border alone is one.
    FinalfusionFasttext,
    /// By the low bits of finalfusion's hash.
    Finalfusion,
    /// They are listed; others have no vector.
    Explicit,
}

/// Numbers of n-grams that are listed, of which several may share one.
pub(crate) type Ngrams = HashMap<String, u32>;

/// N-grams and their vectors.
#[derive(Clone, Debug)]
pub(crate) struct Subwords {
    pub(crate) shape: SubwordsShape,
    /// Empty where a hash numbers them.
    pub(crate) ngrams: Arc<Ngrams>,
    pub(super) rows: Rows,
    /// Rows before the first of an n-gram.
    pub(super) first: usize,
}

/// Most vectors that n-grams may share.
pub(super) const MAX_BUCKETS: usize = 1 << 30;
/// Characters of the longest n-gram that may be asked for.
pub(super) const MAX_NGRAM: usize = 100;
/// A word that stands for the end of a sentence and is made of nothing.
const END: &str = "</s>";

impl Subwords {
    /// Vectors in memory, `[buckets, dim]`, behind a row that is not used.
    pub(crate) fn of_values(
        shape: SubwordsShape,
        ngrams: Arc<Ngrams>,
        values: Arc<Vec<f32>>,
    ) -> Self {
        Self { shape, ngrams, rows: Rows::Values(values), first: 0 }
    }

    /// Puts the vector that a word has by its n-grams into `to`; zeros if it has none.
    pub(super) fn write(&self, word: &str, to: &mut [f32]) {
        self.add(word, to, 0);
    }

    /// Makes the vector in `to` the mean of itself and the word's n-grams.
    pub(super) fn mean_with(&self, word: &str, to: &mut [f32]) {
        self.add(word, to, 1);
    }

    fn add(&self, word: &str, to: &mut [f32], before: usize) {
        let mut count = before;
        if word != END || self.shape.indexer != SubwordsIndexer::Fasttext {
            self.shape.each(word, |ngram| {
                if let Some(number) = self.number(ngram) {
                    self.rows.add(self.first + number + 1, to);
                    count += 1;
                }
            });
        }
        if self.shape.unit {
            make_unit(to);
        } else if count > 1 {
            let by = 1.0 / count as f32;
            to.iter_mut().for_each(|value| *value *= by);
        }
    }

    /// Number of an n-gram's vector, if it has one.
    fn number(&self, ngram: &str) -> Option<usize> {
        let buckets = self.shape.buckets;
        match self.shape.indexer {
            SubwordsIndexer::Fasttext | SubwordsIndexer::FinalfusionFasttext => {
                (hash(ngram.as_bytes()) as usize).checked_rem(buckets)
            }
            SubwordsIndexer::Finalfusion => {
                // There are two to the power of this.
                let exponent = buckets.trailing_zeros() as usize;
                let numbers = FinalfusionHashIndexer::new(exponent).index_ngram(&ngram.into());
                numbers.first().map(|number| *number as usize)
            }
            SubwordsIndexer::Explicit => self.ngrams.get(ngram).map(|number| *number as usize),
        }
    }

    /// The same in memory.
    #[cfg(feature = "train")]
    pub(crate) fn in_memory(&self, dim: usize) -> Self {
        Self::of_values(self.shape, self.ngrams.clone(), self.values(dim).into())
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
        let by_bits = self.indexer == SubwordsIndexer::Finalfusion;
        let is_wrong = self.buckets == 0
            || self.buckets > MAX_BUCKETS
            || self.max > MAX_NGRAM
            || (by_bits && !self.buckets.is_power_of_two());
        is_wrong.then(|| "has sizes that cannot be".to_owned())
    }

    /// Each n-gram of a word between its borders.
    fn each(self, word: &str, mut found: impl FnMut(&str)) {
        let borders_count = self.indexer != SubwordsIndexer::Fasttext;
        let word = format!("<{word}>");
        let places: Vec<usize> = word.char_indices().map(|(place, _)| place).collect();
        let end = |place: usize| places.get(place).copied().unwrap_or(word.len());
        for from in 0..places.len() {
            for n in self.min.max(1)..=self.max.min(places.len() - from) {
                // A border alone says nothing.
                if n == 1 && !borders_count && (from == 0 || from + n == places.len()) {
                    continue;
                }
                found(&word[places[from]..end(from + n)]);
            }
        }
    }
}

/// Gives a vector the length 1, unless it is zero or too long to be measured.
fn make_unit(vector: &mut [f32]) {
    let norm = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 && norm.is_finite() {
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
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
        let shape = SubwordsShape { min: 1, max: 2, buckets: 1 << 20, ..Default::default() };
        let of = |shape: SubwordsShape, word: &str| {
            let mut ngrams = Vec::new();
            shape.each(word, |ngram| ngrams.push(ngram.to_owned()));
            ngrams
        };
        assert_eq!(of(shape, "üx"), ["<ü", "ü", "üx", "x", "x>"]);
        assert_eq!(of(shape, ""), ["<>"]);
        let indexer = SubwordsIndexer::Finalfusion;
        let with_borders = ["<", "<ü", "ü", "üx", "x", "x>", ">"];
        assert_eq!(of(SubwordsShape { indexer, ..shape }, "üx"), with_borders);
        assert!(of(SubwordsShape { min: 9, max: 9, ..shape }, "short").is_empty());
    }

    #[test]
    fn the_hash_takes_bytes_as_signed() {
        // FNV-1a of "a", and what becomes of the two bytes of "ü" when they are signed.
        assert_eq!(hash(b"a"), 0xe40c_292c);
        let signed = |hash: u32, byte: i8| (hash ^ byte as u32).wrapping_mul(16_777_619);
        assert_eq!(hash("ü".as_bytes()), signed(signed(2_166_136_261, -61), -68));
    }
}

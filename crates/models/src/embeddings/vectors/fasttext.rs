//! Binary files of fastText (Bojanowski et al., 2017).

use std::{path::Path, sync::Arc};

use glossator_text::Dictionary;

use super::{
    Rows, Subwords, SubwordsShape, WordVectors, add_word, damaged,
    data::{Data, Reader},
    subwords::MAX_NGRAM,
};
use crate::{Result, limits::MAX_DIM};

/// First bytes.
const MAGIC: [u8; 4] = 793_712_314_i32.to_le_bytes();
/// Versions that are read.
const VERSIONS: [i32; 2] = [11, 12];

pub(super) fn is_one(data: &[u8]) -> bool {
    data.starts_with(&MAGIC)
}

pub(super) fn read(path: &Path, data: Data, max: usize) -> Result<WordVectors> {
    let mut reader = Reader::new(&data);
    let cut = |reader: &Reader<'_>| damaged(path, reader.place(), "it ends here: is it cut?");
    let header = header(&mut reader).ok_or_else(|| cut(&reader))?;
    let refuse = |problem: &str| Err(damaged(path, 0, problem));
    if !VERSIONS.contains(&header.version) {
        return refuse("a version of fastText's format that is not read; known are 11 and 12");
    }
    if header.dim == 0 || header.dim > MAX_DIM {
        return refuse("its number of dimensions cannot be");
    }
    if header.pruned > 0 {
        return refuse("its n-grams are pruned; save the vectors of the model before pruning");
    }
    if header.min > MAX_NGRAM || header.max > MAX_NGRAM {
        return refuse("its n-grams are longer than words");
    }
    let mut dictionary = Dictionary::with_unknown();
    for number in 0..header.entries {
        let word = reader.until(0).ok_or_else(|| cut(&reader))?;
        let entry = reader.i64().and_then(|_| reader.byte());
        let is_label = entry.ok_or_else(|| cut(&reader))? != 0;
        // Words come first, and labels have vectors of no use.
        if !is_label && number < header.words.min(max) {
            add_word(&mut dictionary, word);
        }
    }
    if reader.byte().ok_or_else(|| cut(&reader))? != 0 {
        return refuse("its vectors are quantised; give the model before it was (.bin, not .ftz)");
    }
    let sizes = reader.i64().zip(reader.i64()).ok_or_else(|| cut(&reader))?;
    // Without n-grams the rows of buckets may have been left out.
    let rows = header.words.checked_add(header.buckets);
    if Some(sizes.0) != rows.and_then(|rows| rows.try_into().ok()) || sizes.1 != header.dim as i64 {
        return Err(damaged(
            path,
            reader.place(),
            "the size of its matrix is not that of its words",
        ));
    }
    let start = reader.place();
    let len = rows.and_then(|rows| rows.checked_mul(header.dim)?.checked_mul(4));
    let values = len.and_then(|len| reader.take(len)).ok_or_else(|| cut(&reader))?;
    if let Some(place) = not_finite(values) {
        return Err(damaged(path, start + place, "a number is not finite"));
    }
    if dictionary.len() == 1 {
        return refuse("the file holds no vectors");
    }
    let rows = Rows::Table { data: Arc::new(data), start };
    let (min, max, buckets) = (header.min, header.max, header.buckets);
    let shape = SubwordsShape { min, max, buckets, ..SubwordsShape::default() };
    let ngrams = Arc::default();
    let subwords = Subwords { shape, ngrams, rows: rows.clone(), first: header.words };
    let subwords = (shape.max > 0 && shape.buckets > 0).then_some(subwords);
    Ok(WordVectors::new(dictionary, rows, header.dim, subwords))
}

/// Place of the first number that is not finite, in bytes.
pub(super) fn not_finite(values: &[u8]) -> Option<usize> {
    let numbers = values.as_chunks::<4>().0;
    Some(4 * numbers.iter().position(|number| !f32::from_le_bytes(*number).is_finite())?)
}

/// What comes before the words.
struct Header {
    version: i32,
    dim: usize,
    buckets: usize,
    /// Characters of the shortest and the longest n-gram.
    min: usize,
    max: usize,
    /// Words and labels.
    entries: usize,
    words: usize,
    pruned: i64,
}

fn header(reader: &mut Reader<'_>) -> Option<Header> {
    reader.take(MAGIC.len())?;
    let version = reader.i32()?;
    let dim = reader.size()?;
    // Window, epochs, least count, negative samples, n-grams of words, loss.
    reader.take(6 * 4)?;
    let is_supervised = reader.i32()? == 3;
    let buckets = reader.size()?;
    let (min, max) = (reader.size()?, reader.size()?);
    // How often the rate changes, and the threshold of frequent words.
    reader.take(4 + 8)?;
    let (entries, words) = (reader.size()?, reader.size()?);
    let (_labels, _tokens, pruned) = (reader.i32()?, reader.i64()?, reader.i64()?);
    // The first version knew no n-grams in classifiers.
    let max = if version == 11 && is_supervised { 0 } else { max };
    Some(Header { version, dim, buckets, min, max, entries, words, pruned })
}

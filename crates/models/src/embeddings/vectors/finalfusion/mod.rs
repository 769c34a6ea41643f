//! Files of finalfusion, read by its crate once [`check`] has looked at them.
//!
//! They hold unit vectors of words and, in most, the norms that these had; with
//! norms the vectors get the length that they were trained with. The n-grams of a
//! word that has no vector give it one: their mean, the scale of training, or
//! without norms a unit vector as all others.

mod check;

use std::{io::Cursor, path::Path, sync::Arc};

use ::finalfusion::{
    embeddings::Embeddings,
    io::ReadEmbeddings,
    norms::NdNorms,
    storage::{NdArray, Storage},
    subword::Indexer,
    vocab::{SubwordVocab, Vocab, VocabWrap},
};
use glossator_text::Dictionary;

use super::{
    Ngrams, Rows, Subwords, SubwordsIndexer, SubwordsShape, WordVectors, add_word, damaged,
};
use crate::Result;
pub(super) use check::is_one;

pub(super) fn read(path: &Path, data: &[u8], max: usize) -> Result<WordVectors> {
    check::check(data).map_err(|(byte, problem)| damaged(path, byte, problem))?;
    let embeddings = Embeddings::<VocabWrap, NdArray>::read_embeddings(&mut Cursor::new(data));
    // What is wrong with TOML is told in several lines.
    let problem = |error: String| error.lines().next().unwrap_or_default().to_owned();
    let (_, vocabulary, matrix, norms) =
        embeddings.map_err(|error| damaged(path, 0, problem(error.to_string())))?.into_parts();
    let mut dictionary = Dictionary::with_unknown();
    for word in vocabulary.words().iter().take(max) {
        add_word(&mut dictionary, word.as_bytes());
    }
    if dictionary.len() == 1 {
        return Err(damaged(path, 0, "the file holds no vectors"));
    }
    let (dim, first) = (matrix.shape().1, vocabulary.words_len());
    let subwords = subwords(&vocabulary, norms.as_ref());
    let rows = Rows::Matrix { matrix: matrix.into(), norms: norms.map(Arc::new) };
    let subwords = subwords.map(|(shape, ngrams)| {
        let (ngrams, rows) = (ngrams.into(), rows.clone());
        Subwords { shape, ngrams, rows, first }
    });
    Ok(WordVectors::new(dictionary, rows, dim, subwords))
}

/// What words are made of; the n-grams, if they are listed.
fn subwords(vocabulary: &VocabWrap, norms: Option<&NdNorms>) -> Option<(SubwordsShape, Ngrams)> {
    let unit = norms.is_none();
    let (shape, ngrams) = match vocabulary {
        VocabWrap::FastTextSubwordVocab(vocabulary) => {
            let indexer = SubwordsIndexer::FinalfusionFasttext;
            (shape(vocabulary, indexer, unit), Ngrams::new())
        }
        VocabWrap::BucketSubwordVocab(vocabulary) => {
            (shape(vocabulary, SubwordsIndexer::Finalfusion, unit), Ngrams::new())
        }
        VocabWrap::ExplicitSubwordVocab(vocabulary) => {
            let indexer = vocabulary.indexer();
            let number = |ngram: &String| {
                let number = *indexer.index_ngram(&ngram.as_str().into()).first()?;
                Some((ngram.clone(), number as u32))
            };
            let ngrams = indexer.ngrams().iter().filter_map(number).collect();
            (shape(vocabulary, SubwordsIndexer::Explicit, unit), ngrams)
        }
        VocabWrap::SimpleVocab(_) | VocabWrap::FloretSubwordVocab(_) => return None,
    };
    (shape.buckets > 0).then_some((shape, ngrams))
}

fn shape<I: Indexer>(
    vocabulary: &SubwordVocab<I>,
    indexer: SubwordsIndexer,
    unit: bool,
) -> SubwordsShape {
    let (min, max) = (vocabulary.min_n() as usize, vocabulary.max_n() as usize);
    let buckets = vocabulary.indexer().upper_bound() as usize;
    SubwordsShape { min, max, buckets, indexer, unit }
}

#[cfg(test)]
mod tests;

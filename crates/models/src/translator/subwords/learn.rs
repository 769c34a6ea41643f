//! Vocabularies learnt from raw text.

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper,
    SplitDelimiterBehavior, Tokenizer,
    decoders::{
        byte_fallback::ByteFallback, fuse::Fuse, sequence::Sequence as Decoders, strip::Strip,
    },
    models::{
        bpe::{BPE, BpeTrainer},
        unigram::{Unigram, UnigramTrainer},
    },
    normalizers::{Prepend, Replace, Sequence as Normalizers},
    pre_tokenizers::{
        digits::Digits,
        metaspace::{Metaspace, PrependScheme},
        punctuation::Punctuation,
        sequence::Sequence as PreTokenizers,
    },
};

use super::{LEAST, SPACE, SPECIAL, Subwords, byte_name, words};
use crate::translator::{SubwordKind, SubwordsConfig};

/// Words longer than this teach nothing.
const MAX_WORD: usize = 64;
/// Times a word must stand in the text for a pair to be merged because of it.
const MIN_FREQUENCY: u64 = 2;
/// What the trainer of unigram models adds to the score of each further one of
/// the characters that it gives back.
const GIVEN_BACK: f64 = 1e-4;

impl Subwords {
    /// Learns a vocabulary of at most `size` units from lines of raw text; of
    /// single characters all that occur twice, at most so many.
    ///
    /// # Errors
    /// Says what is wrong.
    pub(crate) fn learn<'a>(
        config: &SubwordsConfig,
        size: usize,
        lines: impl ParallelIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let mut tokenizer = frame(ModelWrapper::BPE(BPE::default()))?;
        let counts = count(&tokenizer, lines);
        let room = size.saturating_sub(LEAST).max(1);
        let room = if config.kind == SubwordKind::Characters { room } else { room.div_ceil(2) };
        let alphabet = alphabet(&counts, room);
        let model = match config.kind {
            SubwordKind::Characters => bpe(&counts, LEAST, alphabet),
            SubwordKind::Bpe => bpe(&counts, size, alphabet),
            SubwordKind::Unigram => unigram(&counts, size, &alphabet),
        };
        tokenizer.with_model(model.map_err(|error| error.to_string())?);
        Self::new(tokenizer)
    }
}

/// Everything around a model: how text becomes words, and units text.
fn frame(model: ModelWrapper) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::new(model);
    let space = SPACE.to_string();
    let replace = |from: &str, to: &str| Replace::new(from, to).map_err(|error| error.to_string());
    let normalizer = Normalizers::new(vec![
        NormalizerWrapper::Prepend(Prepend::new(space.clone())),
        NormalizerWrapper::Replace(replace(" ", &space)?),
    ]);
    tokenizer.with_normalizer(Some(normalizer)).map_err(|error| error.to_string())?;
    let split = PreTokenizers::new(vec![
        PreTokenizerWrapper::Metaspace(Metaspace::new(SPACE, PrependScheme::Never, true)),
        PreTokenizerWrapper::Punctuation(Punctuation::new(SplitDelimiterBehavior::Isolated)),
        PreTokenizerWrapper::Digits(Digits::new(true)),
    ]);
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(split)));
    let join = Decoders::new(vec![
        DecoderWrapper::Replace(replace(&space, " ")?),
        DecoderWrapper::ByteFallback(ByteFallback::new()),
        DecoderWrapper::Fuse(Fuse::new()),
        DecoderWrapper::Strip(Strip::new(' ', 1, 0)),
    ]);
    tokenizer.with_decoder(Some(DecoderWrapper::Sequence(join)));
    Ok(tokenizer)
}

/// How often each word stands in the text, in the order of the words.
fn count<'a>(
    tokenizer: &Tokenizer,
    lines: impl ParallelIterator<Item = &'a str>,
) -> BTreeMap<String, u64> {
    let counted = lines.fold(BTreeMap::new, |mut counts: BTreeMap<String, u64>, line| {
        for part in line.split(SPACE) {
            for word in words(tokenizer, part, true) {
                if word.chars().nth(MAX_WORD).is_none() {
                    *counts.entry(word).or_default() += 1;
                }
            }
        }
        counts
    });
    counted.reduce(BTreeMap::new, |mut all, some| {
        some.into_iter().for_each(|(word, n)| *all.entry(word).or_default() += n);
        all
    })
}

/// The characters that stand for themselves: the frequent ones, at most `room`.
fn alphabet(counts: &BTreeMap<String, u64>, room: usize) -> Vec<char> {
    let mut characters: BTreeMap<char, u64> = BTreeMap::new();
    for (word, n) in counts {
        word.chars().for_each(|c| *characters.entry(c).or_default() += n);
    }
    characters.entry(SPACE).or_insert(u64::MAX);
    let mut frequent: Vec<(char, u64)> =
        characters.into_iter().filter(|(_, n)| *n >= MIN_FREQUENCY).collect();
    frequent.sort_by_key(|&(c, n)| (std::cmp::Reverse(n), c));
    frequent.truncate(room);
    frequent.into_iter().map(|(c, _)| c).collect()
}

/// The units that every vocabulary has, in their order.
fn fixed() -> Vec<AddedToken> {
    let names = SPECIAL.iter().map(|name| (*name).to_owned());
    let all = names.chain((0..=u8::MAX).map(byte_name));
    all.map(|name| AddedToken::from(name, true)).collect()
}

/// Byte pair encoding (Sennrich et al., 2016).
fn bpe(
    counts: &BTreeMap<String, u64>,
    size: usize,
    alphabet: Vec<char>,
) -> tokenizers::Result<ModelWrapper> {
    let mut model = BPE::builder().unk_token(SPECIAL[0].to_owned()).byte_fallback(true).build()?;
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(size)
        .min_frequency(MIN_FREQUENCY)
        .special_tokens(fixed())
        .limit_alphabet(alphabet.len())
        .initial_alphabet(alphabet.into_iter().collect())
        .build();
    let counts = counts.iter().map(|(word, n)| (word.as_str().into(), *n)).collect();
    trainer.do_train(&counts, &mut model)?;
    Ok(ModelWrapper::BPE(model))
}

/// A unigram language model of subwords (Kudo, 2018).
fn unigram(
    counts: &BTreeMap<String, u64>,
    size: usize,
    alphabet: &[char],
) -> tokenizers::Result<ModelWrapper> {
    let known: HashSet<char> = alphabet.iter().copied().collect();
    // A word with another character is cut there.
    let mut parts: BTreeMap<&str, u64> = BTreeMap::new();
    for (word, n) in counts {
        for part in word.split(|c| !known.contains(&c)).filter(|part| !part.is_empty()) {
            *parts.entry(part).or_default() += n;
        }
    }
    let parts: Vec<(String, u32)> = parts
        .into_iter()
        .map(|(part, n)| (part.to_owned(), u32::try_from(n).unwrap_or(u32::MAX)))
        .collect();
    let trainer = UnigramTrainer::builder()
        .show_progress(false)
        .vocab_size(u32::try_from(size)?)
        .unk_token(Some(SPECIAL[0].to_owned()))
        .special_tokens(fixed())
        .build()?;
    // Its sums depend on the number of threads; one thread gives always the same.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let mut model = Unigram::default();
    alone.install(|| trainer.do_train(parts, &mut model))?;
    let mut pieces: Vec<(String, f64)> = model.iter().skip(LEAST).cloned().collect();
    // Characters that the training dropped are given back to it in any order, and
    // so are equal scores.
    let least = pieces.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
    let margin = GIVEN_BACK * pieces.len() as f64;
    for (piece, score) in &mut pieces {
        if piece.chars().nth(1).is_none() && *score < least + margin {
            *score = least;
        }
    }
    pieces.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
    let first = model.iter().take(LEAST).cloned();
    let model = Unigram::from(first.chain(pieces).collect(), Some(0), true)?;
    Ok(ModelWrapper::Unigram(model))
}

//! Contextual string embeddings (Akbik et al., 2018): the state of a character
//! language model at the border of a word.

use std::sync::Arc;

#[cfg(feature = "train")]
use glossator_nn::Isa;
use glossator_nn::Keep;
use glossator_text::Sentence;
use serde::{Deserialize, Serialize};

#[cfg(feature = "train")]
use super::cache::{Key, VectorCache};
use super::{Columns, Embedding, TokenBatch};
use crate::{LanguageModel, ReadingDirection, Result};

/// Number of the arithmetic: one more when a release computes other bits.
#[cfg(feature = "train")]
const VERSION: u32 = 1;

/// What stands between the words that a language model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// One space between two words, whatever the text has.
    #[default]
    Tokens,
    /// As many spaces as the text has white space; none between words that
    /// stand together.
    Original,
}

/// Settings of contextual string embeddings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextualConfig {
    /// The language model: in a configuration its name or folder, in a model
    /// the hash that it lies under.
    pub model: String,
    /// What stands between words.
    #[serde(default)]
    pub spacing: Spacing,
    /// Whether the text is read in lower case.
    #[serde(default)]
    pub lower: bool,
    /// Whether the state is that of the word's own last character (of a
    /// backward model its first), not of the space beyond it.
    #[serde(default)]
    pub inside: bool,
}

/// What vectors are computed by: hash of the language model, settings, whether
/// places are [counted](Contextual::counted).
pub(super) type Name = (String, ContextualConfig, bool);

/// A language model as an embedding; it is not trained.
#[derive(Clone, Debug)]
pub(crate) struct Contextual {
    config: ContextualConfig,
    is_counted: bool,
    model: Arc<LanguageModel>,
    #[cfg(feature = "train")]
    cache: Option<Arc<VectorCache>>,
}

/// A sentence as a language model reads it.
struct Reading {
    /// Characters in reading order, with what stands before and behind.
    characters: Vec<char>,
    /// Place of each token's state in `characters`.
    places: Vec<usize>,
}

impl Contextual {
    pub(crate) fn new(config: &ContextualConfig, model: Arc<LanguageModel>) -> Self {
        Self {
            config: config.clone(),
            is_counted: false,
            model,
            #[cfg(feature = "train")]
            cache: None,
        }
    }

    /// The same, with [`Quirk::CountedPlaces`](crate::Quirk) or without.
    pub(super) fn counted(self, is_counted: bool) -> Self {
        Self { is_counted, ..self }
    }

    /// The same, remembering what it computes.
    #[cfg(feature = "train")]
    pub(crate) fn cached(self, cache: Arc<VectorCache>) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Vectors of all tokens, `[tokens, dim]`.
    pub(crate) fn vectors(&self, batch: &TokenBatch<'_>) -> Result<Arc<[f32]>> {
        let name = (self.model.key().to_owned(), self.config.clone(), self.is_counted);
        batch.shared(name, || {
            #[cfg(feature = "train")]
            if let Some(cache) = &self.cache {
                return self.remembered(cache, batch);
            }
            self.read(batch.sentences.iter().copied())
        })
    }

    /// Vectors from the cache; sentences that are not in it are read.
    #[cfg(feature = "train")]
    fn remembered(&self, cache: &VectorCache, batch: &TokenBatch<'_>) -> Result<Vec<f32>> {
        // What computes is part of the key: other instructions round otherwise.
        let isa = Isa::detect();
        let how = match self.model.device().number() {
            None => format!("{:?}", (isa, self.model.precision())),
            Some(_) => format!("{:?}", ("cuda", self.model.precision())),
        };
        let settings = format!("{VERSION} {how} {:?}", self.config);
        let mut found = Vec::with_capacity(batch.sentences.len());
        let mut missing = Vec::new();
        for sentence in &batch.sentences {
            let reading = self.reading(sentence);
            let text: String = reading.characters.iter().collect();
            let places: Vec<u8> =
                reading.places.iter().flat_map(|place| (*place as u32).to_le_bytes()).collect();
            let parts =
                [self.model.key().as_bytes(), settings.as_bytes(), text.as_bytes(), &places];
            let key = Key::new(&parts);
            let block = cache.get(&key)?;
            if block.is_none() {
                missing.push((*sentence, key));
            }
            found.push(block);
        }
        let read = self.read(missing.iter().map(|(sentence, _)| *sentence))?;
        let (mut rest, mut keys) = (&read[..], missing.iter());
        let mut vectors = Vec::with_capacity(batch.tokens.len() * self.dim());
        for (sentence, block) in batch.sentences.iter().zip(found) {
            if let Some(block) = block {
                vectors.extend_from_slice(&block);
                continue;
            }
            let (own, others) = rest.split_at(sentence.len() * self.dim());
            rest = others;
            if let Some((_, key)) = keys.next() {
                cache.insert(*key, own)?;
            }
            vectors.extend_from_slice(own);
        }
        Ok(vectors)
    }

    /// Lets the language model read sentences; `[tokens, dim]`.
    fn read<'s>(&self, sentences: impl Iterator<Item = &'s Sentence>) -> Result<Vec<f32>> {
        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        let (mut rows, mut of_tokens) = (Vec::new(), Vec::new());
        let mut next = 0;
        for sentence in sentences {
            let Reading { characters, places } = self.reading(sentence);
            let first = ids.len();
            ids.extend(self.model.ids_of(&characters));
            lengths.push(characters.len());
            rows.resize(ids.len(), Keep::NONE);
            for place in places {
                // Tokens without characters may share a place.
                let row: &mut u32 = &mut rows[first + place];
                if *row == Keep::NONE {
                    *row = next;
                    next += 1;
                }
                of_tokens.push(*row as usize);
            }
        }
        let states = self.model.states(&ids, &lengths, None, Keep::At(&rows));
        let states = states.map_err(|error| self.model.failed(error))?;
        let dim = self.dim();
        let in_order = of_tokens.iter().enumerate().all(|(token, row)| token == *row);
        if in_order {
            return Ok(states);
        }
        Ok(of_tokens.iter().flat_map(|row| &states[row * dim..(row + 1) * dim]).copied().collect())
    }

    /// A sentence in reading order, between the delimiter and a space.
    fn reading(&self, sentence: &Sentence) -> Reading {
        let (mut characters, mut borders) = (Vec::new(), Vec::with_capacity(sentence.len()));
        for (number, token) in sentence.tokens().enumerate() {
            let spaces = match (number, self.config.spacing) {
                (0, _) => 0,
                (_, Spacing::Tokens) => 1,
                (_, Spacing::Original) => white_space(sentence, number),
            };
            characters.resize(characters.len() + spaces, ' ');
            let start = characters.len();
            match self.config.lower {
                true => characters.extend(token.to_lowercase().chars()),
                false => characters.extend(token.chars()),
            }
            borders.push((start, characters.len()));
        }
        let length = characters.len();
        let count = match self.is_counted {
            true => self.count(sentence, &mut borders),
            false => length,
        };
        let backward = self.model.direction() == ReadingDirection::Backward;
        if backward {
            characters.reverse();
        }
        let delimiter = &self.model.config().document_delimiter;
        characters.splice(0..0, delimiter.chars());
        let first = characters.len() - length;
        characters.push(' ');
        // A word without characters has no inside.
        let inside = |start, end| usize::from(self.config.inside && start < end);
        let last = characters.len() - 1;
        let place = |(start, end): (usize, usize)| match backward {
            false => last.min(first + end - inside(start, end)),
            true => last.min(first + (count - start) - inside(start, end)),
        };
        Reading { characters, places: borders.into_iter().map(place).collect() }
    }
}

impl Contextual {
    /// Replaces borders by those that [`Quirk::CountedPlaces`](crate::Quirk)
    /// gives, and returns the characters of the whole text as it is written.
    fn count(&self, sentence: &Sentence, borders: &mut [(usize, usize)]) -> usize {
        let (mut place, mut written) = (0, 0);
        for (number, (token, border)) in sentence.tokens().zip(borders).enumerate() {
            let spaces = match (number, self.config.spacing) {
                (0, _) => 0,
                (_, Spacing::Tokens) => 1,
                (_, Spacing::Original) => white_space(sentence, number),
            };
            let characters = token.chars().count();
            place += spaces.min(1);
            *border = (place, place + characters);
            place += characters;
            written += spaces + characters;
        }
        written
    }
}

/// White space between a token and the one before it, in characters.
fn white_space(sentence: &Sentence, token: usize) -> usize {
    let (before, own) = (sentence.token_range(token - 1), sentence.token_range(token));
    let between = sentence.text().get(before.end..own.start).unwrap_or_default();
    between.chars().filter(|c| c.is_whitespace()).count()
}

impl Embedding for Contextual {
    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn write(&self, batch: &TokenBatch<'_>, mut out: Columns<'_>) -> Result<()> {
        let vectors = self.vectors(batch)?;
        for (token, vector) in vectors.chunks_exact(self.dim()).enumerate() {
            out.row(token).copy_from_slice(vector);
        }
        Ok(())
    }

    fn knows(&self, c: char) -> bool {
        match self.config.lower {
            true => c.to_lowercase().all(|c| self.model.knows(c)),
            false => self.model.knows(c),
        }
    }
}

#[cfg(test)]
#[path = "contextual_tests.rs"]
mod tests;

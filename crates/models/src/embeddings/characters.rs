//! Character features: a BiLSTM over a word's characters.

use std::{cmp::Reverse, collections::HashMap};

use glossator_nn::{Between, CellKind, Keep, PackedRnn, Precision, RnnInput, RnnShape, Weights};
use glossator_text::Dictionary;
use serde::{Deserialize, Serialize};

use super::{Columns, Embedding, TokenBatch, prefix};
use crate::{
    Result,
    lookup::CharacterIds,
    quirk::{Quirk, Quirks},
};

/// Settings of character features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CharactersConfig {
    /// Dimensions of a character's vector.
    pub embedding_dim: usize,
    /// Units of each direction.
    pub hidden_dim: usize,
    /// Characters seen fewer times in training are one unknown character.
    pub min_count: usize,
    /// Part of the characters that training replaces by the unknown one.
    pub unknown: f32,
}

impl Default for CharactersConfig {
    fn default() -> Self {
        Self { embedding_dim: 32, hidden_dim: 64, min_count: 2, unknown: 0.005 }
    }
}

impl CharactersConfig {
    pub(crate) fn dim(&self) -> usize {
        2 * self.hidden_dim
    }

    pub(crate) fn shape(&self) -> RnnShape {
        RnnShape {
            cell: CellKind::Lstm,
            input_dim: self.embedding_dim,
            hidden_dim: self.hidden_dim,
            n_layers: 1,
            bidirectional: true,
            between: Between::default(),
            learned_state: false,
        }
    }
}

/// Character features for inference; each distinct word of a batch is read once.
pub(super) struct Characters {
    dim: usize,
    ids: CharacterIds,
    rnn: PackedRnn,
    /// Whether [`Quirk::LastCharacter`] holds.
    at_last: bool,
    /// Whether [`Quirk::RepeatedWords`] holds.
    mixes_repeated: bool,
}

impl Characters {
    pub(super) fn new(
        config: &CharactersConfig,
        index: usize,
        dictionary: &Dictionary,
        weights: &mut Weights,
        precision: Precision,
    ) -> glossator_nn::Result<Self> {
        let prefix = prefix(index);
        let shape = [dictionary.len(), config.embedding_dim];
        let vectors = weights.take(&format!("{prefix}.characters.weight"), &shape)?;
        let (name, shape) = (format!("{prefix}.rnn"), config.shape());
        let rnn = PackedRnn::of_table(weights, &name, shape, precision, &vectors)?;
        let ids = CharacterIds::new(dictionary);
        Ok(Self { dim: config.dim(), ids, rnn, at_last: false, mixes_repeated: false })
    }

    /// The same with the quirks of a model.
    pub(super) fn with_quirks(self, quirks: &Quirks) -> Self {
        Self {
            at_last: quirks.contains(&Quirk::LastCharacter),
            mixes_repeated: quirks.contains(&Quirk::RepeatedWords),
            ..self
        }
    }

    /// For each token the one whose features it has by [`Quirk::RepeatedWords`]:
    /// itself, or, if the same characters come again in its sentence, the token
    /// at its place among all sorted by length.
    fn mixed(&self, batch: &TokenBatch<'_>, lengths: &[usize], ids: &[u32]) -> Vec<usize> {
        let mut words = Vec::with_capacity(lengths.len());
        let mut rest = ids;
        for &length in lengths {
            let (word, others) = rest.split_at(length);
            words.push(word);
            rest = others;
        }
        let mut of_tokens = Vec::with_capacity(words.len());
        let mut first = 0;
        for &length in &batch.lengths {
            let words = &words[first..first + length];
            let mut sorted: Vec<usize> = (0..length).collect();
            sorted.sort_by_key(|&token| Reverse(words[token].len()));
            let last: HashMap<_, _> = words.iter().zip(0..length).collect();
            let own = |(token, word)| if last[&word] == token { token } else { sorted[token] };
            of_tokens.extend(words.iter().enumerate().map(own).map(|token| first + token));
            first += length;
        }
        of_tokens
    }
}

impl Characters {
    /// Features of words, `[words, dim]`, by the ids of their characters.
    fn read(&self, ids: &[u32], lengths: &[usize]) -> Result<Vec<f32>> {
        if !self.at_last {
            return Ok(self.rnn.read(RnnInput::Ids(ids), lengths, None, Keep::Last)?);
        }
        let mut rows = vec![Keep::NONE; ids.len()];
        let mut end = 0;
        for (word, &length) in (0..).zip(lengths) {
            end += length;
            // Words have characters; of one without, there is no last place.
            if let Some(row) = rows[..end].last_mut().filter(|_| length > 0) {
                *row = word;
            }
        }
        let mut read = self.rnn.read(RnnInput::Ids(ids), lengths, None, Keep::At(&rows))?;
        read.resize(lengths.len() * self.dim, 0.0);
        Ok(read)
    }
}

impl Embedding for Characters {
    fn dim(&self) -> usize {
        self.dim
    }

    fn write(&self, batch: &TokenBatch<'_>, mut out: Columns<'_>) -> Result<()> {
        if self.mixes_repeated {
            let (ids, lengths) = self.ids.of(&batch.tokens);
            let read = self.read(&ids, &lengths)?;
            for (token, of) in self.mixed(batch, &lengths, &ids).into_iter().enumerate() {
                out.row(token).copy_from_slice(&read[of * self.dim..(of + 1) * self.dim]);
            }
            return Ok(());
        }
        let (words, numbers) = batch.distinct();
        let (ids, lengths) = self.ids.of(&words);
        let last = self.read(&ids, &lengths)?;
        for (token, &word) in numbers.iter().enumerate() {
            let from = word as usize * self.dim;
            out.row(token).copy_from_slice(&last[from..from + self.dim]);
        }
        Ok(())
    }
}

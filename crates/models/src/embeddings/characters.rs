//! Character features: a BiLSTM over a word's characters.

use glossator_nn::{Between, CellKind, Keep, PackedRnn, Precision, RnnInput, RnnShape, Weights};
use glossator_text::Dictionary;
use serde::{Deserialize, Serialize};

use super::{Columns, Embedding, TokenBatch, prefix};
use crate::{Result, lookup::CharacterIds};

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
        Ok(Self { dim: config.dim(), ids: CharacterIds::new(dictionary), rnn })
    }
}

impl Embedding for Characters {
    fn dim(&self) -> usize {
        self.dim
    }

    fn write(&self, batch: &TokenBatch<'_>, mut out: Columns<'_>) -> Result<()> {
        let (words, numbers) = batch.distinct();
        let (ids, lengths) = self.ids.of(&words);
        let last = self.rnn.read(RnnInput::Ids(&ids), &lengths, None, Keep::Last)?;
        for (token, &word) in numbers.iter().enumerate() {
            let from = word as usize * self.dim;
            out.row(token).copy_from_slice(&last[from..from + self.dim]);
        }
        Ok(())
    }
}

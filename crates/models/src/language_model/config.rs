//! What a language model is made of.

use glossator_hub::StoredPrecision;
use glossator_nn::{Between, CellKind, RnnInit, RnnShape};
use serde::{Deserialize, Serialize};

use super::TextScore;
use crate::limits::{
    ConnectionKind, MAX_DIM, MAX_PARTS, cell_name, cell_of_name, count, from_one, is_default,
    share, stack_problem,
};

/// Kind of the model in its `config.json`.
pub(crate) const KIND: &str = "language-model";

/// Which way a language model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadingDirection {
    /// From the first character to the last.
    #[default]
    Forward,
    /// From the last character to the first.
    Backward,
}

/// Architecture of a language model: the `[language_model]` table of a
/// configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageModelConfig {
    /// Which way it reads.
    pub direction: ReadingDirection,
    /// Units of each recurrent layer.
    pub hidden_dim: usize,
    /// Dimensions of a character's vector.
    pub embedding_dim: usize,
    /// Recurrent layers.
    pub layers: usize,
    /// The recurrent cell.
    #[serde(serialize_with = "cell_name", deserialize_with = "cell_of_name")]
    pub cell: CellKind,
    /// How what a layer reads goes on beside what it computes.
    #[serde(skip_serializing_if = "is_default")]
    pub connection: ConnectionKind,
    /// Whether what a layer puts out is normalised before the next one reads it.
    #[serde(skip_serializing_if = "is_default")]
    pub layer_norm: bool,
    /// Whether the first state is trained, else it is zero.
    #[serde(skip_serializing_if = "is_default")]
    pub learned_state: bool,
    /// Training begins with orthogonal recurrent weights, else with uniform ones.
    #[serde(skip_serializing_if = "is_default")]
    pub orthogonal: bool,
    /// Added to the first bias of the gate that keeps the state.
    #[serde(skip_serializing_if = "is_default")]
    pub forget_bias: f32,
    /// Dimensions of a linear layer behind the recurrent ones; left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projection_dim: Option<usize>,
    /// Part of the values dropped in training, behind the encoder and before
    /// the decoder; between layers the same features all along.
    pub dropout: f32,
    /// Characters through which the gradient goes back in training.
    pub sequence_length: usize,
    /// Part of the lines that training reads in lower case, and part that it
    /// reads in upper case.
    pub case_flips: f32,
    /// Part of the characters that training reads as the unknown one.
    pub unknown: f32,
    /// Characters seen fewer times in the training text are one unknown one.
    pub min_count: usize,
    /// Most characters of the dictionary, the frequent ones.
    pub max_characters: usize,
    /// What stands between two documents, and before the first.
    pub document_delimiter: String,
}

impl Default for LanguageModelConfig {
    fn default() -> Self {
        Self {
            direction: ReadingDirection::Forward,
            hidden_dim: 512,
            embedding_dim: 100,
            layers: 1,
            cell: CellKind::Lstm,
            connection: ConnectionKind::None,
            layer_norm: false,
            learned_state: false,
            orthogonal: false,
            forget_bias: 0.0,
            projection_dim: None,
            dropout: 0.1,
            sequence_length: 250,
            case_flips: 0.01,
            unknown: 1e-4,
            min_count: 3,
            max_characters: 1000,
            document_delimiter: "\n".to_owned(),
        }
    }
}

impl LanguageModelConfig {
    /// A key whose value cannot be used, and why.
    pub(crate) fn problem(&self) -> Option<(&'static str, String)> {
        let part = || "must be at least 0 and below 1".to_owned();
        let dims = [
            ("language_model.hidden_dim", self.hidden_dim),
            ("language_model.embedding_dim", self.embedding_dim),
            ("language_model.projection_dim", self.projection_dim.unwrap_or(1)),
            ("language_model.sequence_length", self.sequence_length),
        ];
        if let Some((key, _)) = dims.into_iter().find(|(_, value)| !count(*value, MAX_DIM)) {
            return Some((key, from_one(MAX_DIM)));
        }
        if !count(self.layers, MAX_PARTS) {
            return Some(("language_model.layers", from_one(MAX_PARTS)));
        }
        if let Some((key, reason)) = stack_problem(&self.rnn(), self.first_values()) {
            return Some((
                key.of([
                    "language_model.connection",
                    "language_model.layer_norm",
                    "language_model.orthogonal",
                    "language_model.forget_bias",
                ]),
                reason,
            ));
        }
        let parts =
            [("language_model.dropout", self.dropout), ("language_model.unknown", self.unknown)];
        if let Some((key, _)) = parts.into_iter().find(|(_, value)| !share(*value)) {
            return Some((key, part()));
        }
        if !(0.0..0.5).contains(&self.case_flips) {
            let reason = "must be at least 0 and below 0.5";
            return Some(("language_model.case_flips", reason.to_owned()));
        }
        let few = count(self.max_characters, 1 << 20);
        (!few).then(|| ("language_model.max_characters", from_one(1 << 20)))
    }

    /// First values of the recurrent layers.
    pub(crate) fn first_values(&self) -> RnnInit {
        RnnInit { orthogonal: self.orthogonal, forget_bias: self.forget_bias }
    }

    /// Shape of the recurrent layers.
    pub(crate) fn rnn(&self) -> RnnShape {
        RnnShape {
            cell: self.cell,
            input_dim: self.embedding_dim,
            hidden_dim: self.hidden_dim,
            n_layers: self.layers,
            between: Between { connection: self.connection.into(), layer_norm: self.layer_norm },
            learned_state: self.learned_state,
            bidirectional: false,
        }
    }

    /// Dimensions of a state as an embedding.
    pub(crate) fn dim(&self) -> usize {
        self.projection_dim.unwrap_or(self.hidden_dim)
    }

    /// What it is, in a phrase, with so many characters.
    #[cfg(feature = "convert")]
    pub(crate) fn describe(&self, characters: usize) -> String {
        let reads = match self.direction {
            ReadingDirection::Forward => "forward",
            ReadingDirection::Backward => "backward",
        };
        let projection = self.projection_dim.map(|dim| format!(", projected to {dim}"));
        format!(
            "a {reads} character language model: {} {} units in {} layer(s){}, {characters} \
             characters",
            self.cell.cell().spec().name,
            self.hidden_dim,
            self.layers,
            projection.unwrap_or_default()
        )
    }
}

/// `config.json` of a language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LanguageModelModel {
    pub(crate) kind: String,
    pub(crate) format: u64,
    /// How the weights are stored.
    pub(crate) precision: StoredPrecision,
    /// Number format it is computed with; left out: as they are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compute: Option<StoredPrecision>,
    /// Whether its decoder was left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) vectors_only: bool,
    pub(crate) language_model: LanguageModelConfig,
    /// Score on the development text, which tells what to expect of a text
    /// like those it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) development: Option<TextScore>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound_and_wrong_values_are_named() {
        assert_eq!(LanguageModelConfig::default().problem(), None);
        let problem = |change: fn(&mut LanguageModelConfig)| {
            let mut config = LanguageModelConfig::default();
            change(&mut config);
            config.problem().map(|(key, _)| key)
        };
        assert_eq!(problem(|c| c.hidden_dim = 0), Some("language_model.hidden_dim"));
        assert_eq!(problem(|c| c.projection_dim = Some(0)), Some("language_model.projection_dim"));
        assert_eq!(problem(|c| c.layers = 65), Some("language_model.layers"));
        assert_eq!(problem(|c| c.layer_norm = true), Some("language_model.layer_norm"));
        let residual = |c: &mut LanguageModelConfig| c.connection = ConnectionKind::Residual;
        assert_eq!(problem(residual), Some("language_model.connection"));
        let forget = |c: &mut LanguageModelConfig| {
            (c.cell, c.forget_bias) = (CellKind::Elman, 1.0);
        };
        assert_eq!(problem(forget), Some("language_model.forget_bias"));
        let large = |c: &mut LanguageModelConfig| (c.hidden_dim, c.orthogonal) = (8192, true);
        assert_eq!(problem(large), Some("language_model.orthogonal"));
        assert_eq!(problem(|c| c.dropout = 1.0), Some("language_model.dropout"));
        assert_eq!(problem(|c| c.case_flips = 0.5), Some("language_model.case_flips"));
        assert_eq!(problem(|c| c.max_characters = 0), Some("language_model.max_characters"));
    }
}

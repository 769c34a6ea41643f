//! What a tagger is made of.

use std::collections::BTreeMap;

use glossator_hub::StoredPrecision;
use glossator_nn::{Between, CellKind, RnnInit, RnnShape};
use glossator_text::tags::Scheme;
use serde::{Deserialize, Serialize};

use crate::{
    embeddings::{CharactersConfig, EmbeddingConfig, WordsConfig},
    limits::{
        ConnectionKind, MAX_DIM, MAX_PARTS, cell_name, cell_of_name, count, from_one, is_default,
        is_true, share, stack_problem,
    },
    quirk::Quirks,
};

/// Kind of the model in its `config.json`.
pub(crate) const KIND: &str = "tagger";

/// Architecture of a tagger: the `[tagger]` table of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaggerConfig {
    /// Units of each direction of the recurrent layers.
    pub hidden_dim: usize,
    /// Recurrent layers; 0: none, the scores are made of the embeddings.
    pub layers: usize,
    /// Whether the recurrent layers also read backward.
    #[serde(skip_serializing_if = "is_true")]
    pub bidirectional: bool,
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
    /// A CRF over the tags, else each word by itself.
    pub crf: bool,
    /// How spans are written as tags.
    pub scheme: Scheme,
    /// A linear layer between the embeddings and the recurrent layers.
    pub reprojection: bool,
    /// Its dimensions; left out: as many as the embeddings have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reprojection_dim: Option<usize>,
    /// Part of the words whose vector is zeroed in training.
    pub word_dropout: f32,
    /// Part of the features dropped in training, locked a sentence.
    pub locked_dropout: f32,
    /// Weight of a label's tokens in the loss; only without a CRF.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub class_weights: BTreeMap<String, f32>,
    /// The vectors that the tagger sees, side by side.
    pub embeddings: Vec<EmbeddingConfig>,
}

impl Default for TaggerConfig {
    fn default() -> Self {
        Self {
            hidden_dim: 256,
            layers: 1,
            bidirectional: true,
            cell: CellKind::Lstm,
            connection: ConnectionKind::None,
            layer_norm: false,
            learned_state: false,
            orthogonal: false,
            forget_bias: 0.0,
            crf: true,
            scheme: Scheme::Bioes,
            reprojection: true,
            reprojection_dim: None,
            word_dropout: 0.05,
            locked_dropout: 0.5,
            class_weights: BTreeMap::new(),
            embeddings: vec![
                EmbeddingConfig::Characters(CharactersConfig::default()),
                EmbeddingConfig::Words(WordsConfig::default()),
            ],
        }
    }
}

impl TaggerConfig {
    /// Dimensions of the layer between the embeddings, which have `dim`, and
    /// the recurrent layers, if there is one.
    pub(crate) fn reprojected(&self, dim: usize) -> Option<usize> {
        self.reprojection.then(|| self.reprojection_dim.unwrap_or(dim))
    }

    /// First values of the recurrent layers.
    pub(crate) fn first_values(&self) -> RnnInit {
        RnnInit { orthogonal: self.orthogonal, forget_bias: self.forget_bias }
    }

    pub(super) fn rnn(&self, input_dim: usize) -> RnnShape {
        RnnShape {
            cell: self.cell,
            input_dim,
            hidden_dim: self.hidden_dim,
            n_layers: self.layers,
            between: Between { connection: self.connection.into(), layer_norm: self.layer_norm },
            learned_state: self.learned_state,
            bidirectional: self.bidirectional,
        }
    }

    /// What is wrong with the values, if anything: key and reason.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        let part = || "must be at least 0 and below 1".to_owned();
        if !count(self.hidden_dim, MAX_DIM) {
            return Some(("tagger.hidden_dim", from_one(MAX_DIM)));
        }
        if !count(self.reprojection_dim.unwrap_or(1), MAX_DIM) {
            return Some(("tagger.reprojection_dim", from_one(MAX_DIM)));
        }
        if !self.reprojection && self.reprojection_dim.is_some() {
            return Some(("tagger.reprojection_dim", "needs `reprojection = true`".to_owned()));
        }
        if self.layers > MAX_PARTS {
            return Some(("tagger.layers", format!("must be 0 to {MAX_PARTS}")));
        }
        if let Some((key, reason)) = stack_problem(&self.rnn(1), self.first_values()) {
            return Some((
                key.of([
                    "tagger.connection",
                    "tagger.layer_norm",
                    "tagger.orthogonal",
                    "tagger.forget_bias",
                ]),
                reason,
            ));
        }
        if !share(self.word_dropout) {
            return Some(("tagger.word_dropout", part()));
        }
        if !share(self.locked_dropout) {
            return Some(("tagger.locked_dropout", part()));
        }
        if self.scheme == Scheme::Iob1 {
            return Some(("tagger.scheme", "must be `bioes` or `iob2`".to_owned()));
        }
        if self.crf && !self.class_weights.is_empty() {
            let reason = "needs `crf = false`: a CRF has no loss of single words to weigh";
            return Some(("tagger.class_weights", reason.to_owned()));
        }
        if self.class_weights.values().any(|w| !(*w >= 0.0 && w.is_finite())) {
            return Some(("tagger.class_weights", "must not be negative".to_owned()));
        }
        if !count(self.embeddings.len(), MAX_PARTS) {
            return Some(("tagger.embeddings", format!("must be 1 to {MAX_PARTS} in number")));
        }
        self.embeddings.iter().find_map(|embedding| match embedding {
            EmbeddingConfig::Characters(c) if !count(c.embedding_dim, MAX_DIM) => {
                Some(("tagger.embeddings.embedding_dim", from_one(MAX_DIM)))
            }
            EmbeddingConfig::Characters(c) if !count(c.hidden_dim, MAX_DIM) => {
                Some(("tagger.embeddings.hidden_dim", from_one(MAX_DIM)))
            }
            EmbeddingConfig::Characters(c) if !share(c.unknown) => {
                Some(("tagger.embeddings.unknown", part()))
            }
            EmbeddingConfig::Words(w) if !count(w.dim, MAX_DIM) => {
                Some(("tagger.embeddings.dim", from_one(MAX_DIM)))
            }
            EmbeddingConfig::Words(w)
                if w.subwords.is_some_and(|shape| shape.problem().is_some()) =>
            {
                w.subwords
                    .and_then(|shape| shape.problem())
                    .map(|reason| ("tagger.embeddings.subwords", reason))
            }
            EmbeddingConfig::Words(w) if w.max_vectors == Some(0) => {
                Some(("tagger.embeddings.max_vectors", "must be at least 1".to_owned()))
            }
            _ => None,
        })
    }
}

/// `config.json` of a tagger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaggerModel {
    pub(crate) kind: String,
    pub(crate) format: u64,
    /// Name of the annotation layer it writes.
    pub(crate) layer: String,
    /// Scheme of the tags if the layer is one of spans.
    pub(crate) scheme: Option<Scheme>,
    /// Tags in the order of the emission scores.
    pub(crate) labels: Vec<String>,
    /// Further layers, whose emission scores follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) further_layers: Vec<LayerModel>,
    /// How the weights are stored.
    pub(crate) precision: StoredPrecision,
    /// Number format it is computed with; left out: as they are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compute: Option<StoredPrecision>,
    /// What it computes otherwise, for it was made elsewhere.
    #[serde(default, skip_serializing_if = "Quirks::is_empty")]
    pub(crate) quirks: Quirks,
    pub(crate) tagger: TaggerConfig,
}

/// Name of the layer that a column is learnt as: without its `misc:`, in small letters.
pub(crate) fn layer_name(column: &str) -> String {
    column.trim_start_matches("misc:").to_lowercase()
}

/// One layer that a tagger writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayerModel {
    /// Name of the annotation layer.
    pub(crate) layer: String,
    /// Scheme of the tags if the layer is one of spans.
    pub(crate) scheme: Option<Scheme>,
    /// Tags in the order of the emission scores.
    pub(crate) labels: Vec<String>,
}

impl TaggerModel {
    /// All layers that it writes.
    pub(crate) fn layers(&self) -> impl Iterator<Item = LayerModel> {
        let (layer, labels) = (self.layer.clone(), self.labels.clone());
        let first = LayerModel { layer, scheme: self.scheme, labels };
        std::iter::once(first).chain(self.further_layers.iter().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound_and_wrong_values_are_named() {
        assert_eq!(TaggerConfig::default().problem(), None);
        let problem = |change: fn(&mut TaggerConfig)| {
            let mut config = TaggerConfig::default();
            change(&mut config);
            config.problem().map(|(key, _)| key)
        };
        assert_eq!(problem(|c| c.hidden_dim = 0), Some("tagger.hidden_dim"));
        assert_eq!(problem(|c| c.hidden_dim = usize::MAX / 2), Some("tagger.hidden_dim"));
        assert_eq!(problem(|c| c.locked_dropout = 1.0), Some("tagger.locked_dropout"));
        assert_eq!(problem(|c| c.word_dropout = f32::NAN), Some("tagger.word_dropout"));
        assert_eq!(problem(|c| c.scheme = Scheme::Iob1), Some("tagger.scheme"));
        assert_eq!(problem(|c| c.embeddings.clear()), Some("tagger.embeddings"));
        let weigh = |c: &mut TaggerConfig| c.class_weights = BTreeMap::from([("O".into(), 2.0)]);
        assert_eq!(problem(weigh), Some("tagger.class_weights"));
    }

    #[test]
    fn a_cell_goes_by_its_name() {
        let config: TaggerConfig = toml::from_str("cell = \"lstm\"").unwrap();
        assert_eq!(config.cell, CellKind::Lstm);
        let error = toml::from_str::<TaggerConfig>("cell = \"lstn\"").unwrap_err();
        for cell in CellKind::ALL {
            assert!(error.to_string().contains(cell.cell().spec().name), "{error}");
        }
    }
}

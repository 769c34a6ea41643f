//! What a translator is made of.

use glossator_hub::StoredPrecision;
use glossator_nn::{AttentionShape, Between, CellKind, RnnInit, RnnShape};
use serde::{Deserialize, Serialize};

use crate::limits::{
    ConnectionKind, MAX_DIM, MAX_PARTS, cell_name, cell_of_name, count, from_one, is_default,
    share, stack_problem,
};

/// Kind of the model in its `config.json`.
pub(crate) const KIND: &str = "translator";

/// Units of a vocabulary of subwords at least, and at most.
const VOCABULARY: std::ops::RangeInclusive<usize> = 300..=1 << 20;

/// How well a state of the decoder and one of the encoder fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttentionKind {
    /// `v · tanh(W s + U h)` (Bahdanau et al., 2015).
    Additive,
    /// `s · h`; the encoder's states must be as wide as the decoder's (Luong et
    /// al., 2015).
    Dot,
    /// `s · W h` (Luong et al., 2015).
    General,
    /// The same by the square root of the dimension (Vaswani et al., 2017).
    #[default]
    Scaled,
}

impl From<AttentionKind> for glossator_nn::AttentionKind {
    fn from(kind: AttentionKind) -> Self {
        match kind {
            AttentionKind::Additive => Self::Additive,
            AttentionKind::Dot => Self::Dot,
            AttentionKind::General => Self::General,
            AttentionKind::Scaled => Self::Scaled,
        }
    }
}

/// What the decoder begins with, behind a layer of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BridgeKind {
    /// The final states of the encoder's last layer (Sutskever et al., 2014).
    #[default]
    Last,
    /// The mean of the encoder's states (Sennrich et al., 2017).
    Mean,
    /// Zeros, without a layer.
    Zero,
}

/// Which tables of subword vectors are one (Press and Wolf, 2017).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TiedKind {
    /// Source, target and output.
    #[default]
    All,
    /// Target and output.
    Output,
    /// None.
    None,
}

/// What the best model of a training is chosen by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChooseBy {
    /// BLEU of greedy translations of the first 1000 development pairs.
    #[default]
    Bleu,
    /// How likely the given translations are.
    Likelihood,
}

/// Architecture of a translator: the `[translator]` table of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranslatorConfig {
    /// Dimensions of a subword's vector.
    pub embedding_dim: usize,
    /// Units of each decoder layer, and of each direction of the encoder's.
    pub hidden_dim: usize,
    /// Units of each direction of the encoder's layers, if they are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_dim: Option<usize>,
    /// The recurrent cell.
    #[serde(serialize_with = "cell_name", deserialize_with = "cell_of_name")]
    pub cell: CellKind,
    /// Layers of the encoder.
    pub encoder_layers: usize,
    /// Layers of the decoder below the attention.
    pub decoder_layers: usize,
    /// Layers of the decoder above the attention, which read its contexts.
    pub upper_layers: usize,
    /// How states are compared.
    pub attention: AttentionKind,
    /// Whether each step reads what the one before it put out (Luong et al.,
    /// 2015): slower to train.
    pub input_feeding: bool,
    /// What the decoder begins with.
    pub bridge: BridgeKind,
    /// Which tables of vectors are one.
    pub tied: TiedKind,
    /// How what a layer reads goes on beside what it computes.
    #[serde(skip_serializing_if = "is_default")]
    pub connection: ConnectionKind,
    /// Whether what a layer puts out is normalised before the next one reads it.
    #[serde(skip_serializing_if = "is_default")]
    pub layer_norm: bool,
    /// Training begins with orthogonal recurrent weights, else with uniform ones.
    pub orthogonal: bool,
    /// Added to the first bias of the gate that keeps the state.
    #[serde(skip_serializing_if = "is_default")]
    pub forget_bias: f32,
    /// Part of the features of embeddings and layers dropped in training, locked
    /// a sentence.
    pub dropout: f32,
    /// The same before the output layer.
    pub output_dropout: f32,
    /// Part of the subwords whose vector is zeroed in training.
    pub word_dropout: f32,
    /// Part of the target's mass that is spread over all subwords.
    pub label_smoothing: f32,
    /// Subwords of the longer side of a pair at most; longer pairs are left out
    /// of training.
    pub max_length: usize,
    /// What the best model is chosen by.
    pub choose_by: ChooseBy,
}

impl Default for TranslatorConfig {
    fn default() -> Self {
        Self {
            embedding_dim: 256,
            hidden_dim: 256,
            encoder_dim: None,
            cell: CellKind::Gru,
            encoder_layers: 1,
            decoder_layers: 1,
            upper_layers: 1,
            attention: AttentionKind::Scaled,
            input_feeding: false,
            bridge: BridgeKind::Last,
            tied: TiedKind::All,
            connection: ConnectionKind::None,
            layer_norm: false,
            orthogonal: true,
            forget_bias: 0.0,
            dropout: 0.3,
            output_dropout: 0.3,
            word_dropout: 0.1,
            label_smoothing: 0.1,
            max_length: 200,
            choose_by: ChooseBy::Bleu,
        }
    }
}

impl TranslatorConfig {
    fn stack(&self, input_dim: usize, hidden_dim: usize, n_layers: usize) -> RnnShape {
        // A single layer has nothing between layers.
        let is_deep = n_layers > 1;
        RnnShape {
            cell: self.cell,
            input_dim,
            hidden_dim,
            n_layers,
            between: if is_deep { self.between() } else { Between::default() },
            learned_state: false,
            bidirectional: false,
        }
    }

    fn between(&self) -> Between {
        Between { connection: self.connection.into(), layer_norm: self.layer_norm }
    }

    /// The encoder.
    pub(crate) fn encoder(&self) -> RnnShape {
        let dim = self.encoder_dim.unwrap_or(self.hidden_dim);
        let shape = self.stack(self.embedding_dim, dim, self.encoder_layers);
        RnnShape { bidirectional: true, ..shape }
    }

    /// The decoder below the attention.
    pub(crate) fn decoder(&self) -> RnnShape {
        let fed = if self.input_feeding { self.embedding_dim } else { 0 };
        self.stack(self.embedding_dim + fed, self.hidden_dim, self.decoder_layers)
    }

    /// The decoder above the attention, if there is one.
    pub(crate) fn upper(&self) -> Option<RnnShape> {
        let input = self.hidden_dim + self.context_dim();
        let shape = || self.stack(input, self.hidden_dim, self.upper_layers);
        (self.upper_layers > 0).then(shape)
    }

    /// Dimensions of a context.
    pub(crate) fn context_dim(&self) -> usize {
        self.encoder().output_dim()
    }

    /// Values of a first state of all the decoder's layers.
    pub(crate) fn bridge_dim(&self) -> usize {
        (self.decoder_layers + self.upper_layers) * self.state_dim()
    }

    /// Those of the layers below the attention, which come first.
    pub(crate) fn bridge_dim_below(&self) -> usize {
        self.decoder_layers * self.state_dim()
    }

    /// Values of a state of one layer of the decoder.
    fn state_dim(&self) -> usize {
        self.cell.cell().spec().states * self.hidden_dim
    }

    /// What the layer before the output reads: state, context and the vector of
    /// the subword before.
    pub(crate) fn readout_dim(&self) -> usize {
        self.hidden_dim + self.context_dim() + self.embedding_dim
    }

    /// How the decoder looks at the encoder's states.
    pub(crate) fn attention(&self) -> AttentionShape {
        let (query_dim, state_dim) = (self.hidden_dim, self.context_dim());
        AttentionShape { kind: self.attention.into(), query_dim, state_dim }
    }

    /// First values of the recurrent layers.
    pub(crate) fn first_values(&self) -> RnnInit {
        RnnInit { orthogonal: self.orthogonal, forget_bias: self.forget_bias }
    }

    /// What is wrong with the values, if anything: key and reason.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        let dims = [
            ("translator.embedding_dim", self.embedding_dim),
            ("translator.hidden_dim", self.hidden_dim),
            ("translator.encoder_dim", self.encoder_dim.unwrap_or(1)),
            ("translator.max_length", self.max_length),
        ];
        if let Some((key, _)) = dims.into_iter().find(|(_, dim)| !count(*dim, MAX_DIM)) {
            return Some((key, from_one(MAX_DIM)));
        }
        let layers = [
            ("translator.encoder_layers", self.encoder_layers),
            ("translator.decoder_layers", self.decoder_layers),
            ("translator.upper_layers", self.upper_layers.max(1)),
        ];
        if let Some((key, _)) = layers.into_iter().find(|(_, n)| !count(*n, MAX_PARTS)) {
            return Some((key, from_one(MAX_PARTS)));
        }
        let shares = [
            ("translator.dropout", self.dropout),
            ("translator.output_dropout", self.output_dropout),
            ("translator.word_dropout", self.word_dropout),
            ("translator.label_smoothing", self.label_smoothing),
        ];
        if let Some((key, _)) = shares.into_iter().find(|(_, part)| !share(*part)) {
            return Some((key, "must be at least 0 and below 1".to_owned()));
        }
        if self.attention == AttentionKind::Dot && self.context_dim() != self.hidden_dim {
            let reason = format!(
                "`dot` needs an encoder as wide as the decoder: set encoder_dim to half of \
                 hidden_dim ({})",
                self.hidden_dim
            );
            return Some(("translator.attention", reason));
        }
        let most = self.encoder_layers.max(self.decoder_layers).max(self.upper_layers);
        let deepest = RnnShape { n_layers: most, between: self.between(), ..self.encoder() };
        stack_problem(&deepest, self.first_values()).map(|(key, reason)| {
            let key = key.of([
                "translator.connection",
                "translator.layer_norm",
                "translator.orthogonal",
                "translator.forget_bias",
            ]);
            (key, reason)
        })
    }
}

/// How text becomes units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubwordKind {
    /// Byte pair encoding (Sennrich et al., 2016).
    #[default]
    Bpe,
    /// A unigram language model of subwords (Kudo, 2018).
    Unigram,
    /// Single characters.
    Characters,
}

/// The vocabulary: the `[subwords]` table of a configuration. It is learnt from
/// both sides of the training data together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubwordsConfig {
    /// How text becomes units.
    #[serde(rename = "type")]
    pub kind: SubwordKind,
    /// Units at most, 259 of which are always there; left out: 4000 for fewer
    /// than 50,000 pairs of sentences, 8000 for fewer than 500,000, else 16,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary_size: Option<usize>,
    /// Probability of each merge to be passed over in training (BPE dropout;
    /// Provilkov et al., 2020).
    pub dropout: f32,
}

impl SubwordsConfig {
    /// Units at most, for so many pairs of sentences.
    #[cfg(feature = "train")]
    pub(crate) fn size(&self, pairs: usize) -> usize {
        self.vocabulary_size.unwrap_or(match pairs {
            0..50_000 => 4000,
            50_000..500_000 => 8000,
            _ => 16_000,
        })
    }

    /// What is wrong with the values, if anything: key and reason.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        if self.vocabulary_size.is_some_and(|size| !VOCABULARY.contains(&size)) {
            let (least, most) = VOCABULARY.into_inner();
            return Some(("subwords.vocabulary_size", format!("must be {least} to {most}")));
        }
        if !share(self.dropout) {
            return Some(("subwords.dropout", "must be at least 0 and below 1".to_owned()));
        }
        let has_merges = self.kind == SubwordKind::Bpe;
        (self.dropout > 0.0 && !has_merges)
            .then(|| ("subwords.dropout", "needs `type = \"bpe\"`, which alone merges".to_owned()))
    }
}

/// `config.json` of a translator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TranslatorModel {
    pub(crate) kind: String,
    pub(crate) format: u64,
    /// How the weights are stored.
    pub(crate) precision: StoredPrecision,
    /// Number format it is computed with; left out: as they are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compute: Option<StoredPrecision>,
    pub(crate) translator: TranslatorConfig,
    pub(crate) subwords: SubwordsConfig,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound_and_wrong_values_are_named() {
        assert_eq!(TranslatorConfig::default().problem(), None);
        assert_eq!(SubwordsConfig::default().problem(), None);
        let problem = |change: fn(&mut TranslatorConfig)| {
            let mut config = TranslatorConfig::default();
            change(&mut config);
            config.problem().map(|(key, _)| key)
        };
        assert_eq!(problem(|c| c.hidden_dim = 0), Some("translator.hidden_dim"));
        assert_eq!(problem(|c| c.encoder_layers = 0), Some("translator.encoder_layers"));
        assert_eq!(problem(|c| c.upper_layers = 0), None);
        assert_eq!(problem(|c| c.label_smoothing = 1.0), Some("translator.label_smoothing"));
        assert_eq!(problem(|c| c.attention = AttentionKind::Dot), Some("translator.attention"));
        assert_eq!(problem(|c| c.layer_norm = true), Some("translator.layer_norm"));
        let deep = |c: &mut TranslatorConfig| (c.layer_norm, c.encoder_layers) = (true, 2);
        assert_eq!(problem(deep), None);
        let config = SubwordsConfig {
            kind: SubwordKind::Unigram,
            dropout: 0.1,
            ..SubwordsConfig::default()
        };
        assert_eq!(config.problem().unwrap().0, "subwords.dropout");
        let config = SubwordsConfig { vocabulary_size: Some(10), ..SubwordsConfig::default() };
        assert_eq!(config.problem().unwrap().0, "subwords.vocabulary_size");
    }
}

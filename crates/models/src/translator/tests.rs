//! A translator of random weights, and that both of its faces are one.

use glossator_hub::{FORMAT, StoredPrecision};
use glossator_nn::{CellKind, ParamSet, Precision, Rng, Weights};
use rayon::prelude::*;

use super::{
    AttentionKind, BridgeKind, KIND, SubwordKind, SubwordsConfig, TiedKind, Translator,
    TranslatorConfig, TranslatorModel,
    subwords::{END, Subwords},
    train::network::{Network, PairBatch},
};
use crate::limits::ConnectionKind;

fn subwords() -> Subwords {
    let config = SubwordsConfig { kind: SubwordKind::Characters, ..SubwordsConfig::default() };
    let lines = ["abcdefgh abcdefgh", "hgfedcba hgfedcba"];
    Subwords::learn(&config, 300, lines.par_iter().copied()).unwrap()
}

/// A network of random weights, and the translator of the same.
fn both(config: TranslatorConfig) -> (Network, Translator) {
    assert_eq!(config.problem(), None);
    let (mut params, subwords) = (ParamSet::new(), subwords());
    let rng = &mut Rng::new(4, "init", 0);
    let network = Network::new(&mut params, &config, subwords.len(), Precision::F32, rng).unwrap();
    // Not one of them is zero, and subwords differ in how likely they are.
    for name in params.tensors().map(|t| t.name.to_owned()).collect::<Vec<_>>() {
        let mut values = params.values(&name).unwrap();
        let by = if name.ends_with(".bias") { 0.5 } else { 0.1 };
        values.iter_mut().for_each(|value| *value = 2.0 * *value + by * rng.normal());
        if name == "output.bias" {
            values[END as usize] += 2.0;
        }
        params.set_values(&name, &values).unwrap();
    }
    let model = TranslatorModel {
        kind: KIND.to_owned(),
        format: FORMAT,
        precision: StoredPrecision::F32,
        compute: None,
        translator: config,
        subwords: SubwordsConfig::default(),
    };
    let weights = Weights::from_params(&params).unwrap();
    let translator =
        Translator::from_weights("random", model, subwords, weights, Precision::F32).unwrap();
    (network, translator)
}

fn small() -> TranslatorConfig {
    TranslatorConfig {
        embedding_dim: 12,
        hidden_dim: 16,
        dropout: 0.0,
        output_dropout: 0.0,
        word_dropout: 0.0,
        label_smoothing: 0.0,
        ..TranslatorConfig::default()
    }
}

/// A translator of random weights.
pub(super) fn translator(input_feeding: bool) -> Translator {
    both(TranslatorConfig { input_feeding, ..small() }).1
}

#[test]
fn a_loss_in_training_is_the_score_of_the_same_pairs() {
    let configs = [
        small(),
        TranslatorConfig { input_feeding: true, cell: CellKind::Lstm, ..small() },
        TranslatorConfig { attention: AttentionKind::Additive, tied: TiedKind::None, ..small() },
        TranslatorConfig {
            attention: AttentionKind::Dot,
            encoder_dim: Some(8),
            upper_layers: 0,
            ..small()
        },
        TranslatorConfig {
            cell: CellKind::Lstm,
            bridge: BridgeKind::Mean,
            encoder_layers: 2,
            decoder_layers: 2,
            upper_layers: 2,
            connection: ConnectionKind::Residual,
            layer_norm: true,
            tied: TiedKind::Output,
            ..small()
        },
        TranslatorConfig { bridge: BridgeKind::Zero, input_feeding: true, ..small() },
    ];
    let pairs = [("abc", "cba a"), ("h", "hh"), ("fed cab", "a"), ("g", "bac def gah")];
    for config in configs {
        let (network, translator) = both(config.clone());
        let mut batch = PairBatch::default();
        for (source, target) in pairs {
            let encode = |text| translator.subwords.encode(text);
            batch.push(&encode(source), &encode(target));
        }
        let loss = network.loss(&batch, &mut Rng::new(1, "step", 0)).unwrap();
        let loss = f64::from(loss.to_scalar::<f32>().unwrap());
        let (sources, targets): (Vec<&str>, Vec<&str>) = pairs.into_iter().unzip();
        let score = translator.score_pairs(&sources, &targets).unwrap();
        assert_eq!(score.subwords, batch.targets());
        assert!((score.nats / loss - 1.0).abs() < 1e-5, "{config:?}: {} {loss}", score.nats);
    }
}

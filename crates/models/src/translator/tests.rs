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
    let (network, translator, _) = with_params(config);
    (network, translator)
}

fn with_params(config: TranslatorConfig) -> (Network, Translator, ParamSet) {
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
    (network, translator, params)
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

/// One of every part.
fn configs() -> Vec<TranslatorConfig> {
    vec![
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
    ]
}

const PAIRS: [(&str, &str); 4] =
    [("abc", "cba a"), ("h", "hh"), ("fed cab", "a"), ("g", "bac def gah")];

/// Pairs as ids.
fn batch(translator: &Translator) -> PairBatch {
    let mut batch = PairBatch::default();
    for (source, target) in PAIRS {
        let encode = |text| translator.subwords.encode(text);
        batch.push(&encode(source), &encode(target));
    }
    batch
}

#[test]
fn a_loss_in_training_is_the_score_of_the_same_pairs() {
    for config in configs() {
        let (network, translator) = both(config.clone());
        let batch = batch(&translator);
        let loss = network.loss(&batch, &mut Rng::new(1, "step", 0)).unwrap();
        let loss = f64::from(loss.to_scalar::<f32>().unwrap());
        let (sources, targets): (Vec<&str>, Vec<&str>) = PAIRS.into_iter().unzip();
        let score = translator.score_pairs(&sources, &targets).unwrap();
        assert_eq!(score.subwords, batch.targets());
        assert!((score.nats / loss - 1.0).abs() < 1e-5, "{config:?}: {} {loss}", score.nats);
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for config in configs() {
        // The same chance each time.
        let config = TranslatorConfig { dropout: 0.2, label_smoothing: 0.1, ..config };
        let (network, translator, params) = with_params(config.clone());
        let batch = batch(&translator);
        let loss = || network.loss(&batch, &mut Rng::new(1, "step", 0)).unwrap();
        let store = loss().backward().unwrap();
        let value = || f64::from(loss().to_scalar::<f32>().unwrap());
        for param in params.iter() {
            let gradient = store.get(&param.var).unwrap_or_else(|| panic!("{}", param.name));
            let gradient: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            let kept: Vec<f32> = param.var.flatten_all().unwrap().to_vec1().unwrap();
            // A step along the gradient, that changes the loss by little.
            let step = (0.02 / norm.max(1.0)).min(0.05 / (norm * norm).max(1e-9));
            let moved = |by: f64| {
                let values = kept.iter().zip(&gradient);
                let values: Vec<f32> =
                    values.map(|(v, g)| v + (by * f64::from(*g)) as f32).collect();
                let tensor =
                    candle_core::Tensor::from_vec(values, param.var.shape(), param.var.device());
                param.var.set(&tensor.unwrap()).unwrap();
                value()
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            moved(0.0);
            let want = norm * norm;
            assert!(
                (slope - want).abs() < 0.02 * want + 0.02,
                "{} of {config:?}: {slope}, not {want}",
                param.name
            );
        }
    }
}

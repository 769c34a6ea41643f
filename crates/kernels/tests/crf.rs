//! The CRF against brute force over all sequences, made by a script.

use std::{collections::HashMap, path::Path};

use candle_core::{Device, Tensor, Var};
use glossator_kernels::{
    crf::{Crf, Mask, gradient},
    op,
};

struct Golden {
    floats: HashMap<String, Vec<f64>>,
    whole: HashMap<String, Vec<usize>>,
}

impl Golden {
    fn read() -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/crf.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let (mut floats, mut whole) = (HashMap::new(), HashMap::new());
        for (name, view) in safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let eight = view.data().chunks(8).map(|b| b.try_into().unwrap());
            if view.dtype() == safetensors::Dtype::F64 {
                floats.insert(name, eight.map(f64::from_le_bytes).collect());
            } else {
                whole.insert(name, eight.map(|b| i64::from_le_bytes(b) as usize).collect());
            }
        }
        Self { floats, whole }
    }

    fn narrow(&self, name: &str) -> Vec<f32> {
        self.floats[name].iter().map(|&v| v as f32).collect()
    }

    fn scores(&self) -> Vec<f32> {
        ["transitions", "start", "end"].map(|name| self.narrow(name)).concat()
    }

    /// First token and number of tokens of each sentence.
    fn sentences(&self) -> Vec<(usize, usize)> {
        let mut first = 0;
        let next = |&len: &usize| {
            first += len;
            (first - len, len)
        };
        self.whole["lengths"].iter().map(next).collect()
    }
}

fn close(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-5 * want.abs().max(1.0), "{got} is not {want}");
}

#[test]
fn equals_brute_force() {
    let golden = Golden::read();
    let crf = Crf::new(&golden.scores(), &Mask::all(4)).unwrap();
    let (emissions, gold) = (golden.narrow("emissions"), &golden.whole["gold"]);
    let mut transitions = vec![0.0; 24];
    for (s, (first, len)) in golden.sentences().into_iter().enumerate() {
        let e = &emissions[first * 4..(first + len) * 4];
        let gold = &gold[first..first + len];
        let posterior = crf.posterior(e).unwrap();
        close(posterior.log_z(), golden.floats["log_z"][s]);
        close(crf.score(e, gold).unwrap(), golden.floats["gold_score"][s]);
        let (path, score) = crf.viterbi(e).unwrap();
        assert_eq!(path, golden.whole["viterbi"][first..first + len]);
        close(score, golden.floats["viterbi_score"][s]);
        close(crf.score(e, &path).unwrap(), score);
        let gradient = gradient(&crf, e, gold).unwrap();
        for at in 0..len * 4 {
            close(posterior.marginal(at / 4, at % 4), golden.floats["marginals"][first * 4 + at]);
            let want = golden.floats["grad.emissions"][first * 4 + at];
            close(f64::from(gradient.emissions[at]), want);
        }
        transitions.iter_mut().zip(&gradient.transitions).for_each(|(sum, d)| *sum += d);
    }
    let want =
        ["grad.transitions", "grad.start", "grad.end"].map(|name| golden.floats[name].clone());
    for (got, want) in transitions.into_iter().zip(want.concat()) {
        close(got, want);
    }
}

#[test]
fn the_operation_adds_up_sentences_and_their_gradients() {
    let golden = Golden::read();
    let tensor = |values: Vec<f32>, rows| {
        Var::from_tensor(&Tensor::from_vec(values, (rows, 4), &Device::Cpu).unwrap()).unwrap()
    };
    let emissions = tensor(golden.narrow("emissions"), 15);
    let scores = tensor(golden.scores(), 6);
    let (lengths, gold) = (&golden.whole["lengths"], &golden.whole["gold"]);
    let loss = op::crf_loss(&emissions, &scores, &Mask::all(4), lengths, gold).unwrap();
    close(f64::from(loss.to_scalar::<f32>().unwrap()), golden.floats["nll"][0]);
    let store = (loss * 3.0).unwrap().backward().unwrap();
    let got = store.get(&emissions).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (got, want) in got.into_iter().zip(&golden.floats["grad.emissions"]) {
        close(f64::from(got), 3.0 * want);
    }
    assert!(store.get(&scores).is_some());
}

/// All sequences of `len` tags out of `n`.
fn sequences(n: usize, len: usize) -> Vec<Vec<usize>> {
    let digits = |i: usize| (0..len).map(|t| i / n.pow(t as u32) % n).collect();
    (0..n.pow(len as u32)).map(digits).collect()
}

#[test]
fn masked_spans_equal_enumeration() {
    // Tags O, B, I: an I follows a B or an I only.
    let mask = Mask::new(3, |from, to| to != Some(2) || matches!(from, Some(1 | 2)));
    let scores: Vec<f32> = (0..15).map(|i| ((i * 7 % 11) as f32 - 5.0) / 3.0).collect();
    let crf = Crf::new(&scores, &mask).unwrap();
    let emissions: Vec<f32> = (0..12).map(|i| ((i * 5 % 13) as f32 - 6.0) / 2.0).collect();
    let posterior = crf.posterior(&emissions).unwrap();
    let probability =
        |tags: &[usize]| (crf.score(&emissions, tags).unwrap() - posterior.log_z()).exp();
    let all = sequences(3, 4);
    close(all.iter().map(|tags| probability(tags)).sum(), 1.0);
    for first in 0..4 {
        for len in 1..=4 - first {
            let span: Vec<usize> = (0..len).map(|t| if t == 0 { 1 } else { 2 }).collect();
            let ends = |tags: &[usize]| tags.get(first + len) != Some(&2);
            let has = |tags: &&Vec<usize>| tags[first..first + len] == span && ends(tags);
            let want = all.iter().filter(has).map(|tags| probability(tags)).sum();
            close(posterior.span(first, &span, |tag| tag == 2), want);
        }
    }
    let best = all.iter().max_by(|a, b| probability(a).total_cmp(&probability(b))).unwrap();
    assert_eq!(&crf.viterbi(&emissions).unwrap().0, best);
}

#[test]
fn a_mountain_of_a_forbidden_score_does_not_hide_the_allowed_ones() {
    let mask = Mask::new(2, |_, to| to != Some(1));
    let crf = Crf::new(&[0.0; 8], &mask).unwrap();
    let posterior = crf.posterior(&[0.0, 5000.0, 1.0, 5000.0]).unwrap();
    close(posterior.log_z(), 1.0);
    close(posterior.marginal(1, 0), 1.0);
    assert!(gradient(&crf, &[0.0; 4], &[0, 1]).is_err());
}

#[test]
fn the_loss_of_a_diverged_model_is_not_a_number_rather_than_a_forbidden_sequence() {
    let scores = |value: f32| Tensor::full(value, (2, 3), &Device::Cpu).unwrap();
    let transitions = Tensor::zeros((5, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
    let loss = |emissions: Tensor| {
        let loss = op::crf_loss(&emissions, &transitions, &Mask::all(3), &[2], &[0, 1]).unwrap();
        loss.to_scalar::<f32>().unwrap()
    };
    assert!(loss(scores(f32::INFINITY)).is_nan());
    assert!(loss(scores(f32::NAN)).is_nan());
    assert!(loss(scores(1e30)).is_finite());
}

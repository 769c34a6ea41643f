//! The CRF against brute force over all sequences, made by a script.

use std::{collections::HashMap, path::Path};

use candle_core::{Device, Tensor, Var};
use glossator_kernels::{
    Error,
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

    fn transition_gradient(&self) -> Vec<f64> {
        let parts = ["grad.transitions", "grad.start", "grad.end"];
        let parts = parts.map(|name| &self.floats[name][..]).concat();
        assert_eq!(parts.len(), 24);
        parts
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
    for (got, want) in transitions.into_iter().zip(golden.transition_gradient()) {
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
    let got = store.get(&scores).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (got, want) in got.into_iter().zip(golden.transition_gradient()) {
        close(f64::from(got), 3.0 * want);
    }
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

/// Compares everything with an enumeration of all sequences in the log domain.
fn equals_enumeration(mask: &Mask, scores: &[f32], emissions: &[f32]) {
    let n = mask.n_tags();
    let tokens = emissions.len() / n;
    let crf = Crf::new(scores, mask).unwrap();
    let mut all: Vec<(Vec<usize>, f64)> = sequences(n, tokens)
        .into_iter()
        .map(|tags| (crf.score(emissions, &tags).unwrap(), tags))
        .filter(|(score, _)| score.is_finite())
        .map(|(score, tags)| (tags, score))
        .collect();
    let top = all.iter().map(|(_, score)| *score).fold(f64::NEG_INFINITY, f64::max);
    let log_z = top + all.iter().map(|(_, score)| (score - top).exp()).sum::<f64>().ln();
    all.iter_mut().for_each(|(_, score)| *score = (*score - log_z).exp());
    let sum = |has: &dyn Fn(&[usize]) -> bool| -> f64 {
        all.iter().filter(|(tags, _)| has(tags)).map(|(_, p)| p).sum()
    };
    let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-9, "{got} is not {want}");

    let posterior = crf.posterior(emissions).unwrap();
    near(posterior.log_z(), log_z);
    for at in 0..tokens * n {
        near(posterior.marginal(at / n, at % n), sum(&|tags| tags[at / n] == at % n));
    }
    for first in 0..tokens {
        for len in 1..=(tokens - first).min(2) {
            for span in sequences(n, len) {
                let ends = |tags: &[usize]| tags.get(first + len) != Some(&(n - 1));
                let want = sum(&|tags| tags[first..first + len] == span && ends(tags));
                near(posterior.span(first, &span, |tag| tag == n - 1), want);
            }
        }
    }
    for (gold, p) in &all {
        let got = gradient(&crf, emissions, gold).unwrap();
        near(got.loss, log_z - crf.score(emissions, gold).unwrap());
        if *p > 0.0 {
            near(got.loss, -p.ln());
        }
        for at in 0..tokens * n {
            let tag = |tags: &[usize]| tags[at / n] == at % n;
            let want = sum(&tag) - f64::from(u8::from(tag(gold)));
            assert!((f64::from(got.emissions[at]) - want).abs() < 1e-6);
        }
        for (at, &got) in got.transitions.iter().enumerate() {
            let (from, to) = (at / n, at % n);
            let count = |tags: &[usize]| match from.checked_sub(n) {
                None => tags.windows(2).filter(|pair| *pair == [from, to]).count(),
                Some(0) => usize::from(tags[0] == to),
                Some(_) => usize::from(tags[tokens - 1] == to),
            } as f64;
            let expected: f64 = all.iter().map(|(tags, p)| p * count(tags)).sum();
            near(got, expected - count(gold));
        }
    }
}

/// Tags O, B, I, E, S of one class.
fn bioes() -> Mask {
    Mask::new(5, |from, to| {
        let open = matches!(from, Some(1 | 2));
        matches!(to, Some(2 | 3)) == open
    })
}

#[test]
fn a_mountain_before_a_forbidden_end_leaves_the_rest_exact() {
    let scores: Vec<f32> = (0..35).map(|i| (i * 7 % 11) as f32 / 5.0).collect();
    equals_enumeration(&bioes(), &scores, &[0.0, 1000.0, 0.0, 0.0, 0.0]);
    // The same after a token, and one that could go on but for the end.
    let emissions = [0.5, 0.1, 0.2, 0.3, 0.4, 0.0, 1000.0, 900.0, 0.0, -3.0];
    equals_enumeration(&bioes(), &scores, &emissions);
    // Underflow that leaves a little: both ends are allowed.
    let mut scores = [0.0; 8];
    scores[6..].copy_from_slice(&[0.0, -1400.0]);
    equals_enumeration(&Mask::all(2), &scores, &[0.0, 700.0]);
}

#[test]
fn a_mountain_that_leads_nowhere_leaves_the_rest_exact() {
    let scores: Vec<f32> = (0..35).map(|i| (i * 5 % 9) as f32 / 4.0).collect();
    // Nothing may follow the first tag: its mass ends at the first token.
    let mask = Mask::new(5, |from, to| from != Some(0) || to.is_none());
    let emissions: Vec<f32> = (0..15).map(|i| if i == 0 { 1000.0 } else { i as f32 }).collect();
    equals_enumeration(&mask, &scores, &emissions);
    // The unlikely B is the only way to the I that outweighs everything after.
    let emissions =
        [0.0, -1000.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2000.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    equals_enumeration(&bioes(), &scores, &emissions);
}

#[test]
fn transition_scores_2000_nats_apart_are_exact() {
    let scores: Vec<f32> = (0..15).map(|i| [1000.0, -1000.0, 999.0, -3.0][i * i % 7 % 4]).collect();
    let emissions: Vec<f32> = (0..12).map(|i| (i * 5 % 13) as f32 / 3.0).collect();
    equals_enumeration(&Mask::all(3), &scores, &emissions);
    let mask = Mask::new(3, |from, to| from != Some(1) || to != Some(1));
    equals_enumeration(&mask, &scores, &emissions);
    equals_enumeration(&mask, &scores, &emissions[..3]);
    // The better start has the worse way on: both make up for it.
    let scores = [-1000.0, -1000.0, -1000.0, 1000.0, 1000.0, -1000.0, 0.0, 0.5];
    equals_enumeration(&Mask::all(2), &scores, &[0.1, 0.2, 0.3, 0.4]);
    equals_enumeration(&Mask::all(2), &scores, &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
}

#[test]
fn forbidding_everything_and_scores_that_are_not_finite_are_different_errors() {
    let none = Crf::new(&[0.0; 8], &Mask::new(2, |_, to| to.is_some())).unwrap();
    assert!(matches!(none.posterior(&[0.0; 4]), Err(Error::Forbidden { .. })));
    let stuck = Crf::new(&[0.0; 8], &Mask::new(2, |from, _| from.is_none())).unwrap();
    assert!(matches!(stuck.posterior(&[0.0; 4]), Err(Error::Forbidden { .. })));
    let crf = Crf::new(&[0.0; 8], &Mask::all(2)).unwrap();
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let emissions = [0.0, 0.0, wrong, 0.0];
        let refused = |error| matches!(error, Some(Error::NotFinite { index: 2, .. }));
        assert!(refused(crf.posterior(&emissions).err()));
        assert!(refused(crf.viterbi(&emissions).err()));
        assert!(refused(gradient(&crf, &emissions, &[0, 0]).err()));
        let scores = [0.0, 0.0, wrong, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert!(refused(Crf::new(&scores, &Mask::all(2)).err()));
        // What the mask forbids is not looked at.
        assert!(
            Crf::new(&scores, &Mask::new(2, |from, to| (from, to) != (Some(1), Some(0)))).is_ok()
        );
    }
}

#[test]
fn many_sentences_add_up_as_one_by_one() {
    // So many tags that not all sentences are held at once.
    let (n, lengths) = (300, [2; 13]);
    let value = |i: usize| (i * 7919 % 2003) as f32 / 1001.0 - 1.0;
    let scores: Vec<f32> = (0..(n + 2) * n).map(value).collect();
    let emissions: Vec<f32> = (0..26 * n).map(value).collect();
    let gold: Vec<usize> = (0..26).map(|t| t * 31 % n).collect();
    let tensor = |values: &[f32], rows| {
        Var::from_tensor(&Tensor::from_slice(values, (rows, n), &Device::Cpu).unwrap()).unwrap()
    };
    let (e, s) = (tensor(&emissions, 26), tensor(&scores, n + 2));
    let loss = op::crf_loss(&e, &s, &Mask::all(n), &lengths, &gold).unwrap();
    let store = loss.backward().unwrap();
    let got = |var: &Var| store.get(var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();

    let crf = Crf::new(&scores, &Mask::all(n)).unwrap();
    let (mut want, mut of_emissions, mut sum) = (0.0, Vec::new(), vec![0.0; scores.len()]);
    for (e, gold) in emissions.chunks(2 * n).zip(gold.chunks(2)) {
        let one = gradient(&crf, e, gold).unwrap();
        want += one.loss;
        of_emissions.extend(one.emissions);
        sum.iter_mut().zip(one.transitions).for_each(|(sum, d)| *sum += d);
    }
    assert_eq!(loss.to_scalar::<f32>().unwrap(), want as f32);
    assert_eq!(got(&e), of_emissions);
    assert_eq!(got(&s), sum.into_iter().map(|d| d as f32).collect::<Vec<_>>());
}

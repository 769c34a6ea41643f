//! Attention and output losses against plain loops in `f64` and their finite
//! differences.

mod common;

use candle_core::{Device, Tensor, Var};
use common::{close, values, wide};
use glossator_kernels::{
    attention::{self, Score},
    gemm::Precision,
    op::{self, AttentionScore},
};

fn var(values: &[f32], shape: &[usize]) -> Var {
    Var::from_tensor(&Tensor::from_slice(values, shape, &Device::Cpu).unwrap()).unwrap()
}

fn plain(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

const QUERIES: [usize; 4] = [3, 1, 0, 2];
const KEYS: [usize; 4] = [2, 5, 1, 1];

/// Contexts of all queries in plain loops; `vector` is empty for inner products.
fn reference(args: &[Vec<f64>; 4], dim: usize, width: usize, factor: f64) -> Vec<f64> {
    let [queries, keys, vector, values] = args;
    let (mut q0, mut k0, mut out) = (0, 0, Vec::new());
    for (m, n) in QUERIES.into_iter().zip(KEYS) {
        for q in q0..q0 + m {
            let query = &queries[q * dim..(q + 1) * dim];
            let scores: Vec<f64> = (k0..k0 + n)
                .map(|k| {
                    let pairs = query.iter().zip(&keys[k * dim..(k + 1) * dim]);
                    match vector.is_empty() {
                        true => factor * pairs.map(|(q, k)| q * k).sum::<f64>(),
                        false => pairs.zip(vector).map(|((q, k), v)| v * (q + k).tanh()).sum(),
                    }
                })
                .collect();
            let sum: f64 = scores.iter().map(|s| s.exp()).sum();
            for column in 0..width {
                let value = |k: usize| values[(k0 + k) * width + column];
                out.push(scores.iter().enumerate().map(|(k, s)| s.exp() / sum * value(k)).sum());
            }
        }
        (q0, k0) = (q0 + m, k0 + n);
    }
    out
}

/// Compares gradients with finite differences of a scalar function in `f64`.
fn check_gradients(args: &mut [Vec<f64>], got: &[Vec<f32>], loss: impl Fn(&[Vec<f64>]) -> f64) {
    for which in 0..args.len() {
        assert_eq!(got[which].len(), args[which].len());
        for i in 0..args[which].len() {
            let kept = args[which][i];
            args[which][i] = kept + 1e-4;
            let up = loss(args);
            args[which][i] = kept - 1e-4;
            let down = loss(args);
            args[which][i] = kept;
            close("gradient", &got[which][i..=i], &[(up - down) / 2e-4], 2e-5);
        }
    }
}

#[test]
fn attention_equals_plain_loops_and_their_finite_differences() {
    for (dim, width, additive) in [(1, 1, false), (20, 3, false), (20, 33, true), (7, 2, true)] {
        let (m, n) = (QUERIES.iter().sum::<usize>(), KEYS.iter().sum::<usize>());
        let factor = 0.7;
        let vector = values(if additive { dim } else { 0 }, 3);
        let args = [values(m * dim, 1), values(n * dim, 2), vector, values(n * width, 4)];
        let vars = [
            var(&args[0], &[m, dim]),
            var(&args[1], &[n, dim]),
            var(&args[2], &[args[2].len()]),
            var(&args[3], &[n, width]),
        ];
        let score = match additive {
            true => AttentionScore::Additive(&vars[2]),
            false => AttentionScore::Dot(factor),
        };
        let weights = op::attention_weights(score, &vars[0], &vars[1], &QUERIES, &KEYS).unwrap();
        let out = op::attention_context(&weights, &vars[3], &QUERIES, &KEYS).unwrap();
        let mut wide_args = args.each_ref().map(|values| wide(values));
        let forward = |p: &[Vec<f64>; 4]| reference(p, dim, width, f64::from(factor));
        close("context", &plain(&out), &forward(&wide_args), 1e-5);

        let upstream = values(m * width, 5);
        let dy = Tensor::from_slice(&upstream, (m, width), &Device::Cpu).unwrap();
        let store = (out * dy).unwrap().sum_all().unwrap().backward().unwrap();
        let got: Vec<Vec<f32>> =
            vars.iter().map(|var| store.get(var).map_or_else(Vec::new, plain)).collect();
        let loss = |p: &[Vec<f64>]| -> f64 {
            let p: &[Vec<f64>; 4] = p.try_into().unwrap();
            forward(p).iter().zip(&upstream).map(|(y, &d)| y * f64::from(d)).sum()
        };
        check_gradients(&mut wide_args, &got, loss);
    }
}

#[test]
fn a_query_has_the_same_bits_alone_and_in_a_batch() {
    let (dim, m, n) = (37, 9, 11);
    let (queries, keys, vector) = (values(m * dim, 1), values(n * dim, 2), values(dim, 3));
    for score in [Score::Dot(0.3), Score::Additive(&vector)] {
        let mut all = vec![0.0; m * n];
        attention::weights(score, &queries, &keys, dim, &mut all);
        let mut contexts = vec![0.0; m * dim];
        attention::context(&all, &keys, dim, &mut contexts);
        for (i, query) in queries.chunks(dim).enumerate() {
            let (mut one, mut context) = (vec![0.0; n], vec![0.0; dim]);
            attention::weights(score, query, &keys, dim, &mut one);
            attention::context(&one, &keys, dim, &mut context);
            assert_eq!(one, all[i * n..(i + 1) * n]);
            assert_eq!(context, contexts[i * dim..(i + 1) * dim]);
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let rows = var(&values(12, 1), &[4, 3]);
    let weights = |queries: &[usize], keys: &[usize]| {
        op::attention_weights(AttentionScore::Dot(1.0), &rows, &rows, queries, keys)
    };
    assert!(weights(&[4], &[4]).is_ok());
    assert!(weights(&[3], &[4]).is_err() && weights(&[4], &[2, 2]).is_err());
    let short = var(&[1.0], &[1]);
    let additive = AttentionScore::Additive(&short);
    assert!(op::attention_weights(additive, &rows, &rows, &[4], &[4]).is_err());
    assert!(op::attention_context(&short, &rows, &[4], &[4]).is_err());
    let (bias, precision) = (var(&[0.0; 4], &[4]), Precision::F32);
    for gold in [vec![0; 3], vec![4; 4]] {
        assert!(op::output_loss(&rows, &rows, &bias, gold, 0.1, precision).is_err());
    }
}

/// Smoothed loss of an output layer in plain loops.
fn output_loss(args: &[Vec<f64>], gold: &[u32], k: usize, smoothing: f64) -> f64 {
    let (n, mut loss) = (args[2].len(), 0.0);
    for (x, &gold) in args[0].chunks(k).zip(gold) {
        let dot = |w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
        let scores: Vec<f64> =
            args[1].chunks(k).zip(&args[2]).map(|(w, bias)| dot(w) + bias).collect();
        let log_sum = scores.iter().map(|s| s.exp()).sum::<f64>().ln();
        let mean = scores.iter().sum::<f64>() / n as f64;
        loss += log_sum - (1.0 - smoothing) * scores[gold as usize] - smoothing * mean;
    }
    loss
}

#[test]
fn output_losses_equal_plain_loops_and_their_finite_differences() {
    for (rows, k, n, smoothing) in [(1, 1, 1, 0.0), (5, 7, 40, 0.0), (6, 20, 19, 0.1)] {
        let args = [values(rows * k, 1), values(n * k, 2), values(n, 3)];
        let gold: Vec<u32> = (0..rows as u32).map(|row| row * 7 % n as u32).collect();
        let vars = [var(&args[0], &[rows, k]), var(&args[1], &[n, k]), var(&args[2], &[n])];
        let [x, weight, bias] = &vars;
        let precision = Precision::F32;
        let loss = op::output_loss(x, weight, bias, gold.clone(), smoothing, precision).unwrap();
        let mut args: Vec<Vec<f64>> = args.iter().map(|values| wide(values)).collect();
        let of = |args: &[Vec<f64>]| output_loss(args, &gold, k, f64::from(smoothing));
        close("loss", &[loss.to_scalar::<f32>().unwrap()], &[of(&args)], 1e-5);
        let store = (loss * 0.5).unwrap().backward().unwrap();
        let got: Vec<Vec<f32>> = vars.iter().map(|var| plain(store.get(var).unwrap())).collect();
        check_gradients(&mut args, &got, |args| 0.5 * of(args));
    }
}

#[test]
fn output_losses_of_many_rows_are_those_of_their_parts() {
    let (rows, k, n) = (2100, 8, 33);
    let args = [values(rows * k, 1), values(n * k, 2), values(n, 3)];
    let gold: Vec<u32> = (0..rows as u32).map(|row| row % n as u32).collect();
    let grads = |from: usize, to: usize| {
        let x = var(&args[0][from * k..to * k], &[to - from, k]);
        let (weight, bias) = (var(&args[1], &[n, k]), var(&args[2], &[n]));
        let gold = gold[from..to].to_vec();
        let loss = op::output_loss(&x, &weight, &bias, gold, 0.1, Precision::F32).unwrap();
        let store = loss.backward().unwrap();
        let gradients = [&x, &weight, &bias].map(|var| plain(store.get(var).unwrap()));
        (loss.to_scalar::<f32>().unwrap(), gradients)
    };
    let (loss, [dx, dw, db]) = grads(0, rows);
    let (first, [dx1, dw1, db1]) = grads(0, 1000);
    let (second, [dx2, dw2, db2]) = grads(1000, rows);
    let sum = |a: &[f32], b: &[f32]| -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) + f64::from(*b)).collect()
    };
    close("loss", &[loss], &sum(&[first], &[second]), 1e-5);
    assert_eq!(dx, [dx1, dx2].concat());
    close("weight", &dw, &sum(&dw1, &dw2), 1e-4);
    close("bias", &db, &sum(&db1, &db2), 1e-4);
}

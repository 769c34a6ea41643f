//! The operations for Candle against plain loops and the kernels they wrap.

mod common;

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use common::{close, values, wide};
use glossator_kernels::{
    Direction, Isa, Schedule,
    cells::{Batch, CellKind, Precision, Upstream, Weights},
    op,
};

fn var(values: &[f32], shape: &[usize]) -> Var {
    Var::from_tensor(&Tensor::from_slice(values, shape, &Device::Cpu).unwrap()).unwrap()
}

fn plain(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// `x W^T + b` for `x` `[_, k]`.
fn affine(x: &[f64], weight: &[f64], bias: &[f64], k: usize) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    x.chunks(k).flat_map(|x| weight.chunks(k).zip(bias).map(move |(w, b)| dot(x, w) + b)).collect()
}

#[test]
fn linear_equals_plain_loops_and_their_finite_differences() {
    for (rows, k, n) in [(1, 1, 1), (4, 7, 5), (9, 20, 70)] {
        let args = [values(rows * k, 1), values(n * k, 2), values(n, 3)];
        let upstream = values(rows * n, 4);
        let (x, weight) = (var(&args[0], &[rows, k]), var(&args[1], &[n, k]));
        let bias = var(&args[2], &[n]);
        let out = op::linear(&x, &weight, &bias).unwrap();
        let mut places = args.each_ref().map(|values| wide(values));
        let forward = |p: &[Vec<f64>; 3]| affine(&p[0], &p[1], &p[2], k);
        close("output", &plain(&out), &forward(&places), 1e-5);

        let dy = Tensor::from_slice(&upstream, (rows, n), &Device::Cpu).unwrap();
        let store = (out * dy).unwrap().sum_all().unwrap().backward().unwrap();
        let loss = |p: &[Vec<f64>; 3]| {
            forward(p).iter().zip(&upstream).map(|(y, &d)| y * f64::from(d)).sum::<f64>()
        };
        for (which, var) in [&x, &weight, &bias].into_iter().enumerate() {
            let got = plain(store.get(var).unwrap());
            assert_eq!(got.len(), places[which].len());
            for i in 0..got.len() {
                let kept = places[which][i];
                places[which][i] = kept + 1e-3;
                let up = loss(&places);
                places[which][i] = kept - 1e-3;
                let down = loss(&places);
                places[which][i] = kept;
                close("gradient", &got[i..=i], &[(up - down) / 2e-3], 1e-5);
            }
        }
    }
}

#[test]
fn linear_refuses_shapes_that_do_not_fit() {
    let (x, weight) = (var(&[0.0; 6], &[2, 3]), var(&[0.0; 12], &[4, 3]));
    assert!(op::linear(&x, &weight, &var(&[0.0; 4], &[4])).is_ok());
    assert!(op::linear(&x, &weight, &var(&[0.0; 3], &[3])).is_err());
    assert!(op::linear(&x, &var(&[0.0; 8], &[4, 2]), &var(&[0.0; 4], &[4])).is_err());
}

#[test]
fn recurrent_equals_the_kernels_of_its_cell() {
    let (kind, d, h, lengths) = (CellKind::Lstm, 3, 20, [2, 0, 5, 1]);
    let (tokens, rows) = (8, 4 * h);
    let schedule = Arc::new(Schedule::new(&lengths, 2, Direction::Backward));
    let (input, initial) = (values(tokens * d, 1), values(2 * lengths.len() * h, 2));
    let flat = values(rows * (d + h + 2), 3);
    let (x, w) = (var(&input, &[tokens, d]), var(&flat, &[flat.len()]));
    let first = var(&initial, &[2, lengths.len(), h]);
    let out = op::recurrent(kind, &schedule, &x, &w, &first).unwrap();
    let (dh, dl) = (values(tokens * h, 4), values(initial.len(), 5));
    let times = |t: &Tensor, by: &[f32]| {
        (t * Tensor::from_slice(by, t.shape(), &Device::Cpu).unwrap()).unwrap().sum_all().unwrap()
    };
    let loss = (times(&out.hidden, &dh) + times(&out.last, &dl)).unwrap();
    let store = loss.backward().unwrap();

    let cell = kind.cell();
    let (weight_ih, rest) = flat.split_at(rows * d);
    let (weight_hh, rest) = rest.split_at(rows * h);
    let (bias_ih, bias_hh) = rest.split_at(rows);
    let weights = Weights { input_dim: d, hidden_dim: h, weight_ih, weight_hh, bias_ih, bias_hh };
    let packed = cell.pack(&weights, Isa::detect(), Precision::F32).unwrap();
    let batch = Batch { schedule: &schedule, initial: Some(&initial) };
    let saved = cell.forward(&packed, &input, batch).unwrap();
    assert_eq!(plain(&out.hidden), saved.hidden);
    assert_eq!(plain(&out.last), saved.last);
    let upstream = Upstream { hidden: &dh, last: &dl };
    let want = cell.backward(&weights, &input, batch, saved, upstream).unwrap();
    assert_eq!(plain(store.get(&x).unwrap()), want.input);
    assert_eq!(plain(store.get(&first).unwrap()), want.initial);
    let parts = [&want.weight_ih[..], &want.weight_hh, &want.bias, &want.bias];
    assert_eq!(plain(store.get(&w).unwrap()), parts.concat());
    assert!(loss.backward().is_err(), "what the way back needs was kept");
}

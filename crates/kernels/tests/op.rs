//! The operations for Candle against plain loops and the kernels they wrap.

mod common;

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use common::{close, values, wide};
use glossator_kernels::{
    Direction, Isa, Schedule,
    cells::{Batch, CellKind, Features, Pass, Precision, Upstream, Weights},
    op::{self, RecurrentInput},
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
        let out = op::linear(&x, &weight, &bias, Precision::F32).unwrap();
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

/// Checks the gradients of an operation on `args` against finite differences of
/// `want`, and what it computes.
fn conforms<const N: usize>(
    args: [(Vec<f32>, &[usize]); N],
    op: impl Fn(&[Var; N]) -> Tensor,
    want: impl Fn(&[Vec<f64>; N]) -> Vec<f64>,
) {
    let vars = args.each_ref().map(|(values, shape)| var(values, shape));
    let mut places = args.each_ref().map(|(values, _)| wide(values));
    let out = op(&vars);
    close("output", &plain(&out), &want(&places), 1e-5);
    let upstream = values(out.elem_count(), 9);
    let dy = Tensor::from_slice(&upstream, out.shape(), &Device::Cpu).unwrap();
    let store = (out * dy).unwrap().sum_all().unwrap().backward().unwrap();
    let loss = |p: &[Vec<f64>; N]| -> f64 {
        want(p).iter().zip(&upstream).map(|(y, &d)| y * f64::from(d)).sum()
    };
    for (which, var) in vars.iter().enumerate() {
        let got = plain(store.get(var).unwrap());
        for i in 0..got.len() {
            let kept = places[which][i];
            places[which][i] = kept + 1e-4;
            let up = loss(&places);
            places[which][i] = kept - 1e-4;
            let down = loss(&places);
            places[which][i] = kept;
            close("gradient", &got[i..=i], &[(up - down) / 2e-4], 3e-5);
        }
    }
}

#[test]
fn layer_norm_equals_plain_loops_and_their_finite_differences() {
    for (rows, dim) in [(1, 2), (4, 7), (3, 40), (600, 30)] {
        let args = [
            (values(rows * dim, 1), &[rows, dim][..]),
            (values(dim, 2), &[dim][..]),
            (values(dim, 3), &[dim][..]),
        ];
        if rows > 100 {
            // Several tasks: only that they give what one gives.
            let vars = args.each_ref().map(|(values, shape)| var(values, shape));
            let whole = op::layer_norm(&vars[0], &vars[1], &vars[2]).unwrap();
            let row = vars[0].narrow(0, rows - 1, 1).unwrap();
            let one = op::layer_norm(&row, &vars[1], &vars[2]).unwrap();
            assert_eq!(plain(&whole)[(rows - 1) * dim..], plain(&one));
            continue;
        }
        conforms(
            args,
            |[x, scale, shift]| op::layer_norm(x, scale, shift).unwrap(),
            |[x, scale, shift]| {
                let norm = |row: &[f64]| -> Vec<f64> {
                    let mean = row.iter().sum::<f64>() / dim as f64;
                    let var = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / dim as f64;
                    let unit = row.iter().map(|x| (x - mean) / (var + 1e-5).sqrt());
                    unit.zip(scale).zip(shift).map(|((x, s), b)| x * s + b).collect()
                };
                x.chunks(dim).flat_map(norm).collect()
            },
        );
    }
    let wrong = op::layer_norm(&var(&[0.0; 6], &[2, 3]), &var(&[1.0], &[1]), &var(&[0.0], &[1]));
    assert!(wrong.is_err());
}

#[test]
fn a_highway_equals_plain_loops_and_their_finite_differences() {
    let arg = |seed| (values(4 * 5, seed), &[4, 5][..]);
    conforms(
        [arg(1), arg(2), arg(3)],
        |[new, old, gate]| op::highway(new, old, gate).unwrap(),
        |[new, old, gate]| {
            let open = gate.iter().map(|g| 1.0 / (1.0 + (-g).exp()));
            new.iter().zip(old).zip(open).map(|((n, o), s)| s * n + (1.0 - s) * o).collect()
        },
    );
    let short = var(&[0.0], &[1]);
    assert!(op::highway(&short, &var(&[0.0; 2], &[2]), &short).is_err());
}

#[test]
fn linear_refuses_shapes_that_do_not_fit() {
    let (x, weight) = (var(&[0.0; 6], &[2, 3]), var(&[0.0; 12], &[4, 3]));
    assert!(op::linear(&x, &weight, &var(&[0.0; 4], &[4]), Precision::F32).is_ok());
    assert!(op::linear(&x, &weight, &var(&[0.0; 3], &[3]), Precision::F32).is_err());
    assert!(
        op::linear(&x, &var(&[0.0; 8], &[4, 2]), &var(&[0.0; 4], &[4]), Precision::F32).is_err()
    );
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
    let out = op::recurrent(kind, &schedule, RecurrentInput::Rows(&x), &w, &first, Precision::F32)
        .unwrap();
    let (dh, dl) = (values(tokens * h, 4), values(initial.len(), 5));
    let times = |t: &Tensor, by: &[f32]| {
        (t * Tensor::from_slice(by, t.shape(), &Device::Cpu).unwrap()).unwrap().sum_all().unwrap()
    };
    let loss = (times(&out.hidden, &dh) + times(&out.last, &dl)).unwrap();
    let store = loss.backward().unwrap();

    let cell = kind.cell();
    let weights = Weights::from_flat(&flat, kind.cell().spec(), d, h).unwrap();
    let packed = cell.pack(&weights, Isa::detect(), Precision::F32).unwrap();
    let batch = Batch { schedule: &schedule, initial: Some(&initial) };
    let saved = cell.forward(&packed, Features::Rows(&input), batch).unwrap();
    assert_eq!(plain(&out.hidden), saved.hidden);
    assert_eq!(plain(&out.last), saved.last);
    let upstream = Upstream { hidden: &dh, last: &dl };
    let features = Features::Rows(&input);
    let pass = Pass { features, batch, hidden: &saved.hidden, is_constant: false };
    let want = cell.backward(&weights, pass, saved.saved, upstream).unwrap();
    assert_eq!(plain(store.get(&x).unwrap()), want.input);
    assert_eq!(plain(store.get(&first).unwrap()), want.initial);
    assert_eq!(plain(store.get(&w).unwrap()), want.weights);
    assert!(loss.backward().is_err(), "what the way back needs was kept");
}

#[test]
fn last_states_can_be_used_alone_or_not_at_all() {
    let (h, lengths) = (5, [2, 3]);
    let schedule = Arc::new(Schedule::new(&lengths, 2, Direction::Forward));
    let table = var(&values(4 * 3, 1), &[4, 3]);
    let w = var(&values(4 * h * (3 + h + 2), 2), &[4 * h * (3 + h + 2)]);
    let first = var(&values(2 * 2 * h, 3), &[2, 2, h]);
    let input = RecurrentInput::Table { table: &table, ids: &[0, 3, 1, 1, 0] };
    let gradient = |pick: fn(&op::RecurrentOutput) -> Tensor| {
        let out =
            op::recurrent(CellKind::Lstm, &schedule, input, &w, &first, Precision::F32).unwrap();
        let store = pick(&out).sum_all().unwrap().backward().unwrap();
        plain(store.get(&table).unwrap())
    };
    // The last hidden states of the sequences are the rows 1 and 4.
    let last = gradient(|out| out.last.get(0).unwrap());
    let picked = gradient(|out| {
        out.hidden.index_select(&Tensor::new(&[1_u32, 4], &Device::Cpu).unwrap(), 0).unwrap()
    });
    close("gradient", &last, &wide(&picked), 1e-6);
    assert!(last.iter().any(|&value| value != 0.0));
    assert_eq!(&last[2 * 3..3 * 3], [0.0; 3], "no token has the third row");
}

#[test]
fn a_constant_input_has_no_gradient() {
    let (h, schedule) = (5, Arc::new(Schedule::new(&[2], 1, Direction::Forward)));
    let x = Tensor::from_slice(&values(6, 1), (2, 3), &Device::Cpu).unwrap();
    let w = var(&values(4 * h * (3 + h + 2), 2), &[4 * h * (3 + h + 2)]);
    let first = Tensor::zeros((2, 1, h), candle_core::DType::F32, &Device::Cpu).unwrap();
    let out = op::recurrent(
        CellKind::Lstm,
        &schedule,
        RecurrentInput::Rows(&x),
        &w,
        &first,
        Precision::F32,
    );
    let store = out.unwrap().hidden.sum_all().unwrap().backward().unwrap();
    assert!(store.get(&w).is_some() && store.get(&x).is_none());
}

#[test]
fn softmax_loss_and_its_slopes_by_hand() {
    let scores = var(&[0.5, -1.0, 2.0, 30.0, 0.0, -30.0, 1.0, 1.0, 1.0], &[3, 3]);
    let weights = [1.0_f32, 0.25, 3.0];
    for weights in [None, Some(weights.to_vec())] {
        let loss = op::softmax_loss(&scores, vec![2, 1, 0], weights.clone()).unwrap();
        let store = (&loss * 2.0).unwrap().backward().unwrap();
        let (mut want, mut slopes) = (0.0, Vec::new());
        for (row, class) in wide(&plain(&scores)).chunks(3).zip([2, 1, 0]) {
            let sum: f64 = row.iter().map(|score| score.exp()).sum();
            let weight = f64::from(weights.as_ref().map_or(1.0, |weights| weights[class]));
            want -= weight * (row[class].exp() / sum).ln();
            let gold = |n| f64::from(u8::from(n == class));
            let slope = |(n, score): (usize, &f64)| 2.0 * weight * (score.exp() / sum - gold(n));
            slopes.extend(row.iter().enumerate().map(slope));
        }
        close("loss", &[loss.to_scalar().unwrap()], &[want], 1e-5);
        close("slopes", &plain(store.get(&scores).unwrap()), &slopes, 1e-5);
        assert!(loss.backward().is_err(), "the slopes were kept");
    }
    assert!(op::softmax_loss(&scores, vec![2, 1], None).is_err());
    assert!(op::softmax_loss(&scores, vec![2, 1, 3], None).is_err());
    assert!(op::softmax_loss(&scores, vec![2, 1, 0], Some(vec![1.0])).is_err());
}

#[test]
fn scaling_scales_the_gradient() {
    let x = var(&[1.0, 2.0, 3.0, 4.0], &[2, 2]);
    let y = op::scale(&x, vec![0.0, 2.0, 0.5, 1.0]).unwrap();
    assert_eq!(plain(&y), [0.0, 4.0, 1.5, 4.0]);
    let store = y.sum_all().unwrap().backward().unwrap();
    assert_eq!(plain(store.get(&x).unwrap()), [0.0, 2.0, 0.5, 1.0]);
    assert!(op::scale(&x, vec![1.0]).is_err());
}

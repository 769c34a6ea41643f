//! What stands between recurrent layers: normalisation and highways.
//!
//! Row by row, in one order, so that a trained layer and one for inference give
//! the same bits, whatever the batch.

use rayon::prelude::*;

/// Added to the variance of a row, as in PyTorch.
pub(crate) const EPSILON: f32 = 1e-5;
/// Values that one task works on at least.
const CHUNK: usize = 1 << 14;

/// Rows of a task, so that it has enough to do.
fn rows_of_task(dim: usize) -> usize {
    (CHUNK / dim.max(1)).max(1)
}

/// Eight running sums side by side, then added in order.
fn sum(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let mut sums = [0.0; 8];
    for (i, value) in values.enumerate() {
        sums[i % 8] += value;
    }
    sums.iter().sum()
}

/// Mean and reciprocal standard deviation of a row.
fn moments(row: &[f32]) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = sum(row.iter().copied()) / n;
    let variance = sum(row.iter().map(|x| (x - mean) * (x - mean))) / n;
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

/// Layer normalisation (Ba et al., 2016) of rows `[_, dim]`, in place: less
/// their mean, by their standard deviation, times `scale`, plus `shift`,
/// `[dim]` each.
///
/// # Panics
/// If `scale` and `shift` differ in length, or `rows` is no whole number of rows.
pub fn layer_norm(rows: &mut [f32], scale: &[f32], shift: &[f32]) {
    assert_eq!(scale.len(), shift.len(), "scale and shift of a normalisation");
    let dim = scale.len().max(1);
    assert!(rows.len().is_multiple_of(dim), "rows of a normalisation");
    rows.par_chunks_mut(rows_of_task(dim) * dim).for_each(|rows| {
        for row in rows.chunks_exact_mut(dim) {
            let (mean, by) = moments(row);
            for ((x, s), b) in row.iter_mut().zip(scale).zip(shift) {
                *x = (*x - mean) * by * s + b;
            }
        }
    });
}

/// Gradients of [`layer_norm`] with respect to its rows, `scale` and `shift`.
pub(crate) fn layer_norm_gradients(
    rows: &[f32],
    scale: &[f32],
    gradient: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let dim = scale.len().max(1);
    let mut input = vec![0.0; rows.len()];
    let size = rows_of_task(dim) * dim;
    let tasks =
        input.par_chunks_mut(size).zip(rows.par_chunks(size).zip(gradient.par_chunks(size)));
    // Always the same pieces, added in order: bits do not depend on threads.
    let sums: Vec<[Vec<f32>; 2]> = tasks
        .map(|(input, (rows, gradient))| {
            let mut sums = [vec![0.0; dim], vec![0.0; dim]];
            let both = rows.chunks_exact(dim).zip(gradient.chunks_exact(dim));
            for (to, (row, dy)) in input.chunks_exact_mut(dim).zip(both) {
                let (mean, by) = moments(row);
                let unit = |x: f32| (x - mean) * by;
                let [of_scale, of_shift] = &mut sums;
                for (((ds, db), &x), &dy) in of_scale.iter_mut().zip(of_shift).zip(row).zip(dy) {
                    *ds += dy * unit(x);
                    *db += dy;
                }
                let n = dim as f32;
                let slope = dy.iter().zip(scale).map(|(dy, s)| dy * s);
                let average = sum(slope) / n;
                let along = row.iter().zip(dy.iter().zip(scale));
                let along = sum(along.map(|(&x, (dy, s))| dy * s * unit(x))) / n;
                for ((to, &x), (dy, s)) in to.iter_mut().zip(row).zip(dy.iter().zip(scale)) {
                    *to = by * (dy * s - average - unit(x) * along);
                }
            }
            sums
        })
        .collect();
    let mut total = [vec![0.0; dim], vec![0.0; dim]];
    for part in sums {
        for (total, part) in total.iter_mut().zip(part) {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
    }
    let [of_scale, of_shift] = total;
    (input, of_scale, of_shift)
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// A highway (Srivastava et al., 2015): what a layer computed where its gate is
/// open, what it read where it is shut; `new` is overwritten. All
/// have one value a feature, `gate` before its logistic function.
///
/// # Panics
/// If the lengths differ.
pub fn highway(new: &mut [f32], old: &[f32], gate: &[f32]) {
    assert!(new.len() == old.len() && new.len() == gate.len(), "parts of a highway");
    let tasks = new.par_chunks_mut(CHUNK).zip(old.par_chunks(CHUNK).zip(gate.par_chunks(CHUNK)));
    tasks.for_each(|(new, (old, gate))| {
        for ((new, old), gate) in new.iter_mut().zip(old).zip(gate) {
            *new = old + sigmoid(*gate) * (*new - old);
        }
    });
}

/// Gradients of [`highway`] with respect to `new`, `old` and `gate`.
pub(crate) fn highway_gradients(
    new: &[f32],
    old: &[f32],
    gate: &[f32],
    gradient: &[f32],
) -> [Vec<f32>; 3] {
    let each = |f: &(dyn Fn(f32, f32, f32, f32) -> f32 + Sync)| -> Vec<f32> {
        let four = new.par_iter().zip(old).zip(gate).zip(gradient);
        four.map(|(((&n, &o), &g), &d)| f(n, o, sigmoid(g), d)).collect()
    };
    [
        each(&|_, _, s, d| d * s),
        each(&|_, _, s, d| d * (1.0 - s)),
        each(&|n, o, s, d| d * (n - o) * s * (1.0 - s)),
    ]
}

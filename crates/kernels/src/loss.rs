//! Negative log-likelihood of a softmax, with its slopes in place of the scores.

use rayon::prelude::*;

use crate::{
    Isa, activation,
    simd::{Kernel, Simd},
};

/// Rows whose losses one task adds up.
const ROWS: usize = 64;
/// Running sums of a row.
const SUMS: usize = 16;

/// What the distribution of a row is held against.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// One weight a class, for rows whose gold it is; ones if there are none.
    pub(crate) weights: Option<&'a [f32]>,
    /// Part of the mass that is spread evenly over all classes (Szegedy et al.,
    /// 2016).
    pub(crate) smoothing: f32,
}

/// Sum of the losses of rows of scores, `[rows, classes]`, in nats; the scores
/// become slopes. `gold`: a class a row, in range.
pub(crate) fn softmax_loss(
    scores: &mut [f32],
    classes: usize,
    gold: &[u32],
    target: Target<'_>,
) -> f64 {
    let tasks = gold.par_chunks(ROWS).zip(scores.par_chunks_mut(ROWS * classes.max(1)));
    let losses = tasks.map(|(gold, scores)| {
        let mut loss = 0.0;
        Isa::detect().run(Loss { scores, classes, gold, target, loss: &mut loss });
        loss
    });
    // Always the same pieces, added in order: bits do not depend on threads.
    losses.collect::<Vec<f64>>().iter().sum()
}

struct Loss<'a> {
    scores: &'a mut [f32],
    classes: usize,
    gold: &'a [u32],
    target: Target<'a>,
    loss: &'a mut f64,
}

impl Kernel for Loss<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Target { weights, smoothing } = self.target;
        for (&gold, scores) in self.gold.iter().zip(self.scores.chunks_exact_mut(self.classes)) {
            let gold = gold as usize;
            let most = lanes(scores, f32::NEG_INFINITY, |score| score, f32::max);
            // A softmax does not see what is taken from all scores.
            scores.iter_mut().for_each(|score| *score -= most);
            let (of_gold, all) = (scores[gold], sum_of(scores, |score| score));
            scores.iter_mut().for_each(|score| *score = activation::exp(*score));
            let sum = sum_of(scores, |score| score);
            let weight = weights.map_or(1.0, |weights| weights[gold]);
            let (even, by) = (smoothing / self.classes as f32, weight / sum);
            scores.iter_mut().for_each(|score| *score = *score * by - weight * even);
            scores[gold] -= weight * (1.0 - smoothing);
            let expected = match smoothing > 0.0 {
                true => (1.0 - smoothing) * of_gold + even * all,
                false => of_gold,
            };
            *self.loss += f64::from(weight) * (f64::from(sum).ln() - f64::from(expected));
        }
    }
}

/// Something of all values put together, in [`SUMS`] parts side by side, always
/// the same.
#[inline(always)]
fn lanes(
    values: &[f32],
    first: f32,
    of: impl Fn(f32) -> f32,
    join: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut parts = [first; SUMS];
    let (whole, rest) = values.as_chunks::<SUMS>();
    for values in whole {
        parts.iter_mut().zip(values).for_each(|(part, value)| *part = join(*part, of(*value)));
    }
    parts.iter_mut().zip(rest).for_each(|(part, value)| *part = join(*part, of(*value)));
    parts.into_iter().fold(first, join)
}

#[inline(always)]
fn sum_of(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    lanes(values, 0.0, of, |sum, value| sum + value)
}

/// Logarithm of the sum of the exponentials of a row of scores, in nats.
pub fn log_sum_exp(scores: &[f32]) -> f64 {
    struct Sum<'a>(&'a [f32], &'a mut f64);
    impl Kernel for Sum<'_> {
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            let most = lanes(self.0, f32::NEG_INFINITY, |score| score, f32::max);
            let sum = sum_of(self.0, |score| activation::exp(score - most));
            *self.1 = f64::from(sum).ln() + f64::from(most);
        }
    }
    let mut sum = 0.0;
    Isa::detect().run(Sum(scores, &mut sum));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_exponentials_equal_plain_loops() {
        for n in [1, 15, 16, 100] {
            let scores: Vec<f32> = (0..n).map(|i| (i * 7 % 13) as f32 - 90.0).collect();
            let want = scores.iter().map(|&s| f64::from(s).exp()).sum::<f64>().ln();
            assert!((log_sum_exp(&scores) - want).abs() < 1e-5, "{n}");
        }
    }
}

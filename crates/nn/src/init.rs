//! First values of parameters.

use crate::Rng;

/// `len` values, uniform in `[-bound, bound)`.
pub fn uniform(rng: &mut Rng, len: usize, bound: f32) -> Vec<f32> {
    (0..len).map(|_| (2.0 * rng.uniform() - 1.0) * bound).collect()
}

/// A matrix `[rows, columns]`, uniform within `sqrt(6 / (rows + columns))`
/// (Glorot and Bengio, 2010).
pub fn xavier(rng: &mut Rng, rows: usize, columns: usize) -> Vec<f32> {
    uniform(rng, rows * columns, (6.0 / (rows + columns) as f32).sqrt())
}

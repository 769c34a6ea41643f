//! First values of parameters.

use rayon::prelude::*;

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

/// Columns of a row that one task works on.
const COLUMNS: usize = 256;

/// A random orthogonal matrix `[n, n]` (Saxe et al., 2014): rows of standard
/// normal values made orthogonal one after the other (Gram and Schmidt, twice).
pub fn orthogonal(rng: &mut Rng, n: usize) -> Vec<f32> {
    let mut matrix: Vec<f32> = (0..n * n).map(|_| rng.normal()).collect();
    for row in 0..n {
        let (before, rest) = matrix.split_at_mut(row * n);
        let row = &mut rest[..n];
        for _ in 0..2 {
            let along: Vec<f32> = before.par_chunks_exact(n).map(|other| dot(other, row)).collect();
            row.par_chunks_mut(COLUMNS).enumerate().for_each(|(part, values)| {
                for (other, along) in before.chunks_exact(n).zip(&along) {
                    let other = &other[part * COLUMNS..];
                    values.iter_mut().zip(other).for_each(|(value, x)| *value -= along * x);
                }
            });
        }
        let by = 1.0 / dot(row, row).sqrt();
        row.iter_mut().for_each(|value| *value *= by);
    }
    matrix
}

/// The identity `[n, n]`.
pub fn identity(n: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; n * n];
    matrix.iter_mut().step_by(n + 1).for_each(|value| *value = 1.0);
    matrix
}

/// Inner product, eight running sums side by side.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_an_orthogonal_matrix_are_orthonormal() {
        for n in [1, 2, 33, 100] {
            let matrix = orthogonal(&mut Rng::new(1, "test", 0), n);
            for (i, a) in matrix.chunks(n).enumerate() {
                for (j, b) in matrix.chunks(n).enumerate() {
                    let want = if i == j { 1.0 } else { 0.0 };
                    assert!((dot(a, b) - want).abs() < 1e-5, "{n}: {i} {j} {}", dot(a, b));
                }
            }
        }
    }
}

//! Sums of outer products: the gradients of weights.
//!
//! `c[j, i] = Σ_p right[p, j] · left[p, i]` over the rows `p` of two matrices,
//! as many as a batch has tokens. Both operands are used once, so they are
//! packed block by block: a block of the left one transposed, by all threads
//! together; a panel of the right one by the thread that works on it, into its
//! own cache. Sums rest panel by panel between the blocks and are transposed
//! once, at the end. An element adds its rows in one order, cut at the same
//! places whatever the number of threads.
//!
//! One core of a Zen 4 at 116 GFLOP/s, `[1024, 4096]` over 3200 rows: as a
//! product with a transposed left operand 91 GFLOP/s, like this 106.

use std::ops::Range;

use rayon::prelude::*;

use super::{Sums, Tile, for_tiles, tile};
use crate::{
    Isa,
    buffer::{Buffer, Shared},
    simd::{Kernel, Simd, TILE_VECTORS},
};

/// Rows of both operands worked through before the next panel.
const DEPTH: usize = 1024;
/// Floats between the rows of a transposed block beyond its depth, so that
/// they do not fall into one set of the first-level cache.
const PAD: usize = 16;
/// Columns of the left operand that one task transposes, or multiplies at least.
const STRIP: usize = 96;

/// Two matrices with as many rows; what is multiplied is one row of each.
#[derive(Clone, Copy)]
pub(crate) struct Outer<'a, L> {
    pub(crate) isa: Isa,
    /// Rows.
    pub(crate) rows: usize,
    /// Row of the left operand, `[width]`; `None` is a row of zeros.
    pub(crate) left: L,
    /// Columns of the left operand.
    pub(crate) width: usize,
    /// `[rows, columns]`
    pub(crate) right: &'a [f32],
    /// Columns of the right operand.
    pub(crate) columns: usize,
}

impl<'b, L: Fn(usize) -> Option<&'b [f32]> + Sync> Outer<'_, L> {
    /// Writes the sums into `out`, `[_, width]`: those of column `j` of the
    /// right operand into row `row_of(j)`, which no other column has.
    ///
    /// # Panics
    /// If a length does not fit its shape.
    pub(crate) fn sum(&self, row_of: impl Fn(usize) -> Option<usize> + Sync, out: &mut [f32]) {
        assert_eq!(Some(self.right.len()), self.rows.checked_mul(self.columns), "right operand");
        let panel = TILE_VECTORS * self.isa.lanes();
        let panels = self.columns.div_ceil(panel);
        let mut sums = Buffer::zeros(panels * panel * self.width);
        let stride = DEPTH.min(self.rows) + PAD;
        let mut left = Buffer::zeros(self.width * stride);
        let blocks = self.rows.div_ceil(DEPTH);
        for block in 0..blocks {
            let at = |block: usize| block * self.rows / blocks;
            let rows = at(block)..at(block + 1);
            self.transpose(rows.clone(), stride, &mut left);
            self.block(rows, stride, &left, &mut sums);
        }
        self.scatter(&sums, row_of, out);
    }

    /// Copies a block of the left operand to rows of its transpose.
    fn transpose(&self, rows: Range<usize>, stride: usize, to: &mut [f32]) {
        to.par_chunks_mut(STRIP * stride).enumerate().for_each(|(strip, to)| {
            let first = strip * STRIP;
            for (p, row) in rows.clone().enumerate() {
                let to = to[p..].iter_mut().step_by(stride);
                match (self.left)(row) {
                    Some(from) => to.zip(&from[first..]).for_each(|(to, &from)| *to = from),
                    None => to.for_each(|to| *to = 0.0),
                }
            }
        });
    }

    /// Adds the products of a block to the sums, shared out by panels, and by
    /// strips of columns of the left operand where panels are few.
    fn block(&self, rows: Range<usize>, stride: usize, left: &[f32], sums: &mut [f32]) {
        let panel = TILE_VECTORS * self.isa.lanes();
        let panels = self.columns.div_ceil(panel);
        let strips = (4 * rayon::current_num_threads()).div_ceil(panels.max(1));
        let strips = strips.min(self.width.div_ceil(STRIP)).max(1);
        let sums = Shared(sums.as_mut_ptr());
        let depth = rows.len();
        (0..panels * strips).into_par_iter().with_max_len(1).for_each_init(
            || Buffer::zeros(DEPTH.min(self.rows) * panel),
            |right, task| {
                let (number, strip) = (task / strips, task % strips);
                self.pack(rows.clone(), number * panel, right);
                let at = |strip: usize| strip * self.width / strips;
                let (first, last) = (at(strip), at(strip + 1));
                self.isa.run(Strip {
                    left: &left[first * stride..],
                    stride,
                    right,
                    depth,
                    height: last - first,
                    // SAFETY: this task alone has these rows of the panel.
                    sums: unsafe {
                        sums.slice((number * self.width + first) * panel, (last - first) * panel)
                    },
                });
            },
        );
    }

    /// Copies one panel of a block of the right operand.
    fn pack(&self, rows: Range<usize>, first: usize, to: &mut [f32]) {
        let panel = TILE_VECTORS * self.isa.lanes();
        let columns = panel.min(self.columns - first);
        for (to, row) in to.chunks_exact_mut(panel).zip(rows) {
            let from = &self.right[row * self.columns + first..][..columns];
            to[..columns].copy_from_slice(from);
            to[columns..].fill(0.0);
        }
    }

    /// Transposes the sums into the rows of the result.
    fn scatter(
        &self,
        sums: &[f32],
        row_of: impl Fn(usize) -> Option<usize> + Sync,
        out: &mut [f32],
    ) {
        if self.width == 0 {
            return;
        }
        let panel = TILE_VECTORS * self.isa.lanes();
        let mut rows: Vec<Option<&mut [f32]>> =
            out.chunks_exact_mut(self.width).map(Some).collect();
        let mut columns: Vec<Option<&mut [f32]>> = (0..self.columns)
            .map(|column| row_of(column).and_then(|row| rows[row].take()))
            .collect();
        let panels = columns.par_chunks_mut(panel).zip(sums.par_chunks_exact(panel * self.width));
        panels.for_each(|(columns, sums)| {
            // Lines of 16 floats, so that reading and writing use whole ones.
            for (line, sums) in sums.chunks(16 * panel).enumerate() {
                for (lane, column) in columns.iter_mut().enumerate() {
                    let Some(column) = column else { continue };
                    let to = &mut column[16 * line..];
                    for (to, sums) in to.iter_mut().zip(sums.chunks_exact(panel)) {
                        *to = sums[lane];
                    }
                }
            }
        });
    }
}

/// Some columns of the left operand times one panel of the right one.
struct Strip<'a> {
    /// Rows of the transpose, `stride` floats apart.
    left: &'a [f32],
    stride: usize,
    /// `[depth, panel]`
    right: &'a [f32],
    depth: usize,
    height: usize,
    /// `[height, panel]`
    sums: &'a mut [f32],
}

impl Kernel for Strip<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: the features are promised by the caller.
        unsafe { for_tiles::<S, _>(self.height, &mut self) };
    }
}

impl<S: Simd> Tile<S> for Strip<'_> {
    #[inline(always)]
    unsafe fn rows<const R: usize>(&mut self, first: usize, _: usize, _: usize) {
        let panel = TILE_VECTORS * S::LANES;
        let sums = &mut self.sums[first * panel..(first + R) * panel];
        // SAFETY: the operands are `depth` deep and the sums as wide as a
        // panel; the features are promised by the caller.
        unsafe {
            let place = sums.as_mut_ptr();
            for line in 0..R * panel / 16 {
                S::prefetch(place.add(line * 16));
            }
            let rows = std::array::from_fn(|r| self.left[(first + r) * self.stride..].as_ptr());
            let mut block: Sums<S, R> = [[S::splat(0.0); TILE_VECTORS]; R];
            tile::<S, R>(self.depth, rows, self.right.as_ptr(), std::ptr::null(), &mut block);
            let one = S::splat(1.0);
            for (n, &sum) in block.iter().flatten().enumerate() {
                let place = place.add(n * S::LANES);
                S::store(place, S::fma(one, sum, S::load(place)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| (((i + 1) * (seed + 37) * 7919 % 2003) as f32 - 1001.0) / 1001.0).collect()
    }

    fn sum(isa: Isa, rows: usize, width: usize, columns: usize) -> Vec<f32> {
        let (left, right) = (values(rows * width, 1), values(rows * columns, 2));
        let row = |p: usize| (p % 5 != 3).then(|| &left[p * width..(p + 1) * width]);
        let mut out = vec![f32::NAN; columns * width];
        let outer = Outer { isa, rows, left: row, width, right: &right, columns };
        outer.sum(|column| Some(columns - 1 - column), &mut out);
        out
    }

    #[test]
    fn equals_plain_loops_for_every_shape_and_set() {
        for &isa in Isa::available() {
            for (rows, width, columns) in
                [(1, 1, 1), (0, 3, 5), (7, 13, 70), (1500, 20, 33), (2100, 130, 64)]
            {
                let got = sum(isa, rows, width, columns);
                let (left, right) = (values(rows * width, 1), values(rows * columns, 2));
                for (n, got) in got.into_iter().enumerate() {
                    let (column, i) = (columns - 1 - n / width, n % width);
                    let product = |p: usize| {
                        f64::from(left[p * width + i]) * f64::from(right[p * columns + column])
                    };
                    let want: f64 = (0..rows).filter(|p| p % 5 != 3).map(product).sum();
                    assert!((f64::from(got) - want).abs() < 1e-3, "{isa:?} {rows} {column} {i}");
                }
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sum(Isa::detect(), 2500, 200, 100))
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1), run(5));
    }
}

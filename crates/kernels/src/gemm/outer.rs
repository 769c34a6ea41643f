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

use super::{
    Bf16, F32, Format, Precision, RowSums, Tile, Walk, for_tiles, format::bf16_word,
    pack::pack_panel,
};
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
/// Floats of a cache line.
const LINE: usize = 16;
/// Columns of the left operand that are transposed before the next ones.
const STRETCH: usize = 256;
/// Columns of the left operand that one task multiplies at least.
const STRIP: usize = 96;

/// Columns of the right operand, in vectors that lie anywhere in its rows.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    values: &'a [f32],
    /// Floats between two rows.
    stride: usize,
    /// Floats of a vector.
    lanes: usize,
    /// Vectors of a block of the rows.
    of: usize,
    /// Those of them that are columns, block by block.
    slots: &'a [usize],
}

impl<'a> Right<'a> {
    /// `[rows, columns]`
    pub(crate) fn plain(values: &'a [f32], columns: usize) -> Self {
        Self { values, stride: columns, lanes: columns, of: 1, slots: &[0] }
    }

    /// Some of each `of` vectors.
    pub(crate) fn slots(
        values: &'a [f32],
        stride: usize,
        lanes: usize,
        of: usize,
        slots: &'a [usize],
    ) -> Self {
        Self { values, stride, lanes, of, slots }
    }

    /// Whether the columns lie one after the other in their row.
    fn is_whole(&self) -> bool {
        self.slots.iter().copied().eq(0..self.of)
    }

    /// Packs the panel that begins at a column.
    fn pack(
        &self,
        precision: Precision,
        rows: Range<usize>,
        columns: usize,
        first: usize,
        width: usize,
        to: &mut [f32],
    ) {
        if self.is_whole() {
            let row = |p: usize| Some(&self.values[p * self.stride..][..columns]);
            return pack_panel(precision, row, rows, first, width, to);
        }
        for (to, p) in to.chunks_exact_mut(width).zip(rows.clone().step_by(precision.per_word())) {
            for (n, to) in to.chunks_exact_mut(self.lanes).enumerate() {
                let vector = first / self.lanes + n;
                let (block, slot) = (vector / self.slots.len(), vector % self.slots.len());
                let at = (block * self.of + self.slots[slot]) * self.lanes;
                let values = |p: usize| &self.values[p * self.stride + at..][..self.lanes];
                if vector * self.lanes >= columns {
                    to.fill(0.0);
                } else if precision == Precision::F32 {
                    to.copy_from_slice(values(p));
                } else if p + 1 < rows.end {
                    let pairs = values(p).iter().zip(values(p + 1));
                    to.iter_mut().zip(pairs).for_each(|(to, (&a, &b))| *to = bf16_word(a, b));
                } else {
                    to.iter_mut().zip(values(p)).for_each(|(to, &a)| *to = bf16_word(a, 0.0));
                }
            }
        }
    }
}

/// Two matrices with as many rows; what is multiplied is one row of each.
#[derive(Clone, Copy)]
pub(crate) struct Outer<'a, L> {
    pub(crate) isa: Isa,
    /// Number format of the products: `f32` or `bf16`, which stands for all
    /// short ones.
    pub(crate) precision: Precision,
    /// Rows.
    pub(crate) rows: usize,
    /// Row of the left operand, `[width]`; `None` is a row of zeros.
    pub(crate) left: L,
    /// Columns of the left operand.
    pub(crate) width: usize,
    pub(crate) right: Right<'a>,
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
        let want = self.rows.checked_mul(self.right.stride);
        assert_eq!(Some(self.right.values.len()), want, "right operand");
        let panel = TILE_VECTORS * self.isa.lanes();
        let panels = self.columns.div_ceil(panel);
        let mut sums = Buffer::zeros(panels * panel * self.width);
        let stride = self.words(DEPTH.min(self.rows)) + PAD;
        // Tiles of AMX are 16 rows high.
        let mut left = Buffer::zeros((self.width + 16) * stride);
        let blocks = self.rows.div_ceil(DEPTH);
        for block in 0..blocks {
            let at = |block: usize| block * self.rows / blocks;
            let rows = at(block)..at(block + 1);
            self.transpose(rows.clone(), stride, &mut left);
            self.block(rows, stride, &left, &mut sums);
        }
        self.scatter(&sums, row_of, out);
    }

    /// The format that is multiplied in.
    fn precision(&self) -> Precision {
        match self.precision {
            Precision::F32 => Precision::F32,
            Precision::Bf16 | Precision::Int8 => Precision::Bf16,
        }
    }

    /// Words of so many rows.
    fn words(&self, rows: usize) -> usize {
        self.precision().words(rows)
    }

    /// Copies a block of the left operand to rows of its transpose. A task fills
    /// one line of each of them, some columns after others, so that it reads
    /// whole stretches of its rows and the lines it writes stay near.
    fn transpose(&self, rows: Range<usize>, stride: usize, to: &mut [f32]) {
        let words = self.words(rows.len());
        assert!(to.len() >= self.width * stride && stride >= words, "transposed block");
        let place = Shared(to.as_mut_ptr());
        let (per_word, width) = (self.precision().per_word(), self.width);
        let at = |row: Option<&[f32]>, i: usize| row.map_or(0.0, |row| row[i]);
        (0..words.div_ceil(LINE)).into_par_iter().with_max_len(1).for_each(|line| {
            let words = line * LINE..words.min((line + 1) * LINE);
            for columns in (0..width).step_by(STRETCH).map(|i| i..width.min(i + STRETCH)) {
                for word in words.clone() {
                    let p = rows.start + word * per_word;
                    let row = |p: usize| if p < rows.end { (self.left)(p) } else { None };
                    // SAFETY: every word lies in the buffer, and this task
                    // alone has it.
                    let write = |i: usize, value: f32| unsafe {
                        *place.at(i * stride + word) = value;
                    };
                    match (self.precision(), row(p)) {
                        (Precision::F32, Some(row)) => {
                            columns.clone().for_each(|i| write(i, row[i]));
                        }
                        (Precision::F32, None) => columns.clone().for_each(|i| write(i, 0.0)),
                        (_, low) => {
                            let high = row(p + 1);
                            columns
                                .clone()
                                .for_each(|i| write(i, bf16_word(at(low, i), at(high, i))));
                        }
                    }
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
        let words = self.words(rows.len());
        (0..panels * strips).into_par_iter().with_max_len(1).for_each_init(
            || Buffer::zeros(words * panel),
            |right, task| {
                let (number, strip) = (task / strips, task % strips);
                let (of, first) = (self.precision(), number * panel);
                self.right.pack(of, rows.clone(), self.columns, first, panel, right);
                let at = |strip: usize| strip * self.width / strips;
                let (first, last) = (at(strip), at(strip + 1));
                let strip = Strip {
                    isa: self.isa,
                    left: &left[first * stride..],
                    stride,
                    right,
                    words,
                    height: last - first,
                    // SAFETY: this task alone has these rows of the panel.
                    sums: unsafe {
                        sums.slice((number * self.width + first) * panel, (last - first) * panel)
                    },
                };
                match of {
                    Precision::F32 => self.isa.run(In(strip, F32)),
                    _ => self.isa.run_short(In(strip, Bf16)),
                }
            },
        );
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
    isa: Isa,
    /// Rows of the transpose, `stride` words apart.
    left: &'a [f32],
    stride: usize,
    /// `[words, panel]`
    right: &'a [f32],
    words: usize,
    height: usize,
    /// `[height, panel]`
    sums: &'a mut [f32],
}

/// The same in a number format.
struct In<'a, F>(Strip<'a>, F);

impl<F: Format> Kernel for In<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let Strip { isa, left, stride, right, words, height, .. } = self.0;
        let walk = Walk {
            isa,
            panel: right.as_ptr(),
            words,
            starts: std::ptr::null(),
            rows: left.as_ptr(),
            stride,
            count: height,
            ahead: std::ptr::null(),
            ahead_len: 0,
        };
        // SAFETY: the operands are as deep as `words` says, and there are rows
        // to spare; the features are promised by the caller.
        unsafe { for_tiles::<S, F, _>(&walk, &mut self.0) };
    }
}

impl<S: Simd> Tile<S> for Strip<'_> {
    #[inline(always)]
    unsafe fn start(&mut self, row: usize) -> RowSums<S> {
        let place = self.sums[row * TILE_VECTORS * S::LANES..].as_ptr();
        // SAFETY: the features are promised by the caller; fetched here, the
        // sums are near when they are added to.
        unsafe {
            for v in 0..TILE_VECTORS {
                S::prefetch(place.add(v * S::LANES));
            }
            [S::splat(0.0); TILE_VECTORS]
        }
    }

    #[inline(always)]
    unsafe fn take(&mut self, row: usize, sums: RowSums<S>) {
        let panel = TILE_VECTORS * S::LANES;
        let place = self.sums[row * panel..(row + 1) * panel].as_mut_ptr();
        // SAFETY: the sums are as wide as a panel; the features are promised by
        // the caller.
        unsafe {
            let one = S::splat(1.0);
            for (v, sum) in sums.into_iter().enumerate() {
                let place = place.add(v * S::LANES);
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

    fn sum(isa: Isa, precision: Precision, rows: usize, width: usize, columns: usize) -> Vec<f32> {
        let (left, right) = (values(rows * width, 1), values(rows * columns, 2));
        let row = |p: usize| (p % 5 != 3).then(|| &left[p * width..(p + 1) * width]);
        let mut out = vec![f32::NAN; columns * width];
        let outer = Outer {
            isa,
            precision,
            rows,
            left: row,
            width,
            right: Right::plain(&right, columns),
            columns,
        };
        outer.sum(|column| Some(columns - 1 - column), &mut out);
        out
    }

    #[test]
    fn equals_plain_loops_for_every_shape_and_set() {
        let both = [(Precision::F32, 1e-3), (Precision::Bf16, 0.3)];
        for (&isa, (precision, tolerance)) in
            Isa::available().iter().flat_map(|isa| both.map(|both| (isa, both)))
        {
            for (rows, width, columns) in
                [(1, 1, 1), (0, 3, 5), (7, 13, 70), (1500, 20, 33), (2100, 130, 64)]
            {
                let got = sum(isa, precision, rows, width, columns);
                let (left, right) = (values(rows * width, 1), values(rows * columns, 2));
                for (n, got) in got.into_iter().enumerate() {
                    let (column, i) = (columns - 1 - n / width, n % width);
                    let product = |p: usize| {
                        f64::from(left[p * width + i]) * f64::from(right[p * columns + column])
                    };
                    let want: f64 = (0..rows).filter(|p| p % 5 != 3).map(product).sum();
                    let error = (f64::from(got) - want).abs();
                    assert!(
                        error < tolerance,
                        "{isa:?} {precision:?} {rows} {column} {i}: {error}"
                    );
                }
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                [Precision::F32, Precision::Bf16]
                    .map(|precision| sum(Isa::detect(), precision, 2500, 200, 100))
            })
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1), run(5));
    }
}

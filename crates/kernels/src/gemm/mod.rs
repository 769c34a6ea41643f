//! Packed products.
//!
//! `c[m, n] = a[m, k] · b[k, n]`, where `b` is packed once into panels of four
//! vectors' width, stored word after word of `k`, so that a tile reads it as one
//! stream. In `f32` each element of `c` is one chain of multiply-adds over `k`,
//! front to back, fused on every set but [`Isa::Portable`]; in the short formats
//! of [`Precision`] it is a sum in an order that the instruction set gives. Its
//! bits depend neither on `m` nor on threads.
//!
//! The inner dimension of `f32` is cut into blocks of 512 so that a panel's
//! block stays in the second-level cache; partial sums rest in `c` between
//! blocks, which changes no bit.

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
mod format;
mod outer;
mod product;
mod tile;
mod words;

pub use format::Precision;
pub(crate) use format::{Bf16, F32, Format, Int8};
pub(crate) use outer::Outer;
pub(crate) use product::product_on;
pub use product::{Init, Rows, product};
pub(crate) use tile::{RowSums, Tile, Walk, for_tiles};
pub(crate) use words::Words;

use crate::{Isa, buffer::Buffer, simd::TILE_VECTORS};
use format::{bf16_word, scale_of, write_bf16, write_int8};

/// The right operand of a product, packed into panels.
#[derive(Clone, Debug)]
pub struct Packed {
    isa: Isa,
    precision: Precision,
    k: usize,
    n: usize,
    /// Words of a column.
    words: usize,
    /// Panel by panel, word by word, `width` columns each.
    data: Buffer,
    /// Of 8-bit integers: a scale a column.
    scales: Buffer,
    /// Of 8-bit integers: what a column's sum starts from, `i32` by their bits,
    /// so that it comes out right though the left operand is offset.
    starts: Buffer,
}

impl Packed {
    /// Packs `b`, row-major `[k, n]`.
    ///
    /// # Panics
    /// If `b` has another length, or this processor lacks the instruction set.
    pub fn new(isa: Isa, precision: Precision, b: &[f32], k: usize, n: usize) -> Self {
        assert_eq!(Some(b.len()), k.checked_mul(n), "right operand of a product");
        if precision == Precision::Int8 {
            let columns: Vec<f32> = (0..n * k).map(|i| b[i % k * n + i / k]).collect();
            return Self::transposed(isa, precision, &columns, n, k);
        }
        let mut packed = Self::zeros(isa, precision, k, n);
        let (width, words) = (packed.width(), packed.words);
        for panel in 0..packed.panels() {
            let to = &mut packed.data[panel * words * width..(panel + 1) * words * width];
            pack_panel(precision, b, n, 0..k, panel * width, width, to);
        }
        packed
    }

    /// Packs the transpose of `b`, row-major `[n, k]`, as weights are stored.
    ///
    /// # Panics
    /// If `b` has another length, or this processor lacks the instruction set.
    pub fn transposed(isa: Isa, precision: Precision, b: &[f32], n: usize, k: usize) -> Self {
        assert_eq!(Some(b.len()), k.checked_mul(n), "right operand of a product");
        Self::gathered(isa, precision, b, k, n, Some)
    }

    /// Packs `n` columns, column `j` being row `row_of(j)` of `b`, row-major
    /// `[_, k]`, or zeros.
    pub(crate) fn gathered(
        isa: Isa,
        precision: Precision,
        b: &[f32],
        k: usize,
        n: usize,
        row_of: impl Fn(usize) -> Option<usize>,
    ) -> Self {
        let mut packed = Self::zeros(isa, precision, k, n);
        for column in 0..n {
            let Some(row) = row_of(column) else { continue };
            packed.set_column(column, &b[row * k..(row + 1) * k]);
        }
        packed
    }

    fn set_column(&mut self, column: usize, values: &[f32]) {
        let (width, words) = (self.width(), self.words);
        let first = column / width * words * width + column % width;
        let words = self.data.get_mut(first..).unwrap_or_default().iter_mut().step_by(width);
        match self.precision {
            Precision::F32 => words.zip(values).for_each(|(word, value)| *word = *value),
            Precision::Bf16 => {
                let mut halves = vec![0; values.len().next_multiple_of(2)];
                write_bf16(values, &mut halves);
                for (word, halves) in words.zip(halves.as_chunks::<2>().0) {
                    *word = f32::from_bits(u32::from(halves[0]) | u32::from(halves[1]) << 16);
                }
            }
            Precision::Int8 => {
                let mut bytes = vec![0; values.len().next_multiple_of(4)];
                self.scales[column] = scale_of(values);
                write_int8(values, self.scales[column], 0, &mut bytes);
                let sum: i32 = bytes.iter().map(|&byte| i32::from(byte as i8)).sum();
                let start = -i32::from(self.isa.offset()) * sum;
                self.starts[column] = f32::from_bits(start as u32);
                for (word, bytes) in words.zip(bytes.as_chunks().0) {
                    *word = f32::from_bits(u32::from_le_bytes(*bytes));
                }
            }
        }
    }

    /// The only way to a product, so that no kernel runs on a processor that
    /// lacks its instructions.
    fn zeros(isa: Isa, precision: Precision, k: usize, n: usize) -> Self {
        assert!(Isa::available().contains(&isa), "this processor has no {isa:?}");
        let width = TILE_VECTORS * isa.lanes();
        // A sum of fewer products of integers stays below 2^31.
        let too_many = precision == Precision::Int8 && k >= 1 << 16;
        let precision = if too_many { Precision::Bf16 } else { precision };
        let (words, columns) = (precision.words(k), n.next_multiple_of(width));
        let of_columns = if precision == Precision::Int8 { columns } else { 0 };
        Self {
            isa,
            precision,
            k,
            n,
            words,
            data: Buffer::zeros(columns * words),
            scales: Buffer::zeros(of_columns),
            starts: Buffer::zeros(of_columns),
        }
    }

    /// The instruction set it was packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Inner dimension.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Columns of a panel.
    pub(crate) fn width(&self) -> usize {
        TILE_VECTORS * self.isa.lanes()
    }

    /// Panels, the last perhaps partly zeros.
    pub(crate) fn panels(&self) -> usize {
        self.n.div_ceil(self.width())
    }

    /// Its number format.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Words of a column.
    pub(crate) fn words(&self) -> usize {
        self.words
    }

    /// The panel's words from `word` on.
    pub(crate) fn panel(&self, panel: usize, word: usize) -> &[f32] {
        let width = self.width();
        &self.data[(panel * self.words + word) * width..(panel + 1) * self.words * width]
    }

    /// Scales of a panel's columns; empty but for 8-bit integers.
    pub(crate) fn scales(&self, panel: usize) -> &[f32] {
        self.scales.get(panel * self.width()..).unwrap_or_default()
    }

    /// What the sums of a panel's columns start from; empty but for 8-bit
    /// integers.
    pub(crate) fn starts(&self, panel: usize) -> &[f32] {
        self.starts.get(panel * self.width()..).unwrap_or_default()
    }
}

/// Copies some rows of `b`, row-major with `n` columns, to a panel that begins
/// at a column; not for 8-bit integers, which need their scales.
pub(crate) fn pack_panel(
    precision: Precision,
    b: &[f32],
    n: usize,
    rows: std::ops::Range<usize>,
    first: usize,
    width: usize,
    to: &mut [f32],
) {
    let columns = width.min(n - first);
    let row = |row: usize| &b[row * n + first..][..columns];
    for (to, p) in to.chunks_exact_mut(width).zip(rows.clone().step_by(precision.per_word())) {
        let (to, rest) = to.split_at_mut(columns);
        rest.fill(0.0);
        match precision {
            Precision::Bf16 if p + 1 < rows.end => {
                let pairs = row(p).iter().zip(row(p + 1));
                to.iter_mut().zip(pairs).for_each(|(to, (&a, &b))| *to = bf16_word(a, b));
            }
            Precision::Bf16 => {
                to.iter_mut().zip(row(p)).for_each(|(to, &a)| *to = bf16_word(a, 0.0));
            }
            _ => to.copy_from_slice(row(p)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sets_of_this_processor_can_be_packed_for() {
        for isa in [Isa::Amx, Isa::Avx512Bf16, Isa::Avx512, Isa::Avx2, Isa::Portable] {
            let packed =
                std::panic::catch_unwind(|| Packed::new(isa, Precision::F32, &[1.0], 1, 1));
            assert_eq!(packed.is_ok(), Isa::available().contains(&isa), "{isa:?}");
        }
    }

    #[test]
    #[should_panic(expected = "right operand of a product")]
    fn a_shape_that_wraps_to_nothing_is_refused() {
        Packed::transposed(
            Isa::Portable,
            Precision::F32,
            &[],
            1 << (usize::BITS / 2),
            1 << (usize::BITS / 2),
        );
    }
}

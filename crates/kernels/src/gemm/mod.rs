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
mod pack;
mod product;
mod tile;
mod words;

pub use format::Precision;
pub(crate) use format::{Bf16, F32, Format, Int8};
pub(crate) use outer::{Outer, Right};
pub(crate) use product::product_on;
pub use product::{Init, Rows, product};
pub(crate) use tile::{RowSums, Tile, Walk, for_tiles};
pub(crate) use words::Words;

use crate::{Isa, buffer::Buffer, simd::TILE_VECTORS};

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

//! Packed single-precision products.
//!
//! `c[m, n] = a[m, k] · b[k, n]`, where `b` is packed once into panels of four
//! vectors' width, stored row after row of `k`, so that a tile reads it as one
//! stream. Each element of `c` is one chain of multiply-adds over `k`, front to
//! back, fused on every set but [`Isa::Portable`]: its bits depend neither on
//! `m` nor on threads.
//!
//! The inner dimension is cut into blocks of 512 so that a panel's block
//! stays in the second-level cache; partial sums rest in `c` between blocks,
//! which changes no bit.

mod outer;
mod product;
mod tile;

pub(crate) use outer::Outer;
pub(crate) use product::product_on;
pub use product::{Init, Rows, product};
pub(crate) use tile::{Sums, Tile, for_tiles, tile};

use crate::{Isa, buffer::Buffer, simd::TILE_VECTORS};

/// Rows of the inner dimension worked through before the next panel.
const K_BLOCK: usize = 512;

/// The right operand of a product, packed into panels.
#[derive(Clone, Debug)]
pub struct Packed {
    isa: Isa,
    k: usize,
    n: usize,
    data: Buffer,
}

impl Packed {
    /// Packs `b`, row-major `[k, n]`.
    ///
    /// # Panics
    /// If `b` has another length, or this processor lacks the instruction set.
    pub fn new(isa: Isa, b: &[f32], k: usize, n: usize) -> Self {
        assert_eq!(Some(b.len()), k.checked_mul(n), "right operand of a product");
        let mut packed = Self::zeros(isa, k, n);
        let width = packed.width();
        for panel in 0..packed.panels() {
            let (first, columns) = (panel * width, width.min(n - panel * width));
            for row in 0..k {
                let to = (panel * k + row) * width;
                packed.data[to..to + columns]
                    .copy_from_slice(&b[row * n + first..row * n + first + columns]);
            }
        }
        packed
    }

    /// Packs the transpose of `b`, row-major `[n, k]`, as weights are stored.
    ///
    /// # Panics
    /// If `b` has another length, or this processor lacks the instruction set.
    pub fn transposed(isa: Isa, b: &[f32], n: usize, k: usize) -> Self {
        assert_eq!(Some(b.len()), k.checked_mul(n), "right operand of a product");
        Self::gathered(isa, b, k, n, Some)
    }

    /// Packs `n` columns, column `j` being row `row_of(j)` of `b`, row-major
    /// `[_, k]`, or zeros.
    pub(crate) fn gathered(
        isa: Isa,
        b: &[f32],
        k: usize,
        n: usize,
        row_of: impl Fn(usize) -> Option<usize>,
    ) -> Self {
        let mut packed = Self::zeros(isa, k, n);
        let width = packed.width();
        for column in 0..n {
            let Some(row) = row_of(column) else { continue };
            let panel = &mut packed.data[column / width * k * width..][..k * width];
            for (p, &value) in b[row * k..(row + 1) * k].iter().enumerate() {
                panel[p * width + column % width] = value;
            }
        }
        packed
    }

    /// The only way to a product, so that no kernel runs on a processor that
    /// lacks its instructions.
    fn zeros(isa: Isa, k: usize, n: usize) -> Self {
        assert!(Isa::available().contains(&isa), "this processor has no {isa:?}");
        let width = TILE_VECTORS * isa.lanes();
        Self { isa, k, n, data: Buffer::zeros(n.div_ceil(width) * width * k) }
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

    /// The panel's rows from `row` on.
    pub(crate) fn panel(&self, panel: usize, row: usize) -> &[f32] {
        let width = self.width();
        &self.data[(panel * self.k + row) * width..(panel + 1) * self.k * width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sets_of_this_processor_can_be_packed_for() {
        for isa in [Isa::Avx512, Isa::Avx2, Isa::Portable] {
            let packed = std::panic::catch_unwind(|| Packed::new(isa, &[1.0], 1, 1));
            assert_eq!(packed.is_ok(), Isa::available().contains(&isa), "{isa:?}");
        }
    }

    #[test]
    #[should_panic(expected = "right operand of a product")]
    fn a_shape_that_wraps_to_nothing_is_refused() {
        Packed::transposed(Isa::Portable, &[], 1 << (usize::BITS / 2), 1 << (usize::BITS / 2));
    }
}

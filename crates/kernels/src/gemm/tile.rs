//! The innermost loop: a few rows times one panel, sums held in registers.

use crate::simd::{Simd, TILE_VECTORS};

/// Sums of `R` rows and one panel.
pub(crate) type Sums<S, const R: usize> = [[<S as Simd>::V; TILE_VECTORS]; R];

/// Adds `a[r] · panel` over `k` steps to `sums`, step after step.
///
/// `a[r]` points to the row's first value; `panel` holds `k` rows of the panel's
/// width; `ahead`, if not null, is prefetched a line a step.
///
/// # Safety
/// The pointers are good for `k` steps; the processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd, const R: usize>(
    k: usize,
    a: [*const f32; R],
    panel: *const f32,
    ahead: *const f32,
    sums: &mut Sums<S, R>,
) {
    // SAFETY: promised by the caller; a prefetch may point anywhere.
    unsafe {
        let mut acc = *sums;
        for p in 0..k {
            let row = panel.add(p * TILE_VECTORS * S::LANES);
            let b: [S::V; TILE_VECTORS] = [
                S::load(row),
                S::load(row.add(S::LANES)),
                S::load(row.add(2 * S::LANES)),
                S::load(row.add(3 * S::LANES)),
            ];
            if !ahead.is_null() {
                S::prefetch(ahead.wrapping_add(p * 16));
            }
            for r in 0..R {
                let x = S::splat(*a[r].add(p));
                for v in 0..TILE_VECTORS {
                    acc[r][v] = S::fma(x, b[v], acc[r][v]);
                }
            }
        }
        *sums = acc;
    }
}

/// Work on tiles of any number of rows.
pub(crate) trait Tile<S: Simd> {
    /// Handles rows `first..first + R`; `index` counts the tiles of the walk,
    /// `of` is how many there are.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    unsafe fn rows<const R: usize>(&mut self, first: usize, index: usize, of: usize);
}

/// Cuts `rows` into tiles of nearly equal height, at most [`Simd::ROWS`].
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn for_tiles<S: Simd, T: Tile<S>>(rows: usize, tile: &mut T) {
    let of = rows.div_ceil(S::ROWS);
    let mut first = 0;
    for index in 0..of {
        let height = (rows - first).div_ceil(of - index);
        // SAFETY: promised by the caller.
        unsafe {
            match height {
                1 => tile.rows::<1>(first, index, of),
                2 => tile.rows::<2>(first, index, of),
                3 => tile.rows::<3>(first, index, of),
                4 => tile.rows::<4>(first, index, of),
                5 => tile.rows::<5>(first, index, of),
                _ => tile.rows::<6>(first, index, of),
            }
        }
        first += height;
    }
}

//! The innermost loop: a few rows times one panel, sums held in registers.

use super::Format;
use crate::{
    Isa,
    simd::{Simd, TILE_VECTORS},
};

/// Sums of a row and one panel.
pub(crate) type RowSums<S> = [<S as Simd>::V; TILE_VECTORS];

/// Rows of a left operand, and one panel of the right one.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    pub(crate) isa: Isa,
    /// The panel, word by word.
    pub(crate) panel: *const f32,
    /// Words of the inner dimension.
    pub(crate) words: usize,
    /// What the sums of the panel's columns start from, if the format asks.
    pub(crate) starts: *const f32,
    /// The first row.
    pub(crate) rows: *const f32,
    /// Words between two rows.
    pub(crate) stride: usize,
    /// How many rows; those of short numbers have room up to a multiple of 16.
    pub(crate) count: usize,
    /// A line of it a word is fetched ahead of its use, if it is not null.
    pub(crate) ahead: *const f32,
    pub(crate) ahead_len: usize,
}

/// What is done with the sums of a row.
pub(crate) trait Tile<S: Simd> {
    /// What the sums of a row start from; asked for [`Format::CHAINED`] only.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    unsafe fn start(&mut self, row: usize) -> RowSums<S>;

    /// Takes the sums of a row.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    unsafe fn take(&mut self, row: usize, sums: RowSums<S>);
}

/// Multiplies the rows of a walk in tiles of nearly equal height, at most
/// [`Simd::ROWS`].
///
/// # Safety
/// The pointers of the walk are good, and the processor has the features of `S`.
#[inline(always)]
pub(crate) unsafe fn for_tiles<S: Simd, F: Format, T: Tile<S>>(walk: &Walk, tile: &mut T) {
    #[cfg(target_arch = "x86_64")]
    if walk.isa == Isa::Amx && !F::CHAINED && walk.words > 0 {
        // SAFETY: promised by the caller.
        return unsafe { on_amx::<S, F, T>(walk, tile) };
    }
    let of = walk.count.div_ceil(S::ROWS);
    let mut first = 0;
    for index in 0..of {
        let height = (walk.count - first).div_ceil(of - index);
        // Each tile of this panel fetches its part of what comes next.
        let ahead = walk.ahead.wrapping_add(index * (walk.ahead_len / of));
        let ahead = if walk.ahead.is_null() { walk.ahead } else { ahead };
        // SAFETY: promised by the caller.
        unsafe {
            match height {
                1 => rows::<S, F, T, 1>(walk, first, ahead, tile),
                2 => rows::<S, F, T, 2>(walk, first, ahead, tile),
                3 => rows::<S, F, T, 3>(walk, first, ahead, tile),
                4 => rows::<S, F, T, 4>(walk, first, ahead, tile),
                5 => rows::<S, F, T, 5>(walk, first, ahead, tile),
                _ => rows::<S, F, T, 6>(walk, first, ahead, tile),
            }
        }
        first += height;
    }
}

/// One tile: `R` rows from `first` on.
///
/// # Safety
/// As [`for_tiles`].
#[inline(always)]
unsafe fn rows<S: Simd, F: Format, T: Tile<S>, const R: usize>(
    walk: &Walk,
    first: usize,
    ahead: *const f32,
    tile: &mut T,
) {
    // SAFETY: promised by the caller; a prefetch may point anywhere.
    unsafe {
        let start = F::start::<S>(walk.starts);
        let mut sums = [start; R];
        if F::CHAINED {
            for (r, sums) in sums.iter_mut().enumerate() {
                *sums = tile.start(first + r);
            }
        }
        let a: [*const f32; R] = std::array::from_fn(|r| walk.rows.add((first + r) * walk.stride));
        for p in 0..walk.words {
            let row = walk.panel.add(p * TILE_VECTORS * S::LANES);
            let b: RowSums<S> = [
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
                    sums[r][v] = F::dot::<S>(sums[r][v], x, b[v]);
                }
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            tile.take(first + r, sums);
        }
    }
}

/// The same on the tiles of AMX.
///
/// # Safety
/// As [`for_tiles`], and the processor has tiles.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn on_amx<S: Simd, F: Format, T: Tile<S>>(walk: &Walk, tile: &mut T) {
    use super::amx::{ROWS, Sums, Tiles, WIDTH};
    // SAFETY: promised by the caller; sums are as wide as a panel.
    unsafe {
        let tiles = Tiles::new();
        let mut sums = Sums([0.0; ROWS * WIDTH]);
        for first in (0..walk.count).step_by(ROWS) {
            let rows = walk.rows.add(first * walk.stride);
            tiles.multiply(F::PRECISION, walk.words, rows, walk.stride, walk.panel, &mut sums);
            for row in first..walk.count.min(first + ROWS) {
                let from = sums.0.as_ptr().add((row - first) * WIDTH);
                tile.take(row, std::array::from_fn(|v| S::load(from.add(v * S::LANES))));
            }
        }
    }
}

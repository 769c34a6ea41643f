//! Whole products over packed panels, on all threads of the current pool.

use rayon::prelude::*;

use super::{K_BLOCK, Packed, Sums, Tile, for_tiles, tile};
use crate::{
    buffer::{Buffer, Shared},
    simd::{Kernel, Simd, TILE_VECTORS},
};

/// Rows of a group whose transposed left operand is copied together.
const GROUP: usize = 96;
/// Multiplications under which a product stays on one thread.
const PARALLEL: usize = 1 << 20;

/// The left operand, `[m, k]`.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// Row-major `[m, k]`.
    Major(&'a [f32]),
    /// The transpose of a row-major `[k, m]`.
    Transposed(&'a [f32]),
}

/// What the sums start from.
#[derive(Clone, Copy, Debug)]
pub enum Init<'a> {
    /// Zero.
    Zero,
    /// What the output holds.
    Add,
    /// A row of `n` values, added to every row.
    Bias(&'a [f32]),
}

/// `c = init + a · b`, with `c` row-major `[m, n]`, on all threads of the current pool.
///
/// # Panics
/// If a length does not fit its shape.
pub fn product(a: Rows<'_>, m: usize, b: &Packed, init: Init<'_>, c: &mut [f32]) {
    product_on(rayon::current_num_threads(), a, m, b, init, c);
}

/// As [`product`], cut for a number of threads; 1 stays on the caller's.
///
/// # Panics
/// If a length does not fit its shape.
pub(crate) fn product_on(
    threads: usize,
    a: Rows<'_>,
    m: usize,
    b: &Packed,
    init: Init<'_>,
    c: &mut [f32],
) {
    let (Rows::Major(values) | Rows::Transposed(values)) = a;
    assert_eq!(Some(values.len()), m.checked_mul(b.k()), "left operand of a product");
    assert_eq!(Some(c.len()), m.checked_mul(b.n()), "output of a product");
    if let Init::Bias(bias) = init {
        assert_eq!(bias.len(), b.n(), "bias of a product");
    }
    if m == 0 || b.n() == 0 {
        return;
    }
    let multiplications = c.len().saturating_mul(b.k());
    let c = Shared(c.as_mut_ptr());
    let work = |rows: (usize, usize), panels: (usize, usize)| {
        b.isa().run(Block { a, m, b, init, c, rows, panels });
    };
    if threads == 1 || multiplications < PARALLEL {
        work((0, m), (0, b.panels()));
    } else if m >= 2 * GROUP * threads {
        let groups = m.div_ceil(GROUP);
        (0..groups).into_par_iter().with_max_len(groups.div_ceil(4 * threads)).for_each(|group| {
            work((group * GROUP, m.min((group + 1) * GROUP)), (0, b.panels()));
        });
    } else {
        let chunks = b.panels().min(4 * threads);
        (0..chunks).into_par_iter().for_each(|chunk| {
            let at = |chunk: usize| chunk * b.panels() / chunks;
            work((0, m), (at(chunk), at(chunk + 1)));
        });
    }
}

/// The part of a product that one thread computes.
struct Block<'a> {
    a: Rows<'a>,
    m: usize,
    b: &'a Packed,
    init: Init<'a>,
    c: Shared,
    rows: (usize, usize),
    panels: (usize, usize),
}

impl Kernel for Block<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (start, end) = self.rows;
        let k = self.b.k();
        let mut copy = match self.a {
            Rows::Major(_) => Buffer::default(),
            Rows::Transposed(_) => Buffer::zeros(GROUP * K_BLOCK.min(k)),
        };
        for first in (start..end).step_by(GROUP) {
            let last = end.min(first + GROUP);
            // A product over nothing still writes its start values.
            for k0 in (0..k.max(1)).step_by(K_BLOCK) {
                let depth = K_BLOCK.min(k - k0);
                let (a, stride) = match self.a {
                    Rows::Major(a) => (a[first * k + k0..].as_ptr(), k),
                    Rows::Transposed(a) => {
                        transpose(a, self.m, first..last, k0, depth, &mut copy);
                        (copy.as_ptr(), depth)
                    }
                };
                for panel in self.panels.0..self.panels.1 {
                    let mut strip = Strip { block: &self, a, stride, first, k0, depth, panel };
                    // SAFETY: the features are promised by the caller, and the
                    // lengths were checked by `product`.
                    unsafe { for_tiles::<S, _>(last - first, &mut strip) };
                }
            }
        }
    }
}

/// Copies `rows` of the transpose of `a`, `[k, m]`, from `k0` on, `depth` deep.
fn transpose(
    a: &[f32],
    m: usize,
    rows: std::ops::Range<usize>,
    k0: usize,
    depth: usize,
    to: &mut [f32],
) {
    for p in 0..depth {
        let from = &a[(k0 + p) * m..];
        for (i, row) in rows.clone().enumerate() {
            to[i * depth + p] = from[row];
        }
    }
}

/// A group of rows times one block of one panel.
struct Strip<'a, 'b> {
    block: &'b Block<'a>,
    a: *const f32,
    stride: usize,
    first: usize,
    k0: usize,
    depth: usize,
    panel: usize,
}

impl<S: Simd> Tile<S> for Strip<'_, '_> {
    #[inline(always)]
    unsafe fn rows<const R: usize>(&mut self, row: usize, _: usize, _: usize) {
        let Block { b, init, c, .. } = *self.block;
        let (n, width) = (b.n(), TILE_VECTORS * S::LANES);
        let column = self.panel * width;
        let columns = width.min(n - column);
        // SAFETY: rows and columns lie in `c`, and no other block has them;
        // the rest was promised by the caller.
        unsafe {
            let mut sums: Sums<S, R> = [[S::splat(0.0); TILE_VECTORS]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                let out = c.at((self.first + row + r) * n + column);
                match init {
                    _ if self.k0 > 0 => read::<S>(out, columns, sums),
                    Init::Zero => {}
                    Init::Add => read::<S>(out, columns, sums),
                    Init::Bias(bias) => read::<S>(bias[column..].as_ptr(), columns, sums),
                }
            }
            let a = std::array::from_fn(|r| self.a.add((row + r) * self.stride));
            let panel = b.panel(self.panel, self.k0).as_ptr();
            tile::<S, R>(self.depth, a, panel, std::ptr::null(), &mut sums);
            for (r, sums) in sums.iter().enumerate() {
                write::<S>(sums, columns, c.at((self.first + row + r) * n + column));
            }
        }
    }
}

/// Reads `columns` values into a row of sums.
///
/// # Safety
/// `from` holds them, and the processor has the features of `S`.
#[inline(always)]
unsafe fn read<S: Simd>(from: *const f32, columns: usize, sums: &mut [S::V; TILE_VECTORS]) {
    // SAFETY: promised by the caller; the array is as wide as a panel can be.
    unsafe {
        let mut row = [0.0; 64];
        let from = if columns == TILE_VECTORS * S::LANES {
            from
        } else {
            row[..columns].copy_from_slice(std::slice::from_raw_parts(from, columns));
            row.as_ptr()
        };
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = S::load(from.add(v * S::LANES));
        }
    }
}

/// Writes `columns` values of a row of sums.
///
/// # Safety
/// `to` has room for them, and the processor has the features of `S`.
#[inline(always)]
unsafe fn write<S: Simd>(sums: &[S::V; TILE_VECTORS], columns: usize, to: *mut f32) {
    // SAFETY: promised by the caller; the array is as wide as a panel can be.
    unsafe {
        let mut row = [0.0; 64];
        let whole = columns == TILE_VECTORS * S::LANES;
        let out = if whole { to } else { row.as_mut_ptr() };
        for (v, &sum) in sums.iter().enumerate() {
            S::store(out.add(v * S::LANES), sum);
        }
        if !whole {
            std::slice::from_raw_parts_mut(to, columns).copy_from_slice(&row[..columns]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| (((i + 1) * (seed + 37) * 7919 % 2003) as f32 - 1001.0) / 1001.0).collect()
    }

    fn naive(a: &[f32], b: &[f32], m: usize, k: usize, n: usize) -> Vec<f64> {
        let mut c = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                c[i * n + j] =
                    (0..k).map(|p| f64::from(a[i * k + p]) * f64::from(b[p * n + j])).sum();
            }
        }
        c
    }

    #[test]
    fn equals_plain_loops_for_every_shape_and_set() {
        for &isa in Isa::available() {
            for (m, k, n) in
                [(1, 1, 1), (3, 5, 7), (13, 600, 70), (200, 17, 64), (7, 0, 3), (500, 33, 130)]
            {
                let (a, b) = (values(m * k, 1), values(k * n, 2));
                let want = naive(&a, &b, m, k, n);
                let at: Vec<f32> = (0..k * m).map(|i| a[i % m * k + i / m]).collect();
                let bt: Vec<f32> = (0..k * n).map(|i| b[i % k * n + i / k]).collect();
                for packed in [Packed::new(isa, &b, k, n), Packed::transposed(isa, &bt, n, k)] {
                    for a in [Rows::Major(&a), Rows::Transposed(&at)] {
                        let bias = values(n, 3);
                        let mut c = vec![f32::NAN; m * n];
                        product(a, m, &packed, Init::Bias(&bias), &mut c);
                        product(a, m, &packed, Init::Add, &mut c);
                        for i in 0..m * n {
                            let want = 2.0 * want[i] + f64::from(bias[i % n]);
                            assert!((f64::from(c[i]) - want).abs() < 1e-3, "{m} {k} {n} {isa:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_rows_or_threads() {
        let (k, n) = (777, 200);
        let (a, b) = (values(400 * k, 4), values(k * n, 5));
        let packed = Packed::new(Isa::detect(), &b, k, n);
        let mut all = vec![0.0; 400 * n];
        product(Rows::Major(&a), 400, &packed, Init::Zero, &mut all);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for rows in [1, 2, 5, 9, 64] {
                let mut some = vec![0.0; rows * n];
                pool.install(|| {
                    product(Rows::Major(&a[..rows * k]), rows, &packed, Init::Zero, &mut some);
                });
                assert!(some.iter().zip(&all).all(|(x, y)| x.to_bits() == y.to_bits()));
            }
        }
    }
}

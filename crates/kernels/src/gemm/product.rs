//! Whole products over packed panels, on all threads of the current pool.

use std::marker::PhantomData;

use rayon::prelude::*;

use super::{Bf16, F32, Format, Int8, Packed, Precision, RowSums, Tile, Walk, Words, for_tiles};
use crate::{
    buffer::{Buffer, Shared, apart},
    simd::{Kernel, Simd, TILE_VECTORS},
};

/// Words of the inner dimension of `f32` worked through before the next panel.
const K_BLOCK: usize = 512;

/// Rows of a group whose transposed left operand is copied together.
const GROUP: usize = 96;
/// Multiplications under which a product stays on one thread.
const PARALLEL: usize = 1 << 20;

/// The left operand, `[m, k]`.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// Row-major `[m, k]`.
    Major(&'a [f32]),
    /// The same, rows starting so many values apart; the last may end with `k`.
    Apart(&'a [f32], usize),
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
    match a {
        Rows::Major(values) => {
            assert_eq!(Some(values.len()), m.checked_mul(b.k()), "left operand of a product");
        }
        Rows::Apart(values, stride) => {
            let last = m.saturating_sub(1).checked_mul(stride);
            let end = last.and_then(|last| last.checked_add(b.k()));
            let fits = stride >= b.k() && end.is_some_and(|end| end <= values.len());
            assert!(fits || m == 0, "left operand of a product");
        }
    }
    assert_eq!(Some(c.len()), m.checked_mul(b.n()), "output of a product");
    if let Init::Bias(bias) = init {
        assert_eq!(bias.len(), b.n(), "bias of a product");
    }
    if m == 0 || b.n() == 0 {
        return;
    }
    let multiplications = c.len().saturating_mul(b.k());
    let c = Shared(c.as_mut_ptr());
    let work = |words: Option<&Words>, rows: (usize, usize), panels: (usize, usize)| {
        let block = Block { a, words, b, init, c, rows, panels };
        match b.precision() {
            Precision::F32 => b.isa().run(block),
            Precision::Bf16 => b.isa().run_short(Short(block, Bf16)),
            Precision::Int8 => b.isa().run_short(Short(block, Int8)),
        }
    };
    if threads == 1 || multiplications < PARALLEL {
        work(None, (0, m), (0, b.panels()));
    } else if m >= 2 * GROUP * threads {
        let groups = m.div_ceil(GROUP);
        (0..groups).into_par_iter().with_max_len(groups.div_ceil(4 * threads)).for_each(|group| {
            work(None, (group * GROUP, m.min((group + 1) * GROUP)), (0, b.panels()));
        });
    } else {
        let chunks = b.panels().min(4 * threads);
        let words = (b.precision() != Precision::F32).then(|| Words::of(a, m, b));
        (0..chunks).into_par_iter().for_each(|chunk| {
            let at = |chunk: usize| chunk * b.panels() / chunks;
            work(words.as_ref(), (0, m), (at(chunk), at(chunk + 1)));
        });
    }
}

/// The part of a product that one thread computes.
struct Block<'a> {
    a: Rows<'a>,
    /// The same as words, if somebody made them for all blocks.
    words: Option<&'a Words>,
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
        let padded = apart(K_BLOCK.min(k));
        let mut copy = match self.a {
            Rows::Major(_) if apart(k) != k.next_multiple_of(16) => Buffer::zeros(GROUP * padded),
            _ => Buffer::default(),
        };
        for first in (start..end).step_by(GROUP) {
            let last = end.min(first + GROUP);
            // A product over nothing still writes its start values.
            for k0 in (0..k.max(1)).step_by(K_BLOCK) {
                let depth = K_BLOCK.min(k - k0);
                let (rows, stride) = match self.a {
                    Rows::Major(a) if copy.is_empty() => (a[first * k + k0..].as_ptr(), k),
                    Rows::Major(a) => {
                        let rows = copy.chunks_exact_mut(padded).zip(first..last);
                        for (to, row) in rows {
                            to[..depth].copy_from_slice(&a[row * k + k0..][..depth]);
                        }
                        (copy.as_ptr(), padded)
                    }
                    Rows::Apart(a, stride) => (a[first * stride + k0..].as_ptr(), stride),
                };
                let part = Part {
                    first: k0,
                    words: depth,
                    rows,
                    stride,
                    scales: None,
                    init: if k0 > 0 { Init::Add } else { self.init },
                };
                // SAFETY: the features are promised by the caller, and the
                // lengths were checked by `product`.
                unsafe { self.strips::<S, F32>(first..last, part) };
            }
        }
    }
}

/// A part of a product of short numbers.
struct Short<'a, F>(Block<'a>, F);

impl<F: Format> Kernel for Short<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let block = self.0;
        let ((start, end), k) = (block.rows, block.b.k());
        // Sums of integers are made in one go.
        let deepest = match F::PRECISION {
            Precision::Int8 => k,
            _ => K_BLOCK * F::PRECISION.per_word(),
        };
        let group = if block.words.is_some() { 0 } else { GROUP.min(end - start) };
        let mut own = Words::zeros(block.b, group);
        for first in (start..end).step_by(GROUP) {
            let last = end.min(first + GROUP);
            let (words, row) = match block.words {
                Some(words) => (words, first),
                None => {
                    block.encode(first..last, &mut own);
                    (&own, 0)
                }
            };
            for k0 in (0..k.max(1)).step_by(deepest.max(1)) {
                let depth = deepest.min(k - k0);
                let word = k0 / F::PRECISION.per_word();
                let count = match k0 + depth == k {
                    true => block.b.words() - word,
                    false => depth / F::PRECISION.per_word(),
                };
                let part = Part {
                    first: word,
                    words: count,
                    rows: words.row(row).wrapping_add(word),
                    stride: words.stride(),
                    scales: Some((words, row)),
                    init: if k0 > 0 { Init::Add } else { block.init },
                };
                // SAFETY: the features are promised by the caller, and the lengths
                // were checked by `product`.
                unsafe { block.strips::<S, F>(first..last, part) };
            }
        }
    }
}

/// Rows and the part of every panel that they are multiplied with.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// The first word of the panels.
    first: usize,
    words: usize,
    rows: *const f32,
    stride: usize,
    /// Where the rows' scales are, from a row on, if the format has some.
    scales: Option<(&'a Words, usize)>,
    init: Init<'a>,
}

impl Block<'_> {
    /// Turns rows into words.
    fn encode(&self, rows: std::ops::Range<usize>, to: &mut Words) {
        let k = self.b.k();
        let (values, width) = match self.a {
            Rows::Major(values) => (values, k),
            Rows::Apart(values, width) => (values, width),
        };
        for row in rows.clone() {
            to.set(row - rows.start, &values[row * width..][..k]);
        }
    }

    /// A group of rows times a part of every panel.
    ///
    /// # Safety
    /// The pointer is good for so much; the processor has the features of `S`.
    #[inline(always)]
    unsafe fn strips<S: Simd, F: Format>(&self, range: std::ops::Range<usize>, part: Part<'_>) {
        for panel in self.panels.0..self.panels.1 {
            let next = match part.first + part.words {
                _ if panel + 1 < self.panels.1 => self.b.panel(panel + 1, part.first),
                word if word < self.b.words() => self.b.panel(self.panels.0, word),
                _ => &[],
            };
            let walk = Walk {
                isa: self.b.isa(),
                panel: self.b.panel(panel, part.first).as_ptr(),
                words: part.words,
                starts: self.b.starts(panel).as_ptr(),
                rows: part.rows,
                stride: part.stride,
                count: range.len(),
                ahead: if next.is_empty() { std::ptr::null() } else { next.as_ptr() },
                ahead_len: next.len().min(part.words * self.b.width()),
            };
            let (first, format) = (range.start, PhantomData::<F>);
            let mut strip = Strip { block: self, part, first, panel, format };
            // SAFETY: promised by the caller.
            unsafe { for_tiles::<S, F, _>(&walk, &mut strip) };
        }
    }
}

/// A group of rows times a part of one panel.
struct Strip<'a, 'b, F> {
    block: &'b Block<'a>,
    part: Part<'b>,
    first: usize,
    panel: usize,
    format: PhantomData<F>,
}

impl<F> Strip<'_, '_, F> {
    /// Where a row of the panel's columns lies in the output, and how many
    /// there are.
    #[inline(always)]
    fn place<S: Simd>(&self, row: usize) -> (*mut f32, usize) {
        let (n, width) = (self.block.b.n(), TILE_VECTORS * S::LANES);
        let column = self.panel * width;
        // SAFETY: row and column lie in the output.
        (unsafe { self.block.c.at((self.first + row) * n + column) }, width.min(n - column))
    }

    /// What is added to the product.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    #[inline(always)]
    unsafe fn init<S: Simd>(&self, row: usize) -> RowSums<S> {
        let (out, columns) = self.place::<S>(row);
        // SAFETY: the features are promised by the caller; the output and the
        // bias have so many columns.
        unsafe {
            let mut sums = [S::splat(0.0); TILE_VECTORS];
            match self.part.init {
                Init::Zero => {}
                Init::Add => read::<S>(out, columns, &mut sums),
                Init::Bias(bias) => {
                    let bias = bias[self.panel * TILE_VECTORS * S::LANES..].as_ptr();
                    read::<S>(bias, columns, &mut sums);
                }
            }
            sums
        }
    }
}

impl<S: Simd, F: Format> Tile<S> for Strip<'_, '_, F> {
    #[inline(always)]
    unsafe fn start(&mut self, row: usize) -> RowSums<S> {
        // SAFETY: promised by the caller.
        unsafe { self.init::<S>(row) }
    }

    #[inline(always)]
    unsafe fn take(&mut self, row: usize, mut sums: RowSums<S>) {
        let (out, columns) = self.place::<S>(row);
        // SAFETY: rows and columns lie in the output, and no other block has
        // them; a panel's scales are whole vectors; the rest was promised by
        // the caller.
        unsafe {
            if !F::CHAINED {
                let scale = self.part.scales.map_or(1.0, |(words, first)| words.scale(first + row));
                let scales = self.block.b.scales(self.panel).as_ptr();
                let init = self.init::<S>(row);
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = F::value::<S>(*sum, scale, scales.wrapping_add(v * S::LANES), init[v]);
                }
            }
            write::<S>(&sums, columns, out);
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
    use crate::{
        Isa,
        gemm::format::{scale_of, write_bf16, write_int8},
    };

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| (((i + 1) * (seed + 37) * 7919 % 2003) as f32 - 1001.0) / 1001.0).collect()
    }

    /// Rows `k + 3` apart, with nothing that counts between them.
    fn wide(a: &[f32], m: usize, k: usize) -> Vec<f32> {
        let mut wide = vec![f32::NAN; m * (k + 3)];
        for (to, from) in wide.chunks_mut(k + 3).zip(a.chunks(k.max(1))) {
            to[..k].copy_from_slice(from);
        }
        wide
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
                let bt: Vec<f32> = (0..k * n).map(|i| b[i % k * n + i / k]).collect();
                for packed in [
                    Packed::new(isa, Precision::F32, &b, k, n),
                    Packed::transposed(isa, Precision::F32, &bt, n, k),
                ] {
                    let wide = wide(&a, m, k);
                    for a in [Rows::Major(&a), Rows::Apart(&wide, k + 3)] {
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

    /// Rows as a format holds them.
    fn rounded(values: &[f32], width: usize, precision: Precision) -> Vec<f32> {
        let row = |row: &[f32]| -> Vec<f32> {
            match precision {
                Precision::F32 => row.to_vec(),
                Precision::Bf16 => {
                    let mut halves = vec![0; row.len()];
                    write_bf16(row, &mut halves);
                    halves.iter().map(|&h| f32::from_bits(u32::from(h) << 16)).collect()
                }
                Precision::Int8 => {
                    let (scale, mut bytes) = (scale_of(row), vec![0; row.len()]);
                    write_int8(row, scale, 0, &mut bytes);
                    bytes.iter().map(|&b| f32::from(b as i8) * scale).collect()
                }
            }
        };
        values.chunks(width.max(1)).flat_map(row).collect()
    }

    #[test]
    fn short_numbers_equal_plain_loops_over_rounded_operands_on_every_set() {
        for precision in [Precision::Bf16, Precision::Int8] {
            let mut integers = Vec::new();
            for &isa in Isa::available() {
                for (m, k, n) in
                    [(1, 1, 1), (3, 5, 7), (17, 600, 70), (200, 17, 64), (7, 0, 3), (97, 130, 130)]
                {
                    let (a, bt) = (values(m * k, 1), values(n * k, 2));
                    let packed = Packed::transposed(isa, precision, &bt, n, k);
                    let b: Vec<f32> = (0..k * n).map(|i| bt[i % n * k + i / n]).collect();
                    let other = Packed::new(isa, precision, &b, k, n);
                    let (ra, rb) = (rounded(&a, k, precision), rounded(&bt, k, precision));
                    let rb: Vec<f32> = (0..k * n).map(|i| rb[i % n * k + i / n]).collect();
                    let (want, bias) = (naive(&ra, &rb, m, k, n), values(n, 3));
                    let mut both = Vec::new();
                    let wide = wide(&a, m, k);
                    let both_rows = [(Rows::Major(&a), packed), (Rows::Apart(&wide, k + 3), other)];
                    for (a, packed) in both_rows {
                        let mut c = vec![f32::NAN; m * n];
                        product(a, m, &packed, Init::Bias(&bias), &mut c);
                        product(a, m, &packed, Init::Add, &mut c);
                        for i in 0..m * n {
                            let want = 2.0 * want[i] + f64::from(bias[i % n]);
                            let error = (f64::from(c[i]) - want).abs();
                            assert!(error < 1e-3, "{m} {k} {n} {isa:?} {precision:?} {error}");
                        }
                        both.push(c);
                    }
                    assert_eq!(both[0], both[1]);
                    integers.extend(both.pop());
                }
            }
            // Sums of integers are exact, so only the last steps may round otherwise.
            if precision == Precision::Int8 {
                let sets = Isa::available().len();
                for set in integers.chunks(integers.len() / sets).take(sets - 1) {
                    assert_eq!(set, &integers[..set.len()]);
                }
            }
        }
    }

    #[test]
    fn an_inner_dimension_too_large_for_integers_is_packed_in_halves() {
        let k = 1 << 16;
        let packed = Packed::transposed(Isa::detect(), Precision::Int8, &vec![1.0; k], 1, k);
        assert_eq!(packed.precision(), Precision::Bf16);
        let mut c = [0.0];
        product(Rows::Major(&vec![1.0; k]), 1, &packed, Init::Zero, &mut c);
        assert_eq!(c, [k as f32]);
    }

    #[test]
    fn bits_do_not_depend_on_rows_or_threads() {
        for precision in Precision::ALL {
            bits_of(precision);
        }
    }

    fn bits_of(precision: Precision) {
        let (k, n) = (777, 200);
        let (a, b) = (values(400 * k, 4), values(k * n, 5));
        let packed = Packed::transposed(Isa::detect(), precision, &b, n, k);
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

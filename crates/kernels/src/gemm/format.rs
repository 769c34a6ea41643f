//! The number formats of a product's operands.
//!
//! Every operand is a matrix of 32-bit words along the inner dimension: a word
//! is one `f32`, two `bf16` or four 8-bit integers. A tile multiplies word by
//! word, whatever the format.

use crate::simd::{Simd, TILE_VECTORS};

/// Number format of packed weights, and of what is multiplied with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// The upper half of a 32-bit float, rounded to nearest; sums in `f32`.
    Bf16,
    /// 8-bit integers within ±127: weights with one scale a column of the
    /// product, what is multiplied with them with one scale a row, found when
    /// it is computed (its largest magnitude is 127); sums are exact integers.
    Int8,
}

impl Precision {
    /// Every format there is.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// Values in a word.
    pub(crate) fn per_word(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Bf16 => 2,
            Self::Int8 => 4,
        }
    }

    /// Words of `k` values; those of short numbers fill whole tiles of AMX.
    pub(crate) fn words(self, k: usize) -> usize {
        match self {
            Self::F32 => k,
            Self::Bf16 | Self::Int8 => k.div_ceil(self.per_word()).next_multiple_of(16),
        }
    }
}

/// A format, known to the compiler.
pub(crate) trait Format: Copy {
    /// Its name at run time.
    const PRECISION: Precision;
    /// Whether sums are `f32` that may start from any value.
    const CHAINED: bool;

    /// `sum` plus the product of the words of `a` and `b`, lane by lane.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    unsafe fn dot<S: Simd>(sum: S::V, a: S::V, b: S::V) -> S::V;

    /// What the sums of a panel start from, if not from given values;
    /// `starts` is [`Packed::starts`](super::Packed::starts) of the panel.
    ///
    /// # Safety
    /// The processor has the features of `S`, and the pointer is good if the
    /// format has starts.
    #[inline(always)]
    unsafe fn start<S: Simd>(starts: *const f32) -> [S::V; TILE_VECTORS] {
        let _ = starts;
        // SAFETY: promised by the caller.
        unsafe { [S::splat(0.0); TILE_VECTORS] }
    }

    /// `add` plus the value of a sum, given the scale of its row and a pointer
    /// to those of its columns.
    ///
    /// # Safety
    /// The processor has the features of `S`, and the pointer is good if the
    /// format has scales.
    unsafe fn value<S: Simd>(sum: S::V, row: f32, columns: *const f32, add: S::V) -> S::V;
}

/// 32-bit floats.
#[derive(Clone, Copy)]
pub(crate) struct F32;

impl Format for F32 {
    const PRECISION: Precision = Precision::F32;
    const CHAINED: bool = true;

    #[inline(always)]
    unsafe fn dot<S: Simd>(sum: S::V, a: S::V, b: S::V) -> S::V {
        // SAFETY: promised by the caller.
        unsafe { S::fma(a, b, sum) }
    }

    #[inline(always)]
    unsafe fn value<S: Simd>(sum: S::V, _: f32, _: *const f32, _: S::V) -> S::V {
        sum
    }
}

/// The upper half of 32-bit floats.
#[derive(Clone, Copy)]
pub(crate) struct Bf16;

impl Format for Bf16 {
    const PRECISION: Precision = Precision::Bf16;
    const CHAINED: bool = false;

    #[inline(always)]
    unsafe fn dot<S: Simd>(sum: S::V, a: S::V, b: S::V) -> S::V {
        // SAFETY: promised by the caller.
        unsafe { S::dot_bf16(sum, a, b) }
    }

    #[inline(always)]
    unsafe fn value<S: Simd>(sum: S::V, _: f32, _: *const f32, add: S::V) -> S::V {
        // SAFETY: promised by the caller.
        unsafe { S::fma(sum, S::splat(1.0), add) }
    }
}

/// 8-bit integers.
#[derive(Clone, Copy)]
pub(crate) struct Int8;

impl Format for Int8 {
    const PRECISION: Precision = Precision::Int8;
    const CHAINED: bool = false;

    #[inline(always)]
    unsafe fn dot<S: Simd>(sum: S::V, a: S::V, b: S::V) -> S::V {
        // SAFETY: promised by the caller.
        unsafe { S::dot_int8(sum, a, b) }
    }

    #[inline(always)]
    unsafe fn start<S: Simd>(starts: *const f32) -> [S::V; TILE_VECTORS] {
        // SAFETY: promised by the caller.
        unsafe { std::array::from_fn(|v| S::load(starts.add(v * S::LANES))) }
    }

    #[inline(always)]
    unsafe fn value<S: Simd>(sum: S::V, row: f32, columns: *const f32, add: S::V) -> S::V {
        // SAFETY: promised by the caller.
        unsafe { S::fma(S::from_int(sum), S::mul(S::splat(row), S::load(columns)), add) }
    }
}

/// Scale of a row or column of 8-bit integers: what one of them is worth.
#[inline(always)]
pub(crate) fn scale_of(values: &[f32]) -> f32 {
    // The bits of magnitudes are in the order of their values.
    let top = values.iter().fold(0, |top, v| u32::max(top, v.to_bits() & 0x7FFF_FFFF));
    f32::from_bits(top) / 127.0
}

/// Writes values as 8-bit integers, every byte of `flip` turned over.
#[inline(always)]
pub(crate) fn write_int8(values: &[f32], scale: f32, flip: u8, to: &mut [u8]) {
    // Below, the last bits of a float are the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let times = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    for (to, value) in to.iter_mut().zip(values) {
        *to = (value * times + ROUND).to_bits() as u8 ^ flip;
    }
}

/// A value as `bf16`, rounded to nearest, ties to even.
#[inline(always)]
pub(crate) fn bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    (bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16) as u16
}

/// Two values as a word.
#[inline(always)]
pub(crate) fn bf16_word(low: f32, high: f32) -> f32 {
    f32::from_bits(u32::from(bf16(low)) | u32::from(bf16(high)) << 16)
}

/// Writes values as `bf16`.
#[inline(always)]
pub(crate) fn write_bf16(values: &[f32], to: &mut [u16]) {
    for (to, value) in to.iter_mut().zip(values) {
        *to = bf16(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_the_nearest_ones() {
        let values = [-3.0, 3.0, 1.0, -1.0, 0.011, -0.012, 0.013, 0.0];
        let scale = scale_of(&values);
        let mut bytes = [0; 8];
        write_int8(&values, scale, 0, &mut bytes);
        assert_eq!(bytes.map(|b| b as i8), [-127, 127, 42, -42, 0, -1, 1, 0]);
        write_int8(&values, scale, 128, &mut bytes);
        assert_eq!(bytes, [1, 255, 170, 86, 128, 127, 129, 128]);
        write_int8(&[0.0; 2], scale_of(&[0.0; 2]), 0, &mut bytes);
        assert_eq!(bytes[..2], [0, 0]);
    }

    #[test]
    fn halves_are_rounded_to_even() {
        let values = [1.0, -1.0, f32::from_bits(0x3F80_8000), f32::from_bits(0x3F81_8000), 1e-40];
        let mut halves = [0; 5];
        write_bf16(&values, &mut halves);
        assert_eq!(halves, [0x3F80, 0xBF80, 0x3F80, 0x3F82, 0x0001]);
    }
}

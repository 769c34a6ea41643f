//! The left operand of a product of short numbers.

use rayon::prelude::*;

use super::{
    Packed, Precision, Rows,
    format::{scale_of, write_bf16, write_int8},
};
use crate::{
    Isa,
    buffer::{Buffer, apart},
    simd::{Kernel, Simd},
};

/// Rows `[rows, k]` in the words that a packed operand is multiplied with.
#[derive(Debug)]
pub(crate) struct Words {
    isa: Isa,
    precision: Precision,
    stride: usize,
    data: Buffer,
    scales: Vec<f32>,
}

impl Words {
    /// Zeros to be multiplied with `b`.
    pub(crate) fn zeros(b: &Packed, rows: usize) -> Self {
        let stride = apart(b.words());
        // Tiles of AMX are 16 rows high.
        let mut data = Buffer::zeros(rows.next_multiple_of(16) * stride);
        if b.precision() == Precision::Int8 && b.isa().offset() > 0 {
            data.fill(f32::from_bits(u32::from_le_bytes([b.isa().offset(); 4])));
        }
        let (isa, precision) = (b.isa(), b.precision());
        Self { isa, precision, stride, data, scales: vec![0.0; rows] }
    }

    /// The first `m` rows of `a`, to be multiplied with `b`, on all threads.
    pub(super) fn of(a: Rows<'_>, m: usize, b: &Packed) -> Self {
        let (mut words, k) = (Self::zeros(b, m), b.k());
        let (values, width) = match a {
            Rows::Major(values) => (values, k),
            Rows::Apart(values, width) => (values, width),
        };
        let Self { isa, precision, stride, .. } = words;
        let rows = words.data.par_chunks_exact_mut(stride.max(1)).zip(&mut words.scales);
        rows.enumerate().with_min_len(8).for_each(|(row, (to, scale))| {
            let values = &values[row * width..row * width + k];
            isa.run(Encode { isa, precision, values, to, scale });
        });
        words
    }

    /// Words between two rows.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The words of a row, and of those below it.
    pub(crate) fn row(&self, row: usize) -> *const f32 {
        self.data[row * self.stride..].as_ptr()
    }

    /// The scale of a row of 8-bit integers.
    pub(crate) fn scale(&self, row: usize) -> f32 {
        self.scales[row]
    }

    /// Takes a row of values.
    pub(crate) fn set(&mut self, row: usize, values: &[f32]) {
        let Self { isa, precision, stride, .. } = *self;
        let to = &mut self.data[row * stride..(row + 1) * stride];
        isa.run(Encode { isa, precision, values, to, scale: &mut self.scales[row] });
    }

    /// Takes the first `k` of each `width` values as rows, from the first on.
    pub(crate) fn set_all(&mut self, values: &[f32], width: usize, k: usize) {
        for (row, values) in values.chunks_exact(width).enumerate() {
            self.set(row, &values[..k]);
        }
    }
}

/// Writes a row's words, and its scale if it is one of integers.
struct Encode<'a> {
    isa: Isa,
    precision: Precision,
    values: &'a [f32],
    to: &'a mut [f32],
    scale: &'a mut f32,
}

impl Kernel for Encode<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Encode { isa, precision, values, to, scale } = self;
        let (words, place) = (to.len(), to.as_mut_ptr());
        match precision {
            Precision::F32 => to[..values.len()].copy_from_slice(values),
            // SAFETY: any bits are halves of words, which there are enough of.
            Precision::Bf16 => unsafe {
                write_bf16(values, std::slice::from_raw_parts_mut(place.cast(), 2 * words));
            },
            // SAFETY: any bits are quarters of words, which there are enough of.
            Precision::Int8 => unsafe {
                *scale = scale_of(values);
                let to = std::slice::from_raw_parts_mut(place.cast(), 4 * words);
                write_int8(values, *scale, isa.offset(), to);
            },
        }
    }
}

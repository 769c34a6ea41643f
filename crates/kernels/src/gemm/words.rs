//! The left operand of a product of short numbers.

use super::{
    Packed, Precision,
    format::{scale_of, write_bf16, write_int8},
};
use crate::{
    Isa,
    buffer::Buffer,
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
        let stride = b.words();
        // Tiles of AMX are 16 rows high.
        let mut data = Buffer::zeros(rows.next_multiple_of(16) * stride);
        if b.precision() == Precision::Int8 && b.isa().offset() > 0 {
            data.fill(f32::from_bits(u32::from_le_bytes([b.isa().offset(); 4])));
        }
        let (isa, precision) = (b.isa(), b.precision());
        Self { isa, precision, stride, data, scales: vec![0.0; rows] }
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

    /// Takes rows from `first` on: the first `k` of each `width` values.
    pub(crate) fn set(&mut self, first: usize, values: &[f32], width: usize, k: usize) {
        self.isa.run(Encode { words: self, first, values, width, k });
    }
}

struct Encode<'a> {
    words: &'a mut Words,
    first: usize,
    values: &'a [f32],
    width: usize,
    k: usize,
}

impl Kernel for Encode<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Encode { words, first, values, width, k } = self;
        let stride = words.stride;
        for (row, values) in values.chunks_exact(width).enumerate() {
            let (row, values) = (first + row, &values[..k]);
            let to = &mut words.data[row * stride..(row + 1) * stride];
            match words.precision {
                Precision::F32 => to[..k].copy_from_slice(values),
                // SAFETY: any bits are halves of words, which there are enough of.
                // What lies behind `k` is zero, or is not read.
                Precision::Bf16 => unsafe {
                    let to = std::slice::from_raw_parts_mut(to.as_mut_ptr().cast(), 2 * stride);
                    write_bf16(values, to);
                },
                // SAFETY: any bits are quarters of words, which there are enough of.
                Precision::Int8 => unsafe {
                    let to = std::slice::from_raw_parts_mut(to.as_mut_ptr().cast(), 4 * stride);
                    let scale = scale_of(values);
                    words.scales[row] = scale;
                    write_int8(values, scale, words.isa.offset(), to);
                },
            }
        }
    }
}

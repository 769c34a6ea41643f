//! Packing the right operand, a panel a task.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    Packed, Precision,
    format::{bf16_word, scale_of, write_int8},
};
use crate::Isa;

/// Words of a column that are written before the next column's: as many as fill
/// a cache line of the row they are read from.
const LINE: usize = 16;

impl Packed {
    /// Packs `b`, row-major `[k, n]`.
    ///
    /// # Panics
    /// If `b` has another length, or this processor lacks the instruction set.
    pub fn new(isa: Isa, precision: Precision, b: &[f32], k: usize, n: usize) -> Self {
        assert_eq!(Some(b.len()), k.checked_mul(n), "right operand of a product");
        Self::of_rows(isa, precision, b, k, n, Some)
    }

    /// Packs the transpose of `b`, row-major `[n, k]`, as weights are stored.
    ///
    /// # Panics
    /// If `b` has another length, or this processor lacks the instruction set.
    pub fn transposed(isa: Isa, precision: Precision, b: &[f32], n: usize, k: usize) -> Self {
        assert_eq!(Some(b.len()), k.checked_mul(n), "right operand of a product");
        Self::of_columns(isa, precision, b, k, n, Some)
    }

    /// Packs `k` rows, row `p` being row `row_of(p)` of `b`, row-major `[_, n]`,
    /// or zeros.
    pub(crate) fn of_rows(
        isa: Isa,
        precision: Precision,
        b: &[f32],
        k: usize,
        n: usize,
        row_of: impl Fn(usize) -> Option<usize> + Sync,
    ) -> Self {
        if precision == Precision::Int8 {
            let value = |i: usize| row_of(i % k).map_or(0.0, |row| b[row * n + i / k]);
            let columns: Vec<f32> = (0..n * k).map(value).collect();
            return Self::transposed(isa, precision, &columns, n, k);
        }
        let mut packed = Self::zeros(isa, precision, k, n);
        let (width, size) = (packed.width(), packed.panel_size());
        let row = |p: usize| row_of(p).map(|row| &b[row * n..(row + 1) * n]);
        packed.data.par_chunks_mut(size).enumerate().for_each(|(panel, to)| {
            pack_panel(packed.precision, row, 0..k, panel * width, width, to);
        });
        packed
    }

    /// Packs `n` columns, column `j` being row `row_of(j)` of `b`, row-major
    /// `[_, k]`, or zeros.
    pub(crate) fn of_columns(
        isa: Isa,
        precision: Precision,
        b: &[f32],
        k: usize,
        n: usize,
        row_of: impl Fn(usize) -> Option<usize> + Sync,
    ) -> Self {
        let mut packed = Self::zeros(isa, precision, k, n);
        let (width, size) = (packed.width(), packed.panel_size());
        let column = |column: usize| match column < n {
            true => row_of(column).map(|row| &b[row * k..(row + 1) * k]),
            false => None,
        };
        if packed.precision == Precision::Int8 {
            for (j, values) in (0..n).filter_map(|j| Some((j, column(j)?))) {
                packed.set_int8(j, values);
            }
            return packed;
        }
        let is_short = packed.precision == Precision::Bf16;
        packed.data.par_chunks_mut(size).enumerate().for_each(|(panel, to)| {
            let columns: Vec<_> = (0..width).map(|j| column(panel * width + j)).collect();
            for (line, to) in to.chunks_mut(LINE * width).enumerate() {
                let first = line * LINE * packed.precision.per_word();
                for (j, values) in columns.iter().enumerate() {
                    let values = values.and_then(|values| values.get(first..)).unwrap_or_default();
                    let words = to[j..].iter_mut().step_by(width);
                    if is_short {
                        for (word, pair) in words.zip(values.chunks(2)) {
                            *word = bf16_word(pair[0], pair.get(1).copied().unwrap_or_default());
                        }
                    } else {
                        words.zip(values).for_each(|(word, value)| *word = *value);
                    }
                }
            }
        });
        packed
    }

    /// Writes a column as 8-bit integers.
    fn set_int8(&mut self, column: usize, values: &[f32]) {
        let (width, size) = (self.width(), self.panel_size());
        let mut bytes = vec![0; values.len().next_multiple_of(4)];
        self.scales[column] = scale_of(values);
        write_int8(values, self.scales[column], 0, &mut bytes);
        let sum: i32 = bytes.iter().map(|&byte| i32::from(byte as i8)).sum();
        let start = -i32::from(self.isa.offset()) * sum;
        self.starts[column] = f32::from_bits(start as u32);
        let first = column / width * size + column % width;
        let words = self.data.get_mut(first..).unwrap_or_default().iter_mut().step_by(width);
        for (word, bytes) in words.zip(bytes.as_chunks().0) {
            *word = f32::from_bits(u32::from_le_bytes(*bytes));
        }
    }

    /// Words of a panel; one if it has none, so that there are pieces of it.
    fn panel_size(&self) -> usize {
        (self.words * self.width()).max(1)
    }
}

/// Copies some rows to a panel that begins at a column of theirs; not for 8-bit
/// integers, which need their scales. A row that is `None` is zeros.
pub(crate) fn pack_panel<'b>(
    precision: Precision,
    row: impl Fn(usize) -> Option<&'b [f32]>,
    rows: Range<usize>,
    first: usize,
    width: usize,
    to: &mut [f32],
) {
    let part = |p: usize| match p < rows.end {
        true => row(p).map(|row| &row[first..row.len().min(first + width)]),
        false => None,
    };
    for (to, p) in to.chunks_exact_mut(width).zip(rows.clone().step_by(precision.per_word())) {
        let high = if precision == Precision::Bf16 { part(p + 1) } else { None };
        let columns = match (part(p), high) {
            (Some(low), Some(high)) => {
                let pairs = low.iter().zip(high);
                to.iter_mut().zip(pairs).for_each(|(to, (&a, &b))| *to = bf16_word(a, b));
                low.len()
            }
            (Some(low), None) if precision == Precision::Bf16 => {
                to.iter_mut().zip(low).for_each(|(to, &a)| *to = bf16_word(a, 0.0));
                low.len()
            }
            (None, Some(high)) => {
                to.iter_mut().zip(high).for_each(|(to, &b)| *to = bf16_word(0.0, b));
                high.len()
            }
            (Some(low), None) => {
                to[..low.len()].copy_from_slice(low);
                low.len()
            }
            (None, None) => 0,
        };
        to[columns..].fill(0.0);
    }
}

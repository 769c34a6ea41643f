//! What is counted in every line, and summed before anything is divided.

use crate::{Error, Result};

/// A score that is a function of summed statistics.
pub trait Summed: Sync {
    /// Score of summed statistics `[width]`, or of those of one line.
    ///
    /// # Panics
    /// If there are not `width` of them.
    fn value(&self, sums: &[f64]) -> f64;
}

/// Additive statistics of the lines of a corpus, `[lines, width]`.
///
/// What the columns mean is the metric's business. The score of any selection of
/// lines is a function of the sum of their rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    width: usize,
    values: Vec<f64>,
    n_references: Option<usize>,
}

impl Statistics {
    /// Rows of `width` values, of a corpus with that many references per line.
    pub(super) fn new(rows: Vec<Vec<f64>>, width: usize, n_references: Option<usize>) -> Self {
        debug_assert!(rows.iter().all(|row| row.len() == width));
        Self { width, values: rows.concat(), n_references }
    }

    /// Number of lines.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Number of values per line.
    pub fn width(&self) -> usize {
        self.width
    }

    /// References per line; `None` if their number varies.
    pub fn n_references(&self) -> Option<usize> {
        self.n_references
    }

    /// Statistics of a line, from 0: `[width]`.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn line(&self, index: usize) -> &[f64] {
        &self.values[index * self.width..][..self.width]
    }

    /// Sums over all lines: `[width]`.
    pub fn sums(&self) -> Vec<f64> {
        self.sums_of(0..self.len())
    }

    /// Sums over a selection of lines, which may name one several times: `[width]`.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn sums_of(&self, lines: impl IntoIterator<Item = usize>) -> Vec<f64> {
        let mut sums = vec![0.0; self.width];
        for line in lines {
            add(&mut sums, self.line(line));
        }
        sums
    }

    /// Refuses statistics of other lines or of another metric.
    pub(super) fn fits(&self, other: &Self) -> Result<()> {
        if (self.len(), self.width) == (other.len(), other.width) {
            return Ok(());
        }
        let [baseline, system] = [self, other].map(|of| [of.len(), of.width]);
        Err(Error::Incomparable { baseline, system })
    }
}

/// Adds `row` to `sums`.
pub(super) fn add(sums: &mut [f64], row: &[f64]) {
    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_summed_as_often_as_named() {
        let statistics = Statistics::new(vec![vec![1.0, 2.0], vec![10.0, 20.0]], 2, Some(1));
        assert_eq!((statistics.len(), statistics.width()), (2, 2));
        assert_eq!(statistics.sums(), [11.0, 22.0]);
        assert_eq!(statistics.sums_of([1, 0, 1]), [21.0, 42.0]);
        assert_eq!(statistics.sums_of([]), [0.0, 0.0]);
    }

    #[test]
    fn other_lines_are_refused() {
        let one = Statistics::new(vec![vec![1.0]], 1, Some(1));
        let two = Statistics::new(vec![vec![1.0], vec![1.0]], 1, Some(1));
        let error = one.fits(&two).unwrap_err().to_string();
        assert_eq!(error, "statistics of shape [1, 1] cannot be compared with those of [2, 1]");
    }
}

//! What a training pass reads.

use std::borrow::Cow;

use rayon::prelude::*;

use super::{CellWeights, Input};
use crate::{
    Error, Result,
    buffer::Shared,
    error::{expect_len, size},
};

/// Columns whose sums one task adds up.
const COLUMNS: usize = 256;

/// What a training pass reads, before the input weights.
#[derive(Clone, Copy, Debug)]
pub enum Features<'a> {
    /// One row a token, `[tokens, input_dim]`.
    Rows(&'a [f32]),
    /// Rows of a table, picked by an id a token: characters. The table goes
    /// through the input weights once, however many tokens there are.
    Table {
        /// `[items, input_dim]`
        table: &'a [f32],
        /// `[tokens]`
        ids: &'a [u32],
    },
}

impl<'a> Features<'a> {
    /// The rows, or the table.
    pub(super) fn matrix(self) -> &'a [f32] {
        match self {
            Self::Rows(matrix) | Self::Table { table: matrix, .. } => matrix,
        }
    }

    /// Checks the sizes for so many tokens; returns the rows of the matrix.
    pub(super) fn check(self, tokens: usize, input_dim: usize) -> Result<usize> {
        let rows = match self {
            Self::Rows(_) => tokens,
            Self::Table { table, ids } => {
                let limit = table.len() / input_dim.max(1);
                expect_len("ids", ids.len(), tokens)?;
                if let Some(&id) = ids.iter().find(|&&id| id as usize >= limit) {
                    return Err(Error::Range { what: "id", index: id as usize, limit });
                }
                limit
            }
        };
        expect_len("input", self.matrix().len(), size(rows, input_dim))?;
        Ok(rows)
    }

    /// The matrix through the input weights, as [`Features::input`] takes it.
    pub(super) fn project(self, weights: &CellWeights, tokens: usize) -> Result<Vec<f32>> {
        let rows = self.check(tokens, weights.input_dim())?;
        weights.project(self.matrix(), rows)
    }

    /// What a scan reads of the projected matrix.
    pub(super) fn input(self, projected: &'a [f32]) -> Input<'a> {
        match self {
            Self::Rows(_) => Input::Rows(projected),
            Self::Table { ids, .. } => Input::Table { table: projected, ids },
        }
    }

    /// Gradients `[tokens, width]`, summed over the tokens of each of the rows
    /// of the matrix, token after token.
    pub(super) fn by_row(self, tokens: &[f32], rows: usize, width: usize) -> Cow<'_, [f32]> {
        let Self::Table { ids, .. } = self else { return Cow::Borrowed(tokens) };
        let mut sums = vec![0.0; rows * width];
        let place = Shared(sums.as_mut_ptr());
        (0..width.div_ceil(COLUMNS)).into_par_iter().with_max_len(1).for_each(|task| {
            let first = task * COLUMNS;
            let columns = COLUMNS.min(width - first);
            for (&id, from) in ids.iter().zip(tokens.chunks_exact(width)) {
                // SAFETY: the ids were checked, and this task alone has these columns.
                let to = unsafe { place.slice(id as usize * width + first, columns) };
                to.iter_mut().zip(&from[first..]).for_each(|(sum, &value)| *sum += value);
            }
        });
        Cow::Owned(sums)
    }
}

//! Trained rows picked by id.

use candle_core::{Tensor, Var};
use glossator_kernels::op;

use crate::{ParamSet, Result};

/// A table of trained vectors.
#[derive(Clone, Debug)]
pub struct Embedding {
    weight: Var,
}

impl Embedding {
    /// Makes `{name}.weight` with the given values, `[items, dim]`.
    ///
    /// # Errors
    /// If the name is taken or the values do not fill the shape.
    pub fn new(params: &mut ParamSet, name: &str, values: Vec<f32>, dim: usize) -> Result<Self> {
        let items = values.len() / dim.max(1);
        Ok(Self { weight: params.add(&format!("{name}.weight"), values, (items, dim))? })
    }

    /// The whole table, `[items, dim]`.
    pub fn table(&self) -> &Tensor {
        &self.weight
    }

    /// Rows of the ids: `[ids, dim]`.
    ///
    /// # Errors
    /// If an id is out of range.
    pub fn forward(&self, ids: &[u32]) -> Result<Tensor> {
        Ok(op::select_rows(&self.weight, ids)?)
    }
}

/// Rows of a table `[items, dim]`, on plain slices.
///
/// # Panics
/// If an id is out of range.
pub fn embed(table: &[f32], dim: usize, ids: &[u32]) -> Vec<f32> {
    let mut rows = Vec::with_capacity(ids.len() * dim);
    for &id in ids {
        rows.extend_from_slice(&table[id as usize * dim..(id as usize + 1) * dim]);
    }
    rows
}

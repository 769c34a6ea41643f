//! Rows of a table, picked by number.

use candle_core::{Result, Tensor};

use super::graph;

/// The number of a row of zeros, which no table has.
pub const NO_ROW: u32 = u32::MAX;

/// Rows of a table, `[rows, ...]`, one an id: `[ids, ...]`; zeros for [`NO_ROW`].
///
/// # Errors
/// If an id is out of range.
pub fn select_rows(table: &Tensor, ids: &[u32]) -> Result<Tensor> {
    let rows = table.dim(0)?;
    if let Some(id) = ids.iter().find(|&&id| id as usize >= rows && id != NO_ROW) {
        candle_core::bail!("row {id} of a table of {rows}");
    }
    #[cfg(feature = "cuda")]
    if table.device().is_cuda() {
        return super::cuda::select_rows(table, ids);
    }
    graph::select_rows(table, ids)
}

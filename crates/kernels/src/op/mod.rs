//! The kernels as Candle operations, with their gradients.
//!
//! Each operation works on contiguous `f32` tensors on the CPU, and keeps what
//! its way back needs in itself.

mod crf;
mod linear;
mod recurrent;

pub use crf::crf_loss;
pub use linear::linear;
pub use recurrent::{RecurrentOutput, recurrent};

use candle_core::{CpuStorage, Layout, Result, Tensor};

/// The values of a contiguous `f32` argument.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout, name: &str) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("{name} is not contiguous: {:?}", layout.shape())
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// The values of a tensor, copied.
fn copied(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// An error of the kernels as Candle's.
fn foreign(error: crate::Error) -> candle_core::Error {
    candle_core::Error::wrap(error)
}

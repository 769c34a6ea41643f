//! The kernels as Candle operations, with their gradients.
//!
//! Each operation works on contiguous `f32` tensors on the CPU, and keeps what
//! its way back needs in itself: so its gradients can be asked for once. It
//! reads its arguments where they lie, and makes no gradient that nobody wants.
//! On a GPU, recurrent layers, rows picked from tables and the CRF have kernels too
//! (feature `cuda`); the others are graphs of Candle's own operations there.

mod attention;
mod crf;
#[cfg(feature = "cuda")]
mod cuda;
mod graph;
mod layer;
mod linear;
mod loss;
mod output;
mod recurrent;
mod rows;
mod scale;

pub use attention::{AttentionScore, attention_context, attention_weights, tanh};
pub use crf::crf_loss;
pub use layer::{highway, layer_norm};
pub use linear::linear;
pub use loss::softmax_loss;
pub use output::output_loss;
pub use recurrent::{RecurrentInput, RecurrentOutput, recurrent};
pub use rows::{NO_ROW, select_rows};
pub use scale::{scale, scale_rows};

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor};

/// An NVIDIA GPU, by its number from 0 on, all of whose work is of one stream: what one
/// thread asks for, the next may read.
///
/// # Errors
/// If this crate is built without CUDA, or there is no such GPU.
pub fn gpu(number: usize) -> Result<candle_core::Device> {
    #[cfg(feature = "cuda")]
    return crate::cuda::gpu(number);
    #[cfg(not(feature = "cuda"))]
    candle_core::Device::new_cuda_with_stream(number)
}

/// The values of a contiguous `f32` argument.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout, name: &str) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("{name} is not contiguous: {:?}", layout.shape())
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Hands the values of a tensor to `read`, where they lie if they are contiguous.
fn reading<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => read(values(storage, layout, "tensor")?),
        _ => candle_core::bail!("the kernels read tensors of the CPU only"),
    }
}

/// The values of a tensor, copied.
fn copied(tensor: &Tensor) -> Result<Vec<f32>> {
    reading(tensor, |values| Ok(values.to_vec()))
}

/// What an operation keeps, whatever became of the thread that kept it.
fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what was kept for the way back.
fn take<T>(kept: &Mutex<Option<T>>, name: &str) -> Result<T> {
    match lock(kept).take() {
        Some(kept) => Ok(kept),
        None => candle_core::bail!("{name} was back-propagated twice"),
    }
}

/// An error of the kernels as Candle's.
fn foreign(error: crate::Error) -> candle_core::Error {
    candle_core::Error::wrap(error)
}

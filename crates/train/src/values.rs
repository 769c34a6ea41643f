//! Reading and changing the numbers of tensors: on the processor without copies.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, Var, bail};

/// Hands the values of a contiguous `f32` tensor, row-major, to `read`.
pub(crate) fn read<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> R) -> Result<R> {
    if !tensor.device().is_cpu() {
        return Ok(read(&tensor.flatten_all()?.to_vec1::<f32>()?));
    }
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        bail!("training reads tensors on the processor only")
    };
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("the tensor is not contiguous")
    };
    Ok(read(&storage.as_slice::<f32>()?[start..end]))
}

/// Hands the values of a variable, row-major, to `change`, which may alter them.
pub(crate) fn change(var: &Var, mut change: impl FnMut(&mut [f32])) -> Result<()> {
    if !var.device().is_cpu() {
        let mut values: Vec<f32> = var.flatten_all()?.to_vec1()?;
        change(&mut values);
        return var.set(&Tensor::from_vec(values, var.shape(), var.device())?);
    }
    var.inplace_op1(&Change(RefCell::new(change)))
}

/// A copy of the values of a variable, row-major.
pub(crate) fn copy(var: &Var) -> Result<Vec<f32>> {
    read(var, <[f32]>::to_vec)
}

struct Change<F>(RefCell<F>);

impl<F: FnMut(&mut [f32])> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let CpuStorage::F32(values) = storage else { bail!("parameters must be f32") };
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("the parameter is not contiguous")
        };
        (self.0.borrow_mut())(&mut values[start..end]);
        Ok(())
    }
}

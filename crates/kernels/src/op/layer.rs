//! Normalisation and highways between layers.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{graph, reading, values};
use crate::layer;

struct LayerNorm;

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "glossator-layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, dim) = x_layout.shape().dims2()?;
        let scale = values(scale, scale_layout, "scale")?;
        let shift = values(shift, shift_layout, "shift")?;
        if scale.len() != dim || shift.len() != dim {
            candle_core::bail!("{} scales and {} shifts for {dim}", scale.len(), shift.len());
        }
        let mut rows = values(x, x_layout, "input")?.to_vec();
        layer::layer_norm(&mut rows, scale, shift);
        Ok((CpuStorage::F32(rows), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, ds, db) = reading(x, |x| {
            reading(scale, |scale| {
                reading(grad, |grad| Ok(layer::layer_norm_gradients(x, scale, grad)))
            })
        })?;
        let device = x.device();
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), device)?),
            Some(Tensor::from_vec(ds, scale.shape(), device)?),
            Some(Tensor::from_vec(db, shift.shape(), device)?),
        ))
    }
}

/// [`layer::layer_norm`] of `x`, `[rows, dim]`, by `scale` and `shift`, `[dim]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn layer_norm(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    if !graph::has_kernels(x) {
        return graph::layer_norm(x, scale, shift);
    }
    x.contiguous()?.apply_op3(&scale.contiguous()?, &shift.contiguous()?, LayerNorm)
}

struct Highway;

impl CustomOp3 for Highway {
    fn name(&self) -> &'static str {
        "glossator-highway"
    }

    fn cpu_fwd(
        &self,
        new: &CpuStorage,
        new_layout: &Layout,
        old: &CpuStorage,
        old_layout: &Layout,
        gate: &CpuStorage,
        gate_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (old, gate) = (values(old, old_layout, "input")?, values(gate, gate_layout, "gate")?);
        let mut out = values(new, new_layout, "output")?.to_vec();
        if out.len() != old.len() || out.len() != gate.len() {
            candle_core::bail!("highway of {}, {} and {} values", out.len(), old.len(), gate.len());
        }
        layer::highway(&mut out, old, gate);
        Ok((CpuStorage::F32(out), new_layout.shape().clone()))
    }

    fn bwd(
        &self,
        new: &Tensor,
        old: &Tensor,
        gate: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dn, d_old, dg] = reading(new, |new| {
            reading(old, |old| {
                reading(gate, |gate| {
                    reading(grad, |grad| Ok(layer::highway_gradients(new, old, gate, grad)))
                })
            })
        })?;
        let like = |values, tensor: &Tensor| Tensor::from_vec(values, tensor.shape(), new.device());
        Ok((Some(like(dn, new)?), Some(like(d_old, old)?), Some(like(dg, gate)?)))
    }
}

/// [`layer::highway`] of tensors of one shape.
///
/// # Errors
/// If the shapes do not fit.
pub fn highway(new: &Tensor, old: &Tensor, gate: &Tensor) -> Result<Tensor> {
    if !graph::has_kernels(new) {
        return graph::highway(new, old, gate);
    }
    new.contiguous()?.apply_op3(&old.contiguous()?, &gate.contiguous()?, Highway)
}

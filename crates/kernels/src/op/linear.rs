//! `x W^T + b` by packed products: bits independent of rows and threads.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{copied, values};
use crate::{
    Isa,
    gemm::{Init, Packed, Precision, Rows, product},
};

struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "glossator-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, _) = x_layout.shape().dims2()?;
        let (n, k) = weight_layout.shape().dims2()?;
        let x = values(x, x_layout, "input")?;
        let bias = values(bias, bias_layout, "bias")?;
        if x.len() != rows * k || bias.len() != n {
            candle_core::bail!(
                "linear layer [{n}, {k}] applied to {:?} with bias {:?}",
                x_layout.shape(),
                bias_layout.shape()
            );
        }
        let packed = Packed::transposed(
            Isa::detect(),
            Precision::F32,
            values(weight, weight_layout, "weight")?,
            n,
            k,
        );
        let mut out = vec![0.0; rows * n];
        product(Rows::Major(x), rows, &packed, Init::Bias(bias), &mut out);
        Ok((CpuStorage::F32(out), (rows, n).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, k) = x.dims2()?;
        let n = weight.dim(0)?;
        let isa = Isa::detect();
        let (dy, device) = (copied(grad)?, x.device());
        let mut dx = vec![0.0; rows * k];
        let back = Packed::new(isa, &copied(weight)?, n, k);
        product(Rows::Major(&dy), rows, &back, Init::Zero, &mut dx);
        let mut dw = vec![0.0; n * k];
        let right = Packed::new(isa, &copied(x)?, rows, k);
        product(Rows::Transposed(&dy), n, &right, Init::Zero, &mut dw);
        let mut db = vec![0.0; n];
        for row in dy.chunks_exact(n) {
            db.iter_mut().zip(row).for_each(|(sum, d)| *sum += d);
        }
        Ok((
            Some(Tensor::from_vec(dx, (rows, k), device)?),
            Some(Tensor::from_vec(dw, (n, k), device)?),
            Some(Tensor::from_vec(db, n, device)?),
        ))
    }
}

/// `x W^T + b`: `x` `[rows, k]`, `weight` `[n, k]`, `bias` `[n]`; `[rows, n]`.
///
/// # Errors
/// If the shapes do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Linear)
}

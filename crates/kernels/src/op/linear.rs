//! `x W^T + b` by packed products: bits independent of rows and threads.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{graph, reading, values};
use crate::{
    Isa,
    gemm::{Init, Outer, Packed, Precision, Right, Rows, product},
};

struct Linear {
    precision: Precision,
}

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
            self.precision,
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
        let device = x.device();
        let (dx, dw, db) = reading(grad, |dy| {
            let dx =
                x.track_op().then(|| input_gradient(dy, weight, self.precision)).transpose()?;
            Ok((
                dx,
                weight_gradient(dy, x, weight, self.precision)?,
                column_sums(dy, weight.dim(0)?),
            ))
        })?;
        Ok((
            dx.map(|dx| Tensor::from_vec(dx, x.shape(), device)).transpose()?,
            Some(Tensor::from_vec(dw, weight.shape(), device)?),
            Some(Tensor::from_vec(db, weight.dim(0)?, device)?),
        ))
    }
}

/// `dy W`
fn input_gradient(dy: &[f32], weight: &Tensor, precision: Precision) -> Result<Vec<f32>> {
    let (n, k) = weight.dims2()?;
    let back = reading(weight, |weight| Ok(Packed::new(Isa::detect(), precision, weight, n, k)))?;
    let rows = dy.len() / n.max(1);
    let mut dx = vec![0.0; rows * k];
    product(Rows::Major(dy), rows, &back, Init::Zero, &mut dx);
    Ok(dx)
}

/// `dy^T x`
fn weight_gradient(
    dy: &[f32],
    x: &Tensor,
    weight: &Tensor,
    precision: Precision,
) -> Result<Vec<f32>> {
    let (n, k) = weight.dims2()?;
    let mut dw = vec![0.0; n * k];
    reading(x, |x| {
        let left = |row: usize| Some(&x[row * k..(row + 1) * k]);
        let rows = dy.len() / n.max(1);
        Outer {
            isa: Isa::detect(),
            precision,
            rows,
            left,
            width: k,
            right: Right::plain(dy, n),
            columns: n,
        }
        .sum(Some, &mut dw);
        Ok(())
    })?;
    Ok(dw)
}

fn column_sums(dy: &[f32], n: usize) -> Vec<f32> {
    let mut sums = vec![0.0; n];
    for row in dy.chunks_exact(n.max(1)) {
        sums.iter_mut().zip(row).for_each(|(sum, d)| *sum += d);
    }
    sums
}

/// `x W^T + b`: `x` `[rows, k]`, `weight` `[n, k]`, `bias` `[n]`; `[rows, n]`.
/// `precision`: number format of the products, both ways.
///
/// # Errors
/// If the shapes do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor, precision: Precision) -> Result<Tensor> {
    if !graph::has_kernels(x) {
        return graph::linear(x, weight, bias, precision);
    }
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Linear { precision })
}

//! Products with constants: masks of dropout.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{graph, reading, values};

/// Values that one task multiplies.
const CHUNK: usize = 1 << 15;

struct Scale {
    factors: Vec<f32>,
    /// Row of factors of each row; without it each row has its own.
    rows: Option<Vec<u32>>,
}

impl Scale {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let Some(rows) = &self.rows else {
            let mut out = Vec::with_capacity(x.len());
            let pairs = x.par_iter().zip(&self.factors).with_min_len(CHUNK);
            pairs.map(|(x, factor)| x * factor).collect_into_vec(&mut out);
            return out;
        };
        let mut out = vec![0.0; x.len()];
        let dim = (x.len() / rows.len().max(1)).max(1);
        let many = (CHUNK / dim).max(1);
        let tasks = out.par_chunks_mut(many * dim).zip(x.par_chunks(many * dim));
        tasks.zip(rows.par_chunks(many)).for_each(|((out, x), rows)| {
            let both = out.chunks_exact_mut(dim).zip(x.chunks_exact(dim));
            for ((out, x), &row) in both.zip(rows) {
                let factors = &self.factors[row as usize * dim..][..dim];
                out.iter_mut().zip(x).zip(factors).for_each(|((out, x), f)| *out = x * f);
            }
        });
        out
    }

    /// Whether there are factors for a tensor of that shape.
    fn fits(&self, shape: &Shape) -> bool {
        let Some(rows) = &self.rows else { return self.factors.len() == shape.elem_count() };
        let Ok((n, dim)) = shape.dims2() else { return false };
        let limit = self.factors.len() / dim.max(1);
        rows.len() == n && rows.iter().all(|&row| (row as usize) < limit)
    }
}

impl CustomOp1 for Scale {
    fn name(&self) -> &'static str {
        "glossator-scale"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout, "input")?;
        Ok((CpuStorage::F32(self.apply(x)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let gradient = reading(grad, |grad| Ok(self.apply(grad)))?;
        Ok(Some(Tensor::from_vec(gradient, x.shape(), x.device())?))
    }
}

/// `x` with every value times its own factor, row-major.
///
/// # Errors
/// If there are not as many factors as values.
pub fn scale(x: &Tensor, factors: Vec<f32>) -> Result<Tensor> {
    apply(x, Scale { factors, rows: None })
}

/// `x`, `[rows, dim]`, with row `i` times row `rows[i]` of `factors`, `[_, dim]`,
/// value by value.
///
/// # Errors
/// If `x` is no matrix, or there is no row of factors for a row of it.
pub fn scale_rows(x: &Tensor, factors: Vec<f32>, rows: Vec<u32>) -> Result<Tensor> {
    apply(x, Scale { factors, rows: Some(rows) })
}

fn apply(x: &Tensor, scale: Scale) -> Result<Tensor> {
    if !scale.fits(x.shape()) {
        candle_core::bail!("{} factors for {:?}", scale.factors.len(), x.shape());
    }
    if !graph::has_kernels(x) {
        return graph::scale(x, scale.factors, scale.rows);
    }
    x.contiguous()?.apply_op1(scale)
}

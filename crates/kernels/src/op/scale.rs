//! Products with constants: masks of dropout.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{reading, values};

/// Values that one task multiplies.
const CHUNK: usize = 1 << 15;

struct Scale {
    factors: Vec<f32>,
}

impl Scale {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(x.len());
        let pairs = x.par_iter().zip(&self.factors).with_min_len(CHUNK);
        pairs.map(|(x, factor)| x * factor).collect_into_vec(&mut out);
        out
    }
}

impl CustomOp1 for Scale {
    fn name(&self) -> &'static str {
        "glossator-scale"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout, "input")?;
        if x.len() != self.factors.len() {
            candle_core::bail!("{} factors for {:?}", self.factors.len(), layout.shape());
        }
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
    x.contiguous()?.apply_op1(Scale { factors })
}

//! Softmax and negative log-likelihood as one operation.
//!
//! The slope of a score is the probability of its class, less one for the gold
//! class: it is computed with the loss, so that nothing else is kept.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{graph, take, values};
use crate::loss::{Target, softmax_loss as softmax_loss_of};

struct SoftmaxLoss {
    gold: Vec<u32>,
    /// One weight a class; ones if there are none.
    weights: Option<Vec<f32>>,
    /// `[rows, classes]`
    slopes: Mutex<Option<Vec<f32>>>,
}

impl SoftmaxLoss {
    fn check(&self, rows: usize, classes: usize) -> Result<()> {
        if self.gold.len() != rows {
            candle_core::bail!("{} classes for {rows} rows of scores", self.gold.len());
        }
        if let Some(class) = self.gold.iter().find(|&&class| class as usize >= classes) {
            candle_core::bail!("class {class} is none of {classes}");
        }
        match &self.weights {
            Some(weights) if weights.len() != classes => {
                candle_core::bail!("{} weights for {classes} classes", weights.len())
            }
            _ => Ok(()),
        }
    }
}

impl CustomOp1 for SoftmaxLoss {
    fn name(&self) -> &'static str {
        "glossator-softmax-loss"
    }

    fn cpu_fwd(&self, scores: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, classes) = layout.shape().dims2()?;
        let mut slopes = values(scores, layout, "scores")?.to_vec();
        let target = Target { weights: self.weights.as_deref(), smoothing: 0.0 };
        let loss = softmax_loss_of(&mut slopes, classes, &self.gold, target);
        *super::lock(&self.slopes) = Some(slopes);
        Ok((CpuStorage::F32(vec![loss as f32]), Shape::from(())))
    }

    fn bwd(&self, scores: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut slopes = take(&self.slopes, "a softmax")?;
        let grad = grad.to_scalar::<f32>()?;
        slopes.par_chunks_mut(1 << 15).for_each(|slopes| {
            slopes.iter_mut().for_each(|slope| *slope *= grad);
        });
        Ok(Some(Tensor::from_vec(slopes, scores.shape(), scores.device())?))
    }
}

/// Negative log-likelihood of the gold classes under a softmax, in nats, each
/// times the weight of its class, summed over rows: a scalar.
///
/// `scores`: `[rows, classes]`; `gold`: a class a row; `weights`: one a class,
/// 1 if absent.
///
/// # Errors
/// If the shapes do not fit or a class is out of range.
pub fn softmax_loss(scores: &Tensor, gold: Vec<u32>, weights: Option<Vec<f32>>) -> Result<Tensor> {
    let (rows, classes) = scores.dims2()?;
    let op = SoftmaxLoss { gold, weights, slopes: Mutex::new(None) };
    op.check(rows, classes)?;
    if !graph::has_kernels(scores) {
        return graph::softmax_loss(scores, op.gold, op.weights.as_deref(), 0.0);
    }
    scores.contiguous()?.apply_op1(op)
}

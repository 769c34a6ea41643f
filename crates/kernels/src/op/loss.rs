//! Softmax and negative log-likelihood as one operation.
//!
//! The slope of a score is the probability of its class, less one for the gold
//! class: it is computed with the loss, so that nothing else is kept.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{graph, take, values};

/// Rows whose losses one task adds up.
const ROWS: usize = 64;

struct SoftmaxLoss {
    gold: Vec<u32>,
    /// One weight a class; ones if there are none.
    weights: Option<Vec<f32>>,
    /// `[rows, classes]`
    slopes: Mutex<Option<Vec<f32>>>,
}

impl SoftmaxLoss {
    fn weight(&self, class: usize) -> f32 {
        self.weights.as_ref().map_or(1.0, |weights| weights[class])
    }

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

    /// Loss of a row of scores, and their slopes.
    fn row(&self, gold: usize, scores: &[f32], slopes: &mut [f32]) -> f64 {
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for (slope, score) in slopes.iter_mut().zip(scores) {
            *slope = (score - most).exp();
            sum += *slope;
        }
        let weight = self.weight(gold);
        slopes.iter_mut().for_each(|slope| *slope *= weight / sum);
        slopes[gold] -= weight;
        f64::from(weight) * (f64::from(sum).ln() - f64::from(scores[gold] - most))
    }
}

impl CustomOp1 for SoftmaxLoss {
    fn name(&self) -> &'static str {
        "glossator-softmax-loss"
    }

    fn cpu_fwd(&self, scores: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, classes) = layout.shape().dims2()?;
        let scores = values(scores, layout, "scores")?;
        let mut slopes = vec![0.0; scores.len()];
        let size = ROWS * classes.max(1);
        let tasks = self.gold.par_chunks(ROWS).zip(scores.par_chunks(size));
        let losses: Vec<f64> = tasks
            .zip(slopes.par_chunks_mut(size))
            .map(|((gold, scores), slopes)| {
                let rows = scores.chunks_exact(classes).zip(slopes.chunks_exact_mut(classes));
                gold.iter().zip(rows).map(|(&gold, (s, d))| self.row(gold as usize, s, d)).sum()
            })
            .collect();
        *super::lock(&self.slopes) = Some(slopes);
        Ok((CpuStorage::F32(vec![losses.iter().sum::<f64>() as f32]), Shape::from(())))
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
        return graph::softmax_loss(scores, op.gold, op.weights.as_deref());
    }
    scores.contiguous()?.apply_op1(op)
}

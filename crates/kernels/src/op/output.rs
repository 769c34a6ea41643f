//! An output layer and its loss as one operation.
//!
//! Scores of a large vocabulary are by far the largest matrix of a model. Here
//! they exist for some rows at a time, and their slopes become gradients at
//! once: memory does not grow with the batch, and nothing is computed twice.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{graph, lock, take, values};
use crate::{
    Isa,
    gemm::{Init, Outer, Packed, Precision, Right, Rows, product},
    loss::{Target, softmax_loss},
};

/// Rows whose scores exist at a time: as many as sums of outer products are
/// cut at.
const ROWS: usize = 1024;

struct OutputLoss {
    gold: Vec<u32>,
    smoothing: f32,
    precision: Precision,
    /// Gradients of input, weight and bias.
    gradients: Mutex<Option<[Vec<f32>; 3]>>,
}

impl OutputLoss {
    fn check(&self, rows: usize, x: usize, n: usize, k: usize, bias: usize) -> Result<()> {
        if x != rows * k || bias != n || self.gold.len() != rows {
            let gold = self.gold.len();
            candle_core::bail!(
                "output layer [{n}, {k}] over {x} values of {rows} rows: {bias} biases, {gold} classes"
            );
        }
        if let Some(class) = self.gold.iter().find(|&&class| class as usize >= n) {
            candle_core::bail!("class {class} is none of {n}");
        }
        Ok(())
    }

    /// The loss; keeps the gradients.
    fn run(&self, x: &[f32], weight: &[f32], bias: &[f32], k: usize) -> f64 {
        let (n, isa) = (bias.len(), Isa::detect());
        let there = Packed::transposed(isa, self.precision, weight, n, k);
        let back = Packed::new(isa, self.precision, weight, n, k);
        let mut dx = vec![0.0; x.len()];
        let (mut dw, mut db) = (vec![0.0; weight.len()], vec![0.0; n]);
        let mut part = Vec::new();
        let mut scores = vec![0.0; ROWS.min(self.gold.len()) * n];
        let target = Target { weights: None, smoothing: self.smoothing };
        let mut loss = 0.0;
        let chunks = x.chunks(ROWS * k).zip(dx.chunks_mut(ROWS * k)).zip(self.gold.chunks(ROWS));
        for (number, ((x, dx), gold)) in chunks.enumerate() {
            let rows = gold.len();
            let scores = &mut scores[..rows * n];
            product(Rows::Major(x), rows, &there, Init::Bias(bias), scores);
            loss += softmax_loss(scores, n, gold, target);
            product(Rows::Major(scores), rows, &back, Init::Zero, dx);
            let outer = Outer {
                isa,
                precision: self.precision,
                rows,
                left: |row: usize| Some(&x[row * k..(row + 1) * k]),
                width: k,
                right: Right::plain(scores, n),
                columns: n,
            };
            if number == 0 {
                outer.sum(Some, &mut dw);
            } else {
                part.resize(dw.len(), 0.0);
                outer.sum(Some, &mut part);
                dw.par_iter_mut().zip(&part).for_each(|(sum, d)| *sum += d);
            }
            for row in scores.chunks_exact(n) {
                db.iter_mut().zip(row).for_each(|(sum, d)| *sum += d);
            }
        }
        *lock(&self.gradients) = Some([dx, dw, db]);
        loss
    }
}

impl CustomOp3 for OutputLoss {
    fn name(&self) -> &'static str {
        "glossator-output-loss"
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
        self.check(rows, x.len(), n, k, bias.len())?;
        let loss = self.run(x, values(weight, weight_layout, "weight")?, bias, k);
        Ok((CpuStorage::F32(vec![loss as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let factor: f32 = grad.to_scalar()?;
        let scaled = |mut values: Vec<f32>, like: &Tensor| {
            values.par_chunks_mut(1 << 15).for_each(|values| {
                values.iter_mut().for_each(|value| *value *= factor);
            });
            Tensor::from_vec(values, like.shape(), like.device()).map(Some)
        };
        let [dx, dw, db] = take(&self.gradients, "an output layer")?;
        Ok((scaled(dx, x)?, scaled(dw, weight)?, scaled(db, bias)?))
    }
}

/// Negative log-likelihood, in nats, of the gold classes under a softmax of `x
/// W^T + b`, summed over rows: a scalar.
///
/// `x`: `[rows, k]`; `weight`: `[classes, k]`; `bias`: `[classes]`; `gold`: a
/// class a row; `smoothing`: the part of each row's target that is spread evenly
/// over all classes (label smoothing; Szegedy et al., 2016); `precision`: number
/// format of the products, both ways.
///
/// # Errors
/// If the shapes do not fit or a class is out of range.
pub fn output_loss(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    gold: Vec<u32>,
    smoothing: f32,
    precision: Precision,
) -> Result<Tensor> {
    let op = OutputLoss { gold, smoothing, precision, gradients: Mutex::new(None) };
    if !graph::has_kernels(x) {
        let (n, k) = weight.dims2()?;
        op.check(x.dim(0)?, x.elem_count(), n, k, bias.elem_count())?;
        return graph::output_loss(x, weight, bias, op.gold, smoothing, precision);
    }
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
}

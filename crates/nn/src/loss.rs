//! Losses over single words.

use candle_core::{Device, Tensor};

use crate::Result;

/// Weighted negative log-likelihood of a softmax, in nats, summed over tokens.
///
/// `scores`: `[tokens, classes]`; `gold`: a class a token; `weights`: one a class.
///
/// # Errors
/// If the shapes do not fit.
pub fn weighted_nll(scores: &Tensor, gold: &[usize], weights: &[f32]) -> Result<Tensor> {
    let classes = scores.dim(1)?;
    let mut picked = vec![0.0; gold.len() * classes];
    for (token, &class) in gold.iter().enumerate() {
        picked[token * classes + class] = -weights[class];
    }
    let picked = Tensor::from_vec(picked, (gold.len(), classes), &Device::Cpu)?;
    Ok((candle_nn::ops::log_softmax(scores, 1)? * picked)?.sum_all()?)
}

//! Losses over single words.

use candle_core::Tensor;
use glossator_kernels::op;

use crate::Result;

/// Weighted negative log-likelihood of a softmax, in nats, summed over tokens.
///
/// `scores`: `[tokens, classes]`; `gold`: a class a token; `weights`: one a class.
///
/// # Errors
/// If the shapes do not fit or a class is out of range.
pub fn weighted_nll(scores: &Tensor, gold: &[usize], weights: &[f32]) -> Result<Tensor> {
    // What is no u32 is no class either, and refused as such.
    let gold = gold.iter().map(|&class| u32::try_from(class).unwrap_or(u32::MAX)).collect();
    Ok(op::softmax_loss(scores, gold, Some(weights.to_vec()))?)
}

/// Negative log-likelihood of a softmax, in nats, summed over rows.
///
/// `scores`: `[rows, classes]`; `gold`: a class a row.
///
/// # Errors
/// If the shapes do not fit or a class is out of range.
pub fn nll(scores: &Tensor, gold: Vec<u32>) -> Result<Tensor> {
    Ok(op::softmax_loss(scores, gold, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn equals_a_plain_computation_with_its_gradient() {
        let scores = [0.5_f32, -1.0, 2.0, 30.0, 0.0, -30.0, 1.0, 1.0, 1.0];
        let (gold, weights) = ([2, 1, 0], [1.0, 0.25, 3.0]);
        let var = Var::from_slice(&scores, (3, 3), &Device::Cpu).unwrap();
        let loss = weighted_nll(&var, &gold, &weights).unwrap();
        let store = loss.backward().unwrap();
        let got: Vec<Vec<f32>> = store.get(&var).unwrap().to_vec2().unwrap();
        let mut want = 0.0;
        for (token, row) in scores.chunks(3).enumerate() {
            let class = gold[token];
            let exp = |&score: &f32| f64::from(score).exp();
            let sum: f64 = row.iter().map(exp).sum();
            let weight = f64::from(weights[class]);
            want -= weight * (exp(&row[class]) / sum).ln();
            for (tag, score) in row.iter().enumerate() {
                let slope = weight * (exp(score) / sum - f64::from(u8::from(tag == class)));
                assert!((f64::from(got[token][tag]) - slope).abs() < 1e-6, "{token} {tag}");
            }
        }
        assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - want).abs() < 1e-5);
    }
}

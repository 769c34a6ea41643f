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

/// Negative log-likelihood of a softmax, in nats, summed over rows.
///
/// `scores`: `[rows, classes]`; `gold`: a class a row.
///
/// # Errors
/// If the shapes do not fit or a class is out of range.
pub fn nll(scores: &Tensor, gold: &[u32]) -> Result<Tensor> {
    let gold = Tensor::new(gold, &Device::Cpu)?.unsqueeze(1)?;
    let picked = candle_nn::ops::log_softmax(scores, 1)?.gather(&gold, 1)?;
    Ok(picked.sum_all()?.neg()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

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

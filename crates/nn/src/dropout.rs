//! Seeded dropout masks over unpadded batches `[tokens, dim]`.
//!
//! Candle's own dropout cannot be seeded on a CPU.

use candle_core::Tensor;
use glossator_kernels::op;

use crate::{Result, Rng};

/// Locked dropout (Gal and Ghahramani, 2016): one mask over the features for
/// all tokens of a sentence, what is kept scaled by `1 / (1 - p)`.
///
/// `x`: `[tokens, dim]`; `lengths`: tokens of each sentence.
///
/// # Errors
/// If the lengths do not add up to the tokens.
pub fn locked(x: &Tensor, lengths: &[usize], p: f32, rng: &mut Rng) -> Result<Tensor> {
    if p <= 0.0 {
        return Ok(x.clone());
    }
    let (_, dim) = x.dims2()?;
    let masks = rng.mask(lengths.len() * dim, p, 1.0 / (1.0 - p));
    let rows = (0..).zip(lengths).flat_map(|(row, &len)| std::iter::repeat_n(row, len));
    Ok(op::scale_rows(x, masks, rows.collect())?)
}

/// Dropout (Srivastava et al., 2014): every value by itself, what is kept
/// scaled by `1 / (1 - p)`.
///
/// # Errors
/// If Candle cannot multiply.
pub fn plain(x: &Tensor, p: f32, rng: &mut Rng) -> Result<Tensor> {
    if p <= 0.0 {
        return Ok(x.clone());
    }
    Ok(op::scale(x, rng.mask(x.elem_count(), p, 1.0 / (1.0 - p)))?)
}

/// Word dropout: whole tokens become zero, the others keep their scale.
///
/// `x`: `[tokens, dim]`.
///
/// # Errors
/// If `x` is no matrix.
pub fn word(x: &Tensor, p: f32, rng: &mut Rng) -> Result<Tensor> {
    if p <= 0.0 {
        return Ok(x.clone());
    }
    let (tokens, dim) = x.dims2()?;
    let keep = rng.mask(tokens, p, 1.0).into_iter().map(|keep| keep as u32).collect();
    let factors = [vec![0.0; dim], vec![1.0; dim]].concat();
    Ok(op::scale_rows(x, factors, keep)?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_locked_mask_is_the_same_for_all_tokens_of_a_sentence() {
        let x = Tensor::ones((5, 40), candle_core::DType::F32, &Device::Cpu).unwrap();
        let y = locked(&x, &[2, 3], 0.5, &mut Rng::new(1, "test", 0)).unwrap();
        let rows: Vec<Vec<f32>> = y.to_vec2().unwrap();
        assert!(rows[0] == rows[1] && rows[2] == rows[4] && rows[0] != rows[2]);
        assert!(rows[0].iter().all(|&v| v == 0.0 || v == 2.0));
    }
}

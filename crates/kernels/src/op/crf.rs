//! The CRF's loss over a batch as one operation.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{foreign, values};
use crate::crf::{Crf, Gradient, Mask, gradient};

/// Values of transition gradients held at once, sentence by sentence.
const HELD: usize = 1 << 20;

struct CrfLoss {
    mask: Mask,
    lengths: Vec<usize>,
    gold: Vec<usize>,
    gradients: Mutex<Option<(Vec<f32>, Vec<f32>)>>,
}

impl CustomOp2 for CrfLoss {
    fn name(&self) -> &'static str {
        "glossator-crf-loss"
    }

    fn cpu_fwd(
        &self,
        emissions: &CpuStorage,
        emissions_layout: &Layout,
        transitions: &CpuStorage,
        transitions_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let n = self.mask.n_tags();
        let emissions = values(emissions, emissions_layout, "emissions")?;
        let transitions = values(transitions, transitions_layout, "transitions")?;
        let tokens: usize = self.lengths.iter().sum();
        if emissions.len() != tokens * n || self.gold.len() != tokens {
            candle_core::bail!("CRF of {tokens} tokens: {} emissions", emissions.len());
        }
        if !emissions.iter().chain(transitions).all(|score| score.is_finite()) {
            // A diverged model has no distribution: its loss is not a number,
            // which the training loop knows how to report.
            return Ok((CpuStorage::F32(vec![f32::NAN]), Shape::from(())));
        }
        let crf = Crf::new(transitions, &self.mask).map_err(foreign)?;
        let sentences: Vec<(usize, usize)> = self
            .lengths
            .iter()
            .scan(0, |sum, &len| Some((std::mem::replace(sum, *sum + len), len)))
            .collect();
        let mut loss = 0.0;
        let (mut for_emissions, mut for_transitions) = (Vec::new(), vec![0.0; transitions.len()]);
        // One gradient a sentence, some sentences at a time, added up in order:
        // bits do not depend on threads, nor memory on the number of sentences.
        for some in sentences.chunks((HELD / transitions.len().max(1)).max(4)) {
            let gradients = some
                .par_iter()
                .map(|&(first, len)| {
                    let emissions = &emissions[first * n..(first + len) * n];
                    gradient(&crf, emissions, &self.gold[first..first + len])
                })
                .collect::<crate::Result<Vec<Gradient>>>()
                .map_err(foreign)?;
            for gradient in &gradients {
                loss += gradient.loss;
                for_emissions.extend_from_slice(&gradient.emissions);
                for (sum, d) in for_transitions.iter_mut().zip(&gradient.transitions) {
                    *sum += d;
                }
            }
        }
        let for_transitions = for_transitions.into_iter().map(|d| d as f32).collect();
        *self.gradients.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((for_emissions, for_transitions));
        Ok((CpuStorage::F32(vec![loss as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        emissions: &Tensor,
        transitions: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let taken = self.gradients.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((for_emissions, for_transitions)) = taken else {
            candle_core::bail!("a CRF loss was back-propagated twice")
        };
        let factor: f32 = grad.to_scalar()?;
        let scaled = |values: Vec<f32>, like: &Tensor| {
            let values = values.into_iter().map(|v| v * factor).collect::<Vec<_>>();
            Tensor::from_vec(values, like.shape(), like.device())
        };
        Ok((Some(scaled(for_emissions, emissions)?), Some(scaled(for_transitions, transitions)?)))
    }
}

/// Negative log-likelihood of the gold tags, in nats, summed over sentences.
///
/// `emissions`: `[tokens, tags]`, sentence after sentence; `transitions`:
/// `[tags + 2, tags]` as in [`Crf`]; `lengths`: tokens of each sentence;
/// `gold`: a tag a token.
///
/// # Errors
/// If the shapes do not fit, or a gold sequence is forbidden by `mask`.
pub fn crf_loss(
    emissions: &Tensor,
    transitions: &Tensor,
    mask: &Mask,
    lengths: &[usize],
    gold: &[usize],
) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if emissions.device().is_cuda() {
        return super::cuda::crf_loss(emissions, transitions, mask, lengths, gold);
    }
    let op = CrfLoss {
        mask: mask.clone(),
        lengths: lengths.to_vec(),
        gold: gold.to_vec(),
        gradients: Mutex::new(None),
    };
    emissions.contiguous()?.apply_op2(&transitions.contiguous()?, op)
}

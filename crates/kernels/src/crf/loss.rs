//! Negative log-likelihood and its gradient.

use super::{Crf, Posterior};
use crate::{Error, Result};

/// Loss of one sentence with its gradients.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// `log Z - score(gold)`, in nats.
    pub loss: f64,
    /// `[tokens, tags]`
    pub emissions: Vec<f32>,
    /// `[tags + 2, tags]`, as the scores.
    pub transitions: Vec<f64>,
}

/// Negative log-likelihood of the gold tags of one sentence.
///
/// `emissions`: `[tokens, tags]`.
///
/// # Errors
/// If the gold sequence is forbidden, or has another length, or an emission is
/// not finite.
pub fn gradient(crf: &Crf, emissions: &[f32], gold: &[usize]) -> Result<Gradient> {
    let n = crf.n_tags();
    let score = crf.score(emissions, gold)?;
    if score == f64::NEG_INFINITY {
        return Err(Error::Forbidden { what: "the gold tags" });
    }
    let posterior = crf.posterior(emissions)?;
    let mut emissions: Vec<f32> = (0..gold.len() * n).map(|at| posterior.mass(at) as f32).collect();
    let mut transitions = expected_transitions(&posterior);
    for (t, &tag) in gold.iter().enumerate() {
        emissions[t * n + tag] -= 1.0;
    }
    for pair in gold.windows(2) {
        transitions[pair[0] * n + pair[1]] -= 1.0;
    }
    if let (Some(&first), Some(&last)) = (gold.first(), gold.last()) {
        transitions[n * n + first] -= 1.0;
        transitions[(n + 1) * n + last] -= 1.0;
    }
    Ok(Gradient { loss: posterior.log_z() - score, emissions, transitions })
}

/// Expected number of times each transition is taken.
fn expected_transitions(posterior: &Posterior<'_>) -> Vec<f64> {
    let n = posterior.crf.n_tags();
    let mut expected = vec![0.0; (n + 2) * n];
    let Some(last) = posterior.tokens.checked_sub(1) else { return expected };
    for t in 1..=last {
        posterior.add_transitions(t, &mut expected);
    }
    for tag in 0..n {
        expected[n * n + tag] = posterior.mass(tag);
        expected[(n + 1) * n + tag] = posterior.mass(last * n + tag);
    }
    expected
}

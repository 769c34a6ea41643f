//! Forward and backward sums in the probability domain, scaled at each token.

use super::Crf;

/// Masses from here up keep all their digits: what underflows beside them, or
/// is divided by two of them, stays far below the precision of their sum.
const SAFE: f64 = 1e-290;

/// Scaled sums of one sentence, none of them too small.
#[derive(Clone, Debug)]
pub(super) struct Scaled {
    /// `exp(e_t - m_t)`, `[tokens, tags]`.
    emitted: Vec<f64>,
    /// Forward sums, each row adding up to 1.
    alpha: Vec<f64>,
    /// Backward sums: `alpha * beta` are the marginals.
    beta: Vec<f64>,
    /// What each row of `alpha` was divided by.
    scale: Vec<f64>,
}

impl Scaled {
    /// The sums and `log Z`; nothing if a mass of an allowed sequence might
    /// underflow.
    pub(super) fn new(crf: &Crf, emissions: &[f32], tokens: usize) -> Option<(Self, f64)> {
        let values = tokens * crf.n_tags;
        let mut sums = Self {
            emitted: vec![0.0; values],
            alpha: vec![0.0; values],
            beta: vec![0.0; values],
            scale: vec![1.0; tokens],
        };
        if tokens == 0 {
            return Some((sums, 0.0));
        }
        let mut log_z = sums.forward(crf, emissions)?;
        log_z += sums.backward(crf)?;
        Some((sums, log_z))
    }

    fn forward(&mut self, crf: &Crf, emissions: &[f32]) -> Option<f64> {
        let n = crf.n_tags;
        let weights = &crf.weights;
        let mut sums = weights[n * n..n * (n + 1)].to_vec();
        let (mut log_z, mut least) = (0.0, 1.0);
        for t in 0..self.scale.len() {
            if t > 0 {
                sums.fill(0.0);
                for (from, &mass) in self.alpha[(t - 1) * n..t * n].iter().enumerate() {
                    let row = &weights[from * n..(from + 1) * n];
                    sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += mass * w);
                }
            }
            // Every tag that can be reached has a sum of at least this.
            if least * crf.least < SAFE {
                return None;
            }
            let scores = &emissions[t * n..(t + 1) * n];
            // The largest score among the tags that can be reached: no tag that
            // is forbidden here may push the others under the smallest float.
            let reached = scores.iter().zip(&sums).filter(|&(_, &sum)| sum > 0.0);
            let top = reached.map(|(&e, _)| f64::from(e)).fold(f64::NEG_INFINITY, f64::max);
            let emitted = &mut self.emitted[t * n..(t + 1) * n];
            let alpha = &mut self.alpha[t * n..(t + 1) * n];
            least = f64::INFINITY;
            for tag in 0..n {
                if sums[tag] > 0.0 {
                    emitted[tag] = (f64::from(scores[tag]) - top).exp();
                    alpha[tag] = sums[tag] * emitted[tag];
                    least = alpha[tag].min(least);
                }
            }
            if !(SAFE..f64::INFINITY).contains(&least) {
                return None;
            }
            let scale: f64 = alpha.iter().sum();
            alpha.iter_mut().for_each(|mass| *mass /= scale);
            least /= scale;
            self.scale[t] = scale;
            log_z += scale.ln() + top + crf.offset;
        }
        Some(log_z)
    }

    /// Returns what `log Z` grows by at the sentence's end.
    fn backward(&mut self, crf: &Crf) -> Option<f64> {
        let n = crf.n_tags;
        let last = self.scale.len() - 1;
        let end = &crf.weights[(n + 1) * n..];
        let total: f64 = self.alpha[last * n..].iter().zip(end).map(|(a, e)| a * e).sum();
        if total < SAFE {
            return None;
        }
        for (beta, end) in self.beta[last * n..].iter_mut().zip(end) {
            *beta = end / total;
        }
        let mut after = vec![0.0; n];
        for t in (0..last).rev() {
            let (now, next) = self.beta[t * n..].split_at_mut(n);
            for (tag, after) in after.iter_mut().enumerate() {
                *after = self.emitted[(t + 1) * n + tag] * next[tag] / self.scale[t + 1];
            }
            for (to, &mass) in after.iter().enumerate() {
                let column = &crf.reversed[to * n..(to + 1) * n];
                now.iter_mut().zip(column).for_each(|(sum, w)| *sum += mass * w);
            }
        }
        Some(total.ln() + crf.offset)
    }

    /// Marginal number `at`.
    pub(super) fn mass(&self, at: usize) -> f64 {
        self.alpha[at] * self.beta[at]
    }

    /// Adds the probability of each transition to token `t`.
    pub(super) fn add_transitions(&self, crf: &Crf, t: usize, expected: &mut [f64]) {
        let n = crf.n_tags;
        let next: Vec<f64> = (t * n..(t + 1) * n)
            .map(|at| self.emitted[at] * self.beta[at] / self.scale[t])
            .collect();
        for from in 0..n {
            let mass = self.alpha[(t - 1) * n + from];
            let weights = &crf.weights[from * n..(from + 1) * n];
            let row = &mut expected[from * n..(from + 1) * n];
            for ((sum, weight), next) in row.iter_mut().zip(weights).zip(&next) {
                *sum += mass * weight * next;
            }
        }
    }

    /// Probability of a span of at least one tag (see [`super::Posterior::span`]).
    pub(super) fn span(
        &self,
        crf: &Crf,
        first: usize,
        tags: &[usize],
        continues: impl Fn(usize) -> bool,
    ) -> f64 {
        let n = crf.n_tags;
        let (start, last) = (tags[0], tags[tags.len() - 1]);
        let mut mass = self.alpha[first * n + start];
        for (t, pair) in (first + 1..).zip(tags.windows(2)) {
            mass *=
                crf.weights[pair[0] * n + pair[1]] * self.emitted[t * n + pair[1]] / self.scale[t];
        }
        let next = first + tags.len();
        let rest: f64 = if next == self.scale.len() {
            self.beta[(next - 1) * n + last]
        } else {
            let to = |tag: &usize| !continues(*tag);
            let weight = |tag| {
                let at = next * n + tag;
                crf.weights[last * n + tag] * self.emitted[at] * self.beta[at]
            };
            (0..n).filter(to).map(weight).sum::<f64>() / self.scale[next]
        };
        mass * rest
    }
}

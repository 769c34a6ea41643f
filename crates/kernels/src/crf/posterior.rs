//! Forward-backward: exact marginals of tags and of spans.

use super::Crf;
use crate::{Error, Result};

/// The distribution over the tag sequences of one sentence.
#[derive(Clone, Debug)]
pub struct Posterior<'a> {
    pub(super) crf: &'a Crf,
    pub(super) tokens: usize,
    /// `exp(e_t - m_t)`, `[tokens, tags]`.
    pub(super) emitted: Vec<f64>,
    /// Scaled forward sums, each row adding up to 1.
    pub(super) alpha: Vec<f64>,
    /// Scaled backward sums: `alpha * beta` are the marginals.
    pub(super) beta: Vec<f64>,
    /// What each row of `alpha` was divided by.
    pub(super) scale: Vec<f64>,
    log_z: f64,
}

impl Crf {
    /// Runs forward-backward over `emissions`, `[tokens, tags]`.
    ///
    /// # Errors
    /// If `emissions` is no whole number of rows, or no sequence is allowed.
    pub fn posterior(&self, emissions: &[f32]) -> Result<Posterior<'_>> {
        let (n, tokens) = (self.n_tags, self.tokens(emissions)?);
        let mut posterior = Posterior {
            crf: self,
            tokens,
            emitted: vec![0.0; tokens * n],
            alpha: vec![0.0; tokens * n],
            beta: vec![0.0; tokens * n],
            scale: vec![1.0; tokens],
            log_z: 0.0,
        };
        if tokens > 0 {
            posterior.forward(emissions)?;
            posterior.backward();
        }
        Ok(posterior)
    }
}

impl Posterior<'_> {
    fn forward(&mut self, emissions: &[f32]) -> Result<()> {
        let n = self.crf.n_tags;
        let weights = &self.crf.weights;
        let mut sums = weights[n * n..n * (n + 1)].to_vec();
        for t in 0..self.tokens {
            if t > 0 {
                sums.fill(0.0);
                for (from, &mass) in self.alpha[(t - 1) * n..t * n].iter().enumerate() {
                    let row = &weights[from * n..(from + 1) * n];
                    sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += mass * w);
                }
            }
            let scores = &emissions[t * n..(t + 1) * n];
            // The largest score among the tags that can be reached: no tag that
            // is forbidden here may push the others under the smallest float.
            let reached = scores.iter().zip(&sums).filter(|&(_, &sum)| sum > 0.0);
            let top = reached.map(|(&e, _)| f64::from(e)).fold(f64::NEG_INFINITY, f64::max);
            let emitted = &mut self.emitted[t * n..(t + 1) * n];
            let alpha = &mut self.alpha[t * n..(t + 1) * n];
            for tag in 0..n {
                if sums[tag] > 0.0 {
                    emitted[tag] = (f64::from(scores[tag]) - top).exp();
                    alpha[tag] = sums[tag] * emitted[tag];
                }
            }
            let scale: f64 = alpha.iter().sum();
            if !(scale > 0.0 && scale.is_finite()) {
                return Err(Error::Forbidden { what: "every sequence of tags" });
            }
            alpha.iter_mut().for_each(|mass| *mass /= scale);
            self.scale[t] = scale;
            self.log_z += scale.ln() + top + self.crf.offset;
        }
        Ok(())
    }

    fn backward(&mut self) {
        let n = self.crf.n_tags;
        let last = self.tokens - 1;
        let end = &self.crf.weights[(n + 1) * n..];
        let total: f64 = self.alpha[last * n..].iter().zip(end).map(|(a, e)| a * e).sum();
        self.log_z += total.ln() + self.crf.offset;
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
                let column = &self.crf.reversed[to * n..(to + 1) * n];
                now.iter_mut().zip(column).for_each(|(sum, w)| *sum += mass * w);
            }
        }
    }

    /// Logarithm of the partition function, in nats.
    pub fn log_z(&self) -> f64 {
        self.log_z
    }

    /// Probability that token `t` has this tag.
    ///
    /// # Panics
    /// If the token or the tag is out of range.
    pub fn marginal(&self, t: usize, tag: usize) -> f64 {
        let at = t * self.crf.n_tags + tag;
        (self.alpha[at] * self.beta[at]).clamp(0.0, 1.0)
    }

    /// Probability that the tokens from `first` on have exactly these tags and
    /// the tag after them is none that `continues` the span.
    ///
    /// # Panics
    /// If the tokens or tags are out of range.
    pub fn span(&self, first: usize, tags: &[usize], continues: impl Fn(usize) -> bool) -> f64 {
        let n = self.crf.n_tags;
        let (Some(&start), Some(&last)) = (tags.first(), tags.last()) else { return 1.0 };
        let mut mass = self.alpha[first * n + start];
        for (t, pair) in (first + 1..).zip(tags.windows(2)) {
            mass *= self.crf.weights[pair[0] * n + pair[1]] * self.emitted[t * n + pair[1]]
                / self.scale[t];
        }
        let next = first + tags.len();
        let rest: f64 = if next == self.tokens {
            self.beta[(next - 1) * n + last]
        } else {
            let to = |tag: &usize| !continues(*tag);
            let weight = |tag| {
                let at = next * n + tag;
                self.crf.weights[last * n + tag] * self.emitted[at] * self.beta[at]
            };
            (0..n).filter(to).map(weight).sum::<f64>() / self.scale[next]
        };
        (mass * rest).clamp(0.0, 1.0)
    }
}

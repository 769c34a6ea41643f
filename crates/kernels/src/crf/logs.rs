//! Forward and backward sums as logarithms: slower by an exponential for each
//! transition, but no score is too large or too small for them.

use super::Crf;
use crate::{Error, Result};

/// Logarithms of the sums of one sentence.
#[derive(Clone, Debug)]
pub(super) struct Logs {
    /// `e_t - m_t`, `[tokens, tags]`.
    emitted: Vec<f64>,
    /// Forward sums, each row adding up to 1.
    alpha: Vec<f64>,
    /// Backward sums: `alpha + beta` are the logarithms of the marginals.
    beta: Vec<f64>,
    /// What was taken from each row of `alpha`.
    scale: Vec<f64>,
}

impl Logs {
    /// The sums and `log Z`.
    ///
    /// # Errors
    /// If no sequence is allowed.
    pub(super) fn new(crf: &Crf, emissions: &[f32], tokens: usize) -> Result<(Self, f64)> {
        let n = crf.n_tags;
        let mut sums = Self {
            emitted: emissions.iter().map(|&e| f64::from(e)).collect(),
            alpha: vec![0.0; tokens * n],
            beta: vec![0.0; tokens * n],
            scale: vec![0.0; tokens],
        };
        let log_z = sums.forward(crf);
        let last = (tokens - 1) * n;
        let ended = sums.alpha[last..].iter().zip(crf.end()).map(|(a, end)| a + end);
        let total = log_sum(ended);
        if total == f64::NEG_INFINITY {
            return Err(Error::Forbidden { what: "every sequence of tags" });
        }
        for (beta, end) in sums.beta[last..].iter_mut().zip(crf.end()) {
            *beta = end - total;
        }
        for t in (1..tokens).rev() {
            for from in 0..n {
                sums.beta[(t - 1) * n + from] =
                    log_sum((0..n).map(|to| sums.after(crf, t, from, to)));
            }
        }
        Ok((sums, log_z + total))
    }

    fn forward(&mut self, crf: &Crf) -> f64 {
        let n = crf.n_tags;
        let mut log_z = 0.0;
        let mut sums = crf.start().to_vec();
        for t in 0..self.scale.len() {
            if t > 0 {
                let before = &self.alpha[(t - 1) * n..t * n];
                for (to, sum) in sums.iter_mut().enumerate() {
                    let moved = |(from, mass): (usize, &f64)| mass + crf.scores[from * n + to];
                    *sum = log_sum(before.iter().enumerate().map(moved));
                }
            }
            let emitted = &mut self.emitted[t * n..(t + 1) * n];
            let reached = emitted.iter().zip(&sums).filter(|&(_, &s)| s > f64::NEG_INFINITY);
            let top = reached.map(|(&e, _)| e).fold(f64::NEG_INFINITY, f64::max);
            if top == f64::NEG_INFINITY {
                self.alpha[t * n..].fill(top);
                return top;
            }
            emitted.iter_mut().for_each(|e| *e -= top);
            let alpha = &mut self.alpha[t * n..(t + 1) * n];
            for ((alpha, sum), e) in alpha.iter_mut().zip(&sums).zip(emitted) {
                *alpha = sum + *e;
            }
            let scale = log_sum(alpha.iter().copied());
            alpha.iter_mut().for_each(|mass| *mass -= scale);
            self.scale[t] = scale;
            log_z += scale + top;
        }
        log_z
    }

    /// What follows `from` if token `t` has the tag `to`.
    fn after(&self, crf: &Crf, t: usize, from: usize, to: usize) -> f64 {
        let at = t * crf.n_tags + to;
        crf.scores[from * crf.n_tags + to] + self.emitted[at] + self.beta[at] - self.scale[t]
    }

    /// Marginal number `at`.
    pub(super) fn mass(&self, at: usize) -> f64 {
        (self.alpha[at] + self.beta[at]).exp()
    }

    /// Adds the probability of each transition to token `t`.
    pub(super) fn add_transitions(&self, crf: &Crf, t: usize, expected: &mut [f64]) {
        let n = crf.n_tags;
        for from in 0..n {
            let mass = self.alpha[(t - 1) * n + from];
            for (to, sum) in expected[from * n..(from + 1) * n].iter_mut().enumerate() {
                *sum += (mass + self.after(crf, t, from, to)).exp();
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
            mass +=
                crf.scores[pair[0] * n + pair[1]] + self.emitted[t * n + pair[1]] - self.scale[t];
        }
        let next = first + tags.len();
        let rest = if next == self.scale.len() {
            self.beta[(next - 1) * n + last]
        } else {
            let to = |&tag: &usize| !continues(tag);
            let ends: Vec<usize> = (0..n).filter(to).collect();
            log_sum(ends.iter().map(|&tag| self.after(crf, next, last, tag)))
        };
        (mass + rest).exp()
    }
}

/// Logarithm of the sum of exponentials.
fn log_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + terms.map(|term| (term - top).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crf::{Mask, scaled::Scaled};

    #[test]
    fn equal_the_scaled_sums() {
        let (n, tokens) = (5, 6);
        let mask = Mask::new(n, |from, to| from != Some(2) || to != Some(3));
        let scores: Vec<f32> = (0..(n + 2) * n).map(|i| (i * 7 % 11) as f32 - 5.0).collect();
        let emissions: Vec<f32> = (0..tokens * n).map(|i| (i * 5 % 13) as f32 - 6.0).collect();
        let crf = Crf::new(&scores, &mask).unwrap();
        let (logs, log_z) = Logs::new(&crf, &emissions, tokens).unwrap();
        let (scaled, want) = Scaled::new(&crf, &emissions, tokens).unwrap();
        let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-12, "{got} {want}");
        close(log_z, want);
        (0..tokens * n).for_each(|at| close(logs.mass(at), scaled.mass(at)));
        let (mut got, mut want) = (vec![0.0; n * n], vec![0.0; n * n]);
        for t in 1..tokens {
            logs.add_transitions(&crf, t, &mut got);
            scaled.add_transitions(&crf, t, &mut want);
        }
        got.iter().zip(&want).for_each(|(&got, &want)| close(got, want));
        for (first, span) in [(0, &[1, 4][..]), (2, &[0]), (4, &[3, 2]), (5, &[1])] {
            let continues = |tag| tag == 4;
            let want = scaled.span(&crf, first, span, continues);
            close(logs.span(&crf, first, span, continues), want);
        }
    }
}

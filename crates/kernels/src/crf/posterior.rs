//! Forward-backward: exact marginals of tags and of spans.

use super::{Crf, logs::Logs, scaled::Scaled};
use crate::Result;

/// The distribution over the tag sequences of one sentence.
#[derive(Clone, Debug)]
pub struct Posterior<'a> {
    pub(super) crf: &'a Crf,
    pub(super) tokens: usize,
    sums: Sums,
    log_z: f64,
}

/// Forward and backward sums.
#[derive(Clone, Debug)]
enum Sums {
    /// Fast, and exact unless a mass is too small for a float.
    Scaled(Scaled),
    /// For all other sentences.
    Logs(Logs),
}

impl Crf {
    /// Runs forward-backward over `emissions`, `[tokens, tags]`.
    ///
    /// # Errors
    /// If `emissions` is no whole number of rows or not finite, or no sequence
    /// is allowed.
    pub fn posterior(&self, emissions: &[f32]) -> Result<Posterior<'_>> {
        let tokens = self.tokens(emissions)?;
        let (sums, log_z) = match Scaled::new(self, emissions, tokens) {
            Some((sums, log_z)) => (Sums::Scaled(sums), log_z),
            None => {
                let (sums, log_z) = Logs::new(self, emissions, tokens)?;
                (Sums::Logs(sums), log_z)
            }
        };
        Ok(Posterior { crf: self, tokens, sums, log_z })
    }
}

impl Posterior<'_> {
    /// Logarithm of the partition function, in nats.
    pub fn log_z(&self) -> f64 {
        self.log_z
    }

    /// Probability that token `t` has this tag.
    ///
    /// # Panics
    /// If the token or the tag is out of range.
    pub fn marginal(&self, t: usize, tag: usize) -> f64 {
        self.mass(t * self.crf.n_tags + tag).clamp(0.0, 1.0)
    }

    /// Probability that the tokens from `first` on have exactly these tags and
    /// the tag after them is none that `continues` the span.
    ///
    /// # Panics
    /// If the tokens or tags are out of range.
    pub fn span(&self, first: usize, tags: &[usize], continues: impl Fn(usize) -> bool) -> f64 {
        if tags.is_empty() {
            return 1.0;
        }
        let probability = match &self.sums {
            Sums::Scaled(sums) => sums.span(self.crf, first, tags, continues),
            Sums::Logs(sums) => sums.span(self.crf, first, tags, continues),
        };
        probability.clamp(0.0, 1.0)
    }

    /// Marginal number `at` of `[tokens, tags]`, up to rounding below 1.
    pub(super) fn mass(&self, at: usize) -> f64 {
        match &self.sums {
            Sums::Scaled(sums) => sums.mass(at),
            Sums::Logs(sums) => sums.mass(at),
        }
    }

    /// Adds the probability of each transition to token `t`, by rows of the origin.
    pub(super) fn add_transitions(&self, t: usize, expected: &mut [f64]) {
        match &self.sums {
            Sums::Scaled(sums) => sums.add_transitions(self.crf, t, expected),
            Sums::Logs(sums) => sums.add_transitions(self.crf, t, expected),
        }
    }
}

//! Linear-chain conditional random fields (Lafferty et al., 2001).
//!
//! A sequence of tags `y` over emission scores `e` has the score
//! `start[y_0] + Σ e_t[y_t] + Σ transition[y_{t-1}, y_t] + end[y_last]`, and its
//! probability is the softmax of that over all allowed sequences. Everything
//! here is exact and in `f64`; the sums run in the probability domain, scaled
//! at each token (Rabiner, 1989), so that a token costs `tags` exponentials. A
//! sentence with a mass too small for a float is computed anew from logarithms.

mod logs;
mod loss;
mod n_best;
mod posterior;
mod scaled;
mod viterbi;

pub use loss::{Gradient, gradient};
pub use posterior::Posterior;

use crate::{Error, Result, error::expect_len};

/// Which tags may follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    n_tags: usize,
    allowed: Vec<bool>,
}

impl Mask {
    /// Asks `allowed(from, to)` of every pair; `None` is the sentence's border.
    pub fn new(n_tags: usize, allowed: impl Fn(Option<usize>, Option<usize>) -> bool) -> Self {
        let inner = (0..n_tags).flat_map(|from| (0..n_tags).map(move |to| (Some(from), Some(to))));
        let first = (0..n_tags).map(|to| (None, Some(to)));
        let last = (0..n_tags).map(|from| (Some(from), None));
        let pairs = inner.chain(first).chain(last);
        Self { n_tags, allowed: pairs.map(|(from, to)| allowed(from, to)).collect() }
    }

    /// A mask that forbids nothing.
    pub fn all(n_tags: usize) -> Self {
        Self::new(n_tags, |_, _| true)
    }

    /// Number of tags.
    pub fn n_tags(&self) -> usize {
        self.n_tags
    }

    /// Whether a sequence of tags is allowed.
    ///
    /// # Errors
    /// If a tag is out of range.
    #[cfg(any(feature = "cuda", all(test, target_os = "linux")))]
    pub(crate) fn allows(&self, tags: &[usize]) -> Result<bool> {
        let n = self.n_tags;
        if let Some(&index) = tags.iter().find(|&&tag| tag >= n) {
            return Err(Error::Range { what: "tag", index, limit: n });
        }
        let (Some(first), Some(last)) = (tags.first(), tags.last()) else { return Ok(true) };
        let inner = tags.windows(2).all(|pair| self.allowed[pair[0] * n + pair[1]]);
        Ok(inner && self.allowed[n * n + first] && self.allowed[(n + 1) * n + last])
    }

    /// Whether each transition is allowed, `[tags + 2, tags]`.
    #[cfg(any(feature = "cuda", all(test, target_os = "linux")))]
    pub(crate) fn allowed(&self) -> &[bool] {
        &self.allowed
    }
}

/// Transition scores ready for use.
///
/// They come as `[tags + 2, tags]`: row `i` the scores from tag `i`, then a row
/// of start scores and one of end scores.
#[derive(Clone, Debug)]
pub struct Crf {
    n_tags: usize,
    /// `[tags + 2, tags]`, negative infinity where forbidden.
    scores: Vec<f64>,
    /// `exp(scores - offset)`, by rows of the origin.
    weights: Vec<f64>,
    /// The same for inner transitions, by rows of the destination.
    reversed: Vec<f64>,
    offset: f64,
    /// The smallest weight of what is allowed; 0 if it underflows.
    least: f64,
}

impl Crf {
    /// Transition scores `[tags + 2, tags]`, with forbidden ones left out.
    ///
    /// # Errors
    /// If `scores` has another length, or an allowed one is not finite.
    pub fn new(scores: &[f32], mask: &Mask) -> Result<Self> {
        let n_tags = mask.n_tags;
        expect_len("transition scores", scores.len(), (n_tags + 2) * n_tags)?;
        let masked = scores.iter().zip(&mask.allowed);
        if let Some(index) = masked.clone().position(|(s, &ok)| ok && !s.is_finite()) {
            return Err(Error::NotFinite { what: "transition scores", index });
        }
        let scores: Vec<f64> =
            masked.map(|(&s, &ok)| if ok { f64::from(s) } else { f64::NEG_INFINITY }).collect();
        let offset = scores.iter().copied().filter(|s| s.is_finite()).fold(0.0, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - offset).exp()).collect();
        let reversed =
            (0..n_tags * n_tags).map(|i| weights[i % n_tags * n_tags + i / n_tags]).collect();
        let least = scores.iter().copied().filter(|s| s.is_finite()).fold(offset, f64::min);
        let least = (least - offset).exp();
        Ok(Self { n_tags, scores, weights, reversed, offset, least })
    }

    /// Number of tags.
    pub fn n_tags(&self) -> usize {
        self.n_tags
    }

    /// Score of a sequence of tags, in nats; negative infinity if forbidden.
    ///
    /// `emissions`: `[tokens, tags]`.
    ///
    /// # Errors
    /// If there is not one tag a token, a tag is out of range, or an emission is
    /// not finite.
    pub fn score(&self, emissions: &[f32], tags: &[usize]) -> Result<f64> {
        expect_len("emissions", emissions.len(), tags.len() * self.n_tags)?;
        self.tokens(emissions)?;
        if let Some(&index) = tags.iter().find(|&&tag| tag >= self.n_tags) {
            return Err(Error::Range { what: "tag", index, limit: self.n_tags });
        }
        let (Some(&first), Some(&last)) = (tags.first(), tags.last()) else { return Ok(0.0) };
        let emitted = tags.iter().enumerate().map(|(t, &tag)| emissions[t * self.n_tags + tag]);
        let moved = tags.windows(2).map(|pair| self.scores[pair[0] * self.n_tags + pair[1]]);
        Ok(self.start()[first]
            + self.end()[last]
            + emitted.map(f64::from).sum::<f64>()
            + moved.sum::<f64>())
    }

    fn start(&self) -> &[f64] {
        &self.scores[self.n_tags * self.n_tags..][..self.n_tags]
    }

    fn end(&self) -> &[f64] {
        &self.scores[(self.n_tags + 1) * self.n_tags..]
    }

    /// Number of tokens that checked emissions are of.
    fn tokens(&self, emissions: &[f32]) -> Result<usize> {
        let tokens = emissions.len() / self.n_tags.max(1);
        expect_len("emissions", emissions.len(), tokens * self.n_tags)?;
        match emissions.iter().position(|score| !score.is_finite()) {
            Some(index) => Err(Error::NotFinite { what: "emissions", index }),
            None => Ok(tokens),
        }
    }
}

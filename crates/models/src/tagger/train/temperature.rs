//! Scores that can be trusted: temperature scaling.

use glossator_nn::{Crf, KernelError, Mask};
use rayon::prelude::*;

/// How far the temperature may move: a factor of e, or so, either way.
const LARGEST_LN: f64 = 1.5;
/// Steps of the search: the temperature is known to 2 %.
const STEPS: usize = 10;
/// Standard deviation of the logarithm of the temperature, before any word is seen. It
/// matters only to development data of some dozens of words.
const PRIOR: f64 = 0.5;
/// No word weighs more than one of this probability.
const SMALLEST: f64 = 1e-9;

/// The scores of one layer on the development data.
pub(super) struct Scored<'a> {
    /// What follows what, `[tags + 2, tags]`.
    pub(super) transitions: &'a [f32],
    pub(super) mask: &'a Mask,
    /// Emission scores of each sentence, `[tokens, tags]`, and its gold tags.
    pub(super) sentences: Vec<(Vec<f32>, Vec<usize>)>,
}

impl Scored<'_> {
    /// What all scores must be multiplied by for the probabilities of tags to be as near to
    /// the gold tags as they get: the inverse of the temperature of Guo et al. (2017), "On
    /// calibration of modern neural networks". The best tags stay the best.
    ///
    /// # Errors
    /// If a sentence does not fit the layer.
    pub(super) fn scale(&self) -> Result<f32, KernelError> {
        let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
        let (mut low, mut high) = (-LARGEST_LN, LARGEST_LN);
        let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
        let (mut at_left, mut at_right) = (self.loss(left)?, self.loss(right)?);
        for _ in 0..STEPS {
            if at_left <= at_right {
                (high, right, at_right) = (right, left, at_left);
                left = high - golden * (high - low);
                at_left = self.loss(left)?;
            } else {
                (low, left, at_left) = (left, right, at_right);
                right = low + golden * (high - low);
                at_right = self.loss(right)?;
            }
        }
        Ok(((low + high) / 2.0).exp() as f32)
    }

    /// Sum over all words of the negative logarithm of the gold tag's probability, in nats,
    /// and what speaks against the scale.
    fn loss(&self, ln_scale: f64) -> Result<f64, KernelError> {
        let scale = ln_scale.exp() as f32;
        let scaled = |values: &[f32]| values.iter().map(|value| value * scale).collect::<Vec<_>>();
        let crf = Crf::new(&scaled(self.transitions), self.mask)?;
        let losses = self.sentences.par_iter().map(|(emissions, gold)| {
            let emissions = scaled(emissions);
            let posterior = crf.posterior(&emissions)?;
            let of = |(t, tag): (usize, &usize)| -posterior.marginal(t, *tag).max(SMALLEST).ln();
            Ok(gold.iter().enumerate().map(of).sum::<f64>())
        });
        // Summed in the order of the sentences, whatever the threads.
        let losses = losses.collect::<Result<Vec<f64>, KernelError>>()?;
        Ok(losses.iter().sum::<f64>() + (ln_scale / PRIOR).powi(2) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One word a sentence, with two tags: the first one has the score `score`, and is
    /// right in `right` of a hundred sentences.
    fn scored<'a>(
        score: f32,
        right: usize,
        times: usize,
        mask: &'a Mask,
        transitions: &'a [f32],
    ) -> Scored<'a> {
        let sentence = |i: usize| (vec![score, 0.0], vec![usize::from(i % 100 >= right)]);
        Scored { transitions, mask, sentences: (0..100 * times).map(sentence).collect() }
    }

    #[test]
    fn scores_that_are_too_sure_are_made_smaller_and_others_larger() {
        let (mask, transitions) = (Mask::all(2), [0.0; 8]);
        // Right in 80 of 100: the logarithm of 4 is the score that says so.
        let want = 4.0_f32.ln();
        for score in [0.7, want, 3.0, 5.0] {
            let scale = scored(score, 80, 50, &mask, &transitions).scale().unwrap();
            assert!((scale * score / want - 1.0).abs() < 0.03, "{score}: {scale}");
        }
    }

    #[test]
    fn a_few_words_without_an_error_do_not_make_sure() {
        let (mask, transitions) = (Mask::all(2), [0.0; 8]);
        let mut few = scored(3.0, 100, 1, &mask, &transitions);
        few.sentences.truncate(5);
        let scale = few.scale().unwrap();
        assert!((1.0..1.2).contains(&scale), "{scale}");
        let none = Scored { sentences: Vec::new(), ..few };
        assert!((none.scale().unwrap() - 1.0).abs() < 0.02);
    }
}

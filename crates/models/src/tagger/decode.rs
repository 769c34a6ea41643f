//! From emission scores to a layer.

use glossator_nn::{Crf, KernelError, Mask, Weights};
use glossator_text::{Annotation, Layer, Sequence};

use super::{
    Labels, LayerModel,
    constraints::{self, Change, is_broken},
};
use crate::quirk::Quirks;

/// The last step to one layer.
pub(super) struct Decoder {
    layer: String,
    labels: Labels,
    /// The best sequence; also of a softmax over the tags of a scheme, where all
    /// transitions weigh the same but must be legal, if the model says so. Without it
    /// each word is labelled by itself.
    crf: Option<Crf>,
}

/// Tags, and of a CRF their score and the logarithm of the sum over all paths.
#[cfg(all(test, feature = "convert"))]
pub(super) type ScoredPath = (Vec<usize>, Option<(f64, f64)>);

/// Name of the transitions of a tagger's layer among its weights.
pub(super) fn transitions(index: usize) -> String {
    match index {
        0 => "crf.transitions".to_owned(),
        _ => format!("crf.{index}.transitions"),
    }
}

impl Decoder {
    /// The decoder of the layer `index`; `crf`: its transitions are among the weights.
    pub(super) fn new(
        index: usize,
        layer: LayerModel,
        quirks: &Quirks,
        crf: bool,
        weights: &mut Weights,
    ) -> glossator_nn::Result<Self> {
        let labels = Labels::new(&layer.labels, layer.scheme).with_quirks(quirks);
        let n = labels.len();
        let crf = if crf {
            let transitions = weights.take(&transitions(index), &[n + 2, n])?;
            Some(Crf::new(&transitions, &labels.mask())?)
        } else if labels.scheme().is_some() {
            Some(Crf::new(&vec![0.0; (n + 2) * n], &labels.mask())?)
        } else {
            None
        };
        Ok(Self { layer: layer.layer, labels, crf })
    }

    /// Name of the layer.
    pub(super) fn layer(&self) -> &str {
        &self.layer
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The layer of one sentence by its emission scores, `[tokens, tags]`, with its
    /// `n_best` likeliest sequences; none if all labels break the `changes`.
    pub(super) fn decode(
        &self,
        emissions: &mut [f32],
        changes: &[Change],
        n_best: usize,
    ) -> Result<Option<Layer>, KernelError> {
        constraints::apply(changes, self.labels.len(), emissions);
        let Some(annotation) = self.annotation(emissions, changes)? else { return Ok(None) };
        let mut layer = Layer::new(self.layer.as_str(), annotation);
        if n_best > 0 {
            layer.sequences = self.sequences(emissions, n_best)?;
        }
        Ok(Some(layer))
    }

    fn annotation(
        &self,
        emissions: &[f32],
        changes: &[Change],
    ) -> Result<Option<Annotation>, KernelError> {
        let Some(crf) = &self.crf else {
            let best: Vec<_> =
                emissions.chunks_exact(self.labels.len()).map(softmax_best).collect();
            let is_broken = is_broken(changes, best.iter().map(|(tag, _)| *tag));
            return Ok((!is_broken).then(|| self.labels.words(best.into_iter())));
        };
        let (path, _) = crf.viterbi(emissions)?;
        if is_broken(changes, path.iter().copied()) {
            return Ok(None);
        }
        Ok(Some(self.labels.annotation(&path, &crf.posterior(emissions)?)))
    }

    /// The likeliest sequences of one sentence's labels.
    fn sequences(&self, emissions: &[f32], n_best: usize) -> Result<Vec<Sequence>, KernelError> {
        let independent;
        let crf = match &self.crf {
            Some(crf) => crf,
            // Words by themselves are a chain whose transitions say nothing.
            None => {
                let n = self.labels.len();
                independent = Crf::new(&vec![0.0; (n + 2) * n], &Mask::all(n))?;
                &independent
            }
        };
        let log_z = crf.posterior(emissions)?.log_z();
        let paths = crf.n_best(emissions, n_best)?.into_iter();
        let sequence = |(path, score): (Vec<usize>, f64)| Sequence {
            score: (score - log_z).exp().min(1.0),
            labels: self.labels.of_path(&path),
        };
        // What cannot be is no sequence.
        Ok(paths.map(sequence).filter(|sequence| sequence.score > 0.0).collect())
    }

    /// The best path of one sentence's tags.
    #[cfg(all(test, feature = "convert"))]
    pub(super) fn path(&self, emissions: &[f32]) -> Result<ScoredPath, KernelError> {
        let Some(crf) = &self.crf else {
            let rows = emissions.chunks_exact(self.labels.len());
            return Ok((rows.map(|row| softmax_best(row).0).collect(), None));
        };
        let (path, score) = crf.viterbi(emissions)?;
        Ok((path, Some((score, crf.posterior(emissions)?.log_z()))))
    }
}

/// The class of the highest score, and its probability under a softmax.
fn softmax_best(scores: &[f32]) -> (usize, f64) {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    let top = f64::from(scores[best]);
    (best, 1.0 / scores.iter().map(|&s| (f64::from(s) - top).exp()).sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_softmax_gives_probabilities() {
        let (best, score) = softmax_best(&[1.0, 3.0, 2.0]);
        let want = 1.0 / (1.0 + f64::exp(-1.0) + f64::exp(-2.0));
        assert!(best == 1 && (score - want).abs() < 1e-12);
    }
}

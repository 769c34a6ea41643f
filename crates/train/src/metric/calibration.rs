//! How far probabilities can be trusted.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    resample::{Interval, Sampler},
    statistics::{Statistics, Summed},
};
use crate::Result;

/// Number of bins.
const BINS: usize = 10;
/// What is summed of a bin: how many, their scores, how many are right.
const COLUMNS: usize = 3;

/// Collects scores, and whether what they are of is right.
#[derive(Debug, Clone, Default)]
pub struct CalibrationScorer {
    sentences: Vec<Vec<(f64, bool)>>,
}

/// Scores by bins with as many each, in percent.
///
/// The expected calibration error (Naeini et al., 2015; Guo et al., 2017) is the mean over
/// all labels of how far the score of their bin is from the part that is right. That of
/// perfect scores is above 0, too, for the few labels of a bin are right by chance more or
/// less often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The bins, the lowest scores first; fewer than ten of fewer labels.
    pub bins: Vec<CalibrationBin>,
    /// The expected calibration error.
    pub expected_error: f64,
    /// Its 95 % interval, by the bootstrap over sentences.
    pub interval: Interval,
}

/// Labels of similar scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// How many there are.
    pub labels: usize,
    /// Their mean score, in percent.
    pub score: f64,
    /// How many of them are right, in percent.
    pub correct: f64,
}

impl CalibrationScorer {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the labels or spans of a sentence: each score, 0 to 1, and whether it is right.
    pub fn add(&mut self, labels: impl IntoIterator<Item = (f64, bool)>) {
        self.sentences.push(labels.into_iter().collect());
    }

    /// The calibration of what was added; none if that was nothing.
    ///
    /// # Errors
    /// If the sampler draws no samples.
    pub fn report(&self, sampler: &Sampler) -> Result<Option<Calibration>> {
        let mut scores: Vec<f64> = self.sentences.iter().flatten().map(|label| label.0).collect();
        if scores.is_empty() {
            return Ok(None);
        }
        scores.sort_by(f64::total_cmp);
        // The first score of each bin but the first; equal scores are in one bin.
        let bins = BINS.min(scores.len());
        let mut borders: Vec<f64> =
            (1..bins).map(|bin| scores[bin * scores.len() / bins]).collect();
        borders.dedup();
        let row = |sentence: &Vec<(f64, bool)>| {
            let mut row = vec![0.0; COLUMNS * (borders.len() + 1)];
            for (score, right) in sentence {
                let bin = borders.partition_point(|border| border <= score);
                row[COLUMNS * bin] += 1.0;
                row[COLUMNS * bin + 1] += score;
                row[COLUMNS * bin + 2] += f64::from(u8::from(*right));
            }
            row
        };
        let rows = self.sentences.iter().map(row).collect();
        let statistics = Statistics::new(rows, COLUMNS * (borders.len() + 1), None);
        let sums = statistics.sums();
        let bins = sums.chunks_exact(COLUMNS).filter(|bin| bin[0] > 0.0);
        let bins = bins.map(|bin| CalibrationBin {
            labels: bin[0] as usize,
            score: 100.0 * bin[1] / bin[0],
            correct: 100.0 * bin[2] / bin[0],
        });
        Ok(Some(Calibration {
            bins: bins.collect(),
            expected_error: ExpectedError.value(&sums),
            interval: sampler.interval(&ExpectedError, &statistics)?,
        }))
    }
}

/// The bins as a table, and the expected error with its interval.
impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>9} {:>9} {:>9}", "labels", "score", "correct")?;
        for bin in &self.bins {
            writeln!(f, "{:>9} {:>9.2} {:>9.2}", bin.labels, bin.score, bin.correct)?;
        }
        let (error, width) = (self.expected_error, self.interval.half_width);
        writeln!(f, "expected calibration error {error:.2} % ± {width:.2}")
    }
}

/// The expected calibration error of summed bins.
struct ExpectedError;

impl Summed for ExpectedError {
    fn value(&self, sums: &[f64]) -> f64 {
        let bins = sums.chunks_exact(COLUMNS);
        let total: f64 = bins.clone().map(|bin| bin[0]).sum();
        let off: f64 = bins.map(|bin| (bin[1] - bin[2]).abs()).sum();
        if total == 0.0 { 0.0 } else { 100.0 * off / total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(sentences: &[&[(f64, bool)]]) -> Option<Calibration> {
        let mut scorer = CalibrationScorer::new();
        sentences.iter().for_each(|labels| scorer.add(labels.iter().copied()));
        scorer.report(&Sampler::default()).unwrap()
    }

    #[test]
    fn scores_are_held_against_what_is_right() {
        let low = [(0.5, true), (0.5, false)];
        let high = [(0.9, true), (0.9, true), (0.9, true), (0.9, false)];
        let found = report(&[&low, &high, &[]]).unwrap();
        let bins: Vec<_> = found.bins.iter().map(|bin| (bin.labels, bin.correct)).collect();
        assert_eq!(bins, [(2, 50.0), (4, 75.0)]);
        assert!((found.bins[1].score - 90.0).abs() < 1e-9);
        // Nothing is off in the first bin, 15 % in the other, which has two thirds.
        assert!((found.expected_error - 10.0).abs() < 1e-9);
        assert!(found.interval.half_width > 0.0);
    }

    #[test]
    fn bins_have_as_many_labels_each() {
        let labels: Vec<(f64, bool)> =
            (0..200).map(|i| (f64::from(i) / 200.0, i % 2 == 0)).collect();
        let found = report(&[&labels]).unwrap();
        assert_eq!(found.bins.len(), 10);
        assert!(found.bins.iter().all(|bin| bin.labels == 20), "{found:?}");
        assert!(found.bins.is_sorted_by(|a, b| a.score < b.score));
        assert_eq!(report(&[&labels[..3]]).unwrap().bins.len(), 3);
        assert_eq!(report(&[&[], &[]]), None);
    }
}

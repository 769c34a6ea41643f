//! How much of a score is chance: intervals, and tests of two systems.
//!
//! Lines are drawn, their statistics summed and scored; no line is read again.
//! The numbers are defined as in sacreBLEU 2.6, drawn by our own generator: every
//! sample by one of its own, so they depend neither on threads nor on the metric,
//! and two metrics are tested on the same samples.

use glossator_nn::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::statistics::{Statistics, Summed, add};
use crate::{Error, Result};

/// The interval that holds 95 % of the scores of resampled corpora.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Mean of these scores.
    pub mean: f64,
    /// Half of the width of the interval.
    pub half_width: f64,
}

/// A test of a system against a baseline on the same lines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Score of the baseline.
    pub baseline: f64,
    /// Score of the system.
    pub system: f64,
    /// Probability, in `(0, 1]`, of a difference larger than theirs, whatever its
    /// sign, if the systems do not differ.
    pub p_value: f64,
}

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resampling {
    /// Lines with replacement, as many as there are (Koehn, 2004).
    Bootstrap,
    /// For every line, which system wrote which of the two translations
    /// (Riezler and Maxwell, 2005).
    Randomization,
}

/// Draws samples of lines: how many, and with which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampler {
    /// Number of samples.
    pub samples: usize,
    /// Seed of the generator.
    pub seed: u64,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { samples: 1000, seed: 12345 }
    }
}

impl Sampler {
    /// As many samples as are usual for a test: 1000 of the bootstrap, 10000 of
    /// randomization.
    pub fn usual(resampling: Resampling) -> Self {
        let samples = match resampling {
            Resampling::Bootstrap => 1000,
            Resampling::Randomization => 10_000,
        };
        Self { samples, ..Self::default() }
    }

    /// The 95 % interval of a score, by the bootstrap.
    ///
    /// # Errors
    /// If no samples are drawn.
    pub fn interval(&self, metric: &dyn Summed, statistics: &Statistics) -> Result<Interval> {
        self.check()?;
        Ok(interval(self.bootstrap(|lines| metric.value(&statistics.sums_of(lines)), statistics)))
    }

    /// Tests whether two systems differ, from their statistics of the same lines.
    ///
    /// The bootstrap counts the samples where the difference exceeds the real one
    /// after its mean over all samples is taken off; randomization those where it
    /// exceeds the real one. One is added to both counts, so no value is 0.
    ///
    /// # Errors
    /// If the statistics are not of as many lines and of the same metric, or if no
    /// samples are drawn.
    pub fn compare(
        &self,
        resampling: Resampling,
        metric: &dyn Summed,
        baseline: &Statistics,
        system: &Statistics,
    ) -> Result<Comparison> {
        self.check()?;
        baseline.fits(system)?;
        let scores = [baseline, system].map(|of| metric.value(&of.sums()));
        let differences = match resampling {
            Resampling::Bootstrap => centred(self.bootstrap(
                |lines| {
                    let of = |statistics: &Statistics| {
                        metric.value(&statistics.sums_of(lines.iter().copied()))
                    };
                    (of(baseline) - of(system)).abs()
                },
                baseline,
            )),
            Resampling::Randomization => {
                let swapping = Swapping::new(baseline, system);
                let draw = |sample| {
                    let mut bits = Bits::new(Rng::new(self.seed, "randomization", sample));
                    swapping.difference(metric, || bits.next())
                };
                (0..self.samples as u64).into_par_iter().map(draw).collect()
            }
        };
        let [baseline, system] = scores;
        let p_value = p_value(&differences, (baseline - system).abs());
        Ok(Comparison { baseline, system, p_value })
    }

    fn check(&self) -> Result<()> {
        if self.samples > 0 { Ok(()) } else { Err(Error::NoSamples) }
    }

    /// What `score` makes of every sample of lines.
    fn bootstrap(&self, score: impl Fn(Vec<usize>) -> f64 + Sync, of: &Statistics) -> Vec<f64> {
        let draw = |sample| {
            let mut rng = Rng::new(self.seed, "bootstrap", sample);
            score((0..of.len()).map(|_| rng.below(of.len())).collect())
        };
        (0..self.samples as u64).into_par_iter().map(draw).collect()
    }
}

/// Two systems whose lines change sides.
pub(super) struct Swapping {
    /// Sums of both.
    sums: [Vec<f64>; 2],
    /// What a line adds to the first and takes from the second when it changes sides.
    changes: Statistics,
}

impl Swapping {
    pub(super) fn new(baseline: &Statistics, system: &Statistics) -> Self {
        let lines = (0..baseline.len()).map(|line| {
            let pairs = baseline.line(line).iter().zip(system.line(line));
            pairs.map(|(baseline, system)| system - baseline).collect()
        });
        Self {
            sums: [baseline.sums(), system.sums()],
            changes: Statistics::new(lines.collect(), baseline.width(), baseline.n_references()),
        }
    }

    /// Difference of the scores when the lines change sides for which `swapped` is
    /// true. What differs between systems is counted in whole numbers, so no bits
    /// are lost in the sums.
    pub(super) fn difference(&self, metric: &dyn Summed, mut swapped: impl FnMut() -> bool) -> f64 {
        let [mut one, mut other] = self.sums.clone();
        let mut change = vec![0.0; self.changes.width()];
        for line in (0..self.changes.len()).filter(|_| swapped()) {
            add(&mut change, self.changes.line(line));
        }
        add(&mut one, &change);
        change.iter_mut().for_each(|change| *change = -*change);
        add(&mut other, &change);
        (metric.value(&one) - metric.value(&other)).abs()
    }
}

/// The bits of a generator, one by one.
struct Bits {
    rng: Rng,
    bits: u32,
    left: u32,
}

impl Bits {
    fn new(rng: Rng) -> Self {
        Self { rng, bits: 0, left: 0 }
    }

    fn next(&mut self) -> bool {
        if self.left == 0 {
            (self.bits, self.left) = (self.rng.bits(), u32::BITS);
        }
        self.left -= 1;
        self.bits >> self.left & 1 == 1
    }
}

/// Mean and 95 % interval of at least one score.
pub(super) fn interval(mut scores: Vec<f64>) -> Interval {
    scores.sort_unstable_by(f64::total_cmp);
    let outside = scores.len() / 40;
    let (lower, upper) = (scores[outside], scores[scores.len() - outside - 1]);
    Interval { mean: mean(&scores), half_width: 0.5 * (upper - lower) }
}

/// Differences less their mean.
pub(super) fn centred(mut differences: Vec<f64>) -> Vec<f64> {
    let mean = mean(&differences);
    differences.iter_mut().for_each(|difference| *difference -= mean);
    differences
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Part of the differences, and of the real one, that exceeds the real one or is it.
pub(super) fn p_value(differences: &[f64], real: f64) -> f64 {
    let larger = differences.iter().filter(|&&difference| difference > real).count();
    (larger + 1) as f64 / (differences.len() + 1) as f64
}

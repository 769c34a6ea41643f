//! Scores of labels, of spans and of [translations](translation), as percentages from 0 to 100.

mod accuracy;
mod calibration;
mod report;
mod resample;
mod spans;
mod statistics;
pub mod translation;

pub use self::{
    accuracy::AccuracyScorer,
    calibration::{Calibration, CalibrationBin, CalibrationScorer},
    report::{ClassScore, Confusion, F1, Report, Score},
    resample::{Comparison, Interval, Resampling, Sampler},
    spans::SpanScorer,
    statistics::{Statistics, Summed},
};

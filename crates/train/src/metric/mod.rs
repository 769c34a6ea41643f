//! Scores of labels, of spans and of [translations](translation), as percentages from 0 to 100.

mod accuracy;
mod report;
mod spans;
pub mod translation;

pub use self::{
    accuracy::AccuracyScorer,
    report::{ClassScore, Report, Score},
    spans::SpanScorer,
};

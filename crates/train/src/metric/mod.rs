//! Scores of labels and of spans, as percentages from 0 to 100.

mod accuracy;
mod report;
mod spans;

pub use self::{
    accuracy::AccuracyScorer,
    report::{ClassScore, Report, Score},
    spans::SpanScorer,
};

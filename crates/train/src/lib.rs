//! The one training loop of the toolkit, for taggers, language models and translators.
//!
//! The decision of this crate: **a run is a function of its configuration, its
//! seed and its data**. Every use of chance is derived from the seed and a
//! counter, sums are taken in one order whatever the number of threads, and a
//! checkpoint is one file that is replaced in one move. So a run that was
//! killed at any moment and resumed ends with the same bytes as one that was
//! left alone.
//!
//! A model implements [`Task`]; [`run`] trains it; an [`Observer`] is told of
//! the [`Event`]s and never takes part in the training. [`metric`] has the
//! scores of labels, of spans and of translations.
#![forbid(unsafe_code)]

mod average;
mod checkpoint;
mod config;
mod disk;
mod error;
pub mod files;
mod folder;
pub mod metric;
pub mod observer;
mod optimizer;
mod schedule;
mod session;
mod shadow;
mod state;
mod task;
#[cfg(test)]
mod testing;
mod trainer;
mod values;

pub use config::{OptimizerKind, ProductPrecision, ReductionKind, ScheduleKind, TrainingConfig};
pub use error::{BoxError, Error};
pub use observer::{Event, JsonLog, Observer, Progress, Table};
pub use task::{Array, Evaluation, Loss, Snapshot, Task};
pub use trainer::{Outcome, RunOptions, Summary, run};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

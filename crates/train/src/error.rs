//! What can go wrong while training or scoring.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Error of a task: whatever the model and its data report.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting outside of its range.
    #[error("training.{key}: {problem}")]
    Config {
        /// Key of the configuration.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// A file or folder of the run cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A folder to go on in that is not empty, but has no checkpoint.
    #[error(
        "nothing to resume in {path}: there is no checkpoint; train anew, or into another folder"
    )]
    NothingToResume {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that somebody trains in at this moment.
    #[error("{path} is being trained by another process")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A run cannot go on with other settings than it began with.
    #[error("{problem}; put it back, or start anew with --force")]
    OtherSettings {
        /// What differs.
        problem: String,
    },
    /// A checkpoint that does not fit this run, or is damaged.
    #[error("{path}: {problem}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// A number that is infinite or not a number. Nothing was written after it.
    #[error(
        "epoch {epoch}, step {step}: the {quantity} is not finite ({value}); {}",
        last_good(.checkpoint)
    )]
    NotFinite {
        /// Epoch, from 1.
        epoch: usize,
        /// Step of the whole run, from 1; it was not applied.
        step: u64,
        /// What is not finite.
        quantity: String,
        /// Its value.
        value: f64,
        /// The last good checkpoint, if there is one.
        checkpoint: Option<PathBuf>,
    },
    /// The task failed.
    #[error("epoch {epoch}: cannot {action}")]
    Task {
        /// What the task was asked to do.
        action: &'static str,
        /// Epoch, from 1.
        epoch: usize,
        /// The task's own error.
        source: BoxError,
    },
    /// An epoch without batches: there is nothing to train on.
    #[error("epoch {epoch} has no batches: is the training data empty?")]
    NoBatches {
        /// Epoch, from 1.
        epoch: usize,
    },
    /// A batch whose loss is a mean over nothing.
    #[error("epoch {epoch}, step {step}: the loss counts no examples")]
    EmptyBatch {
        /// Epoch, from 1.
        epoch: usize,
        /// Step of the whole run, from 1.
        step: u64,
    },
    /// The loss does not depend on any parameter.
    #[error("epoch {epoch}, step {step}: no parameter has a gradient: is the loss in the graph?")]
    NoGradient {
        /// Epoch, from 1.
        epoch: usize,
        /// Step of the whole run, from 1.
        step: u64,
    },
    /// No evaluation gave a score, so there is no best model.
    #[error("no evaluation gave a score in {epochs} epochs, so no model was saved")]
    NoScore {
        /// Epochs trained, the last one perhaps in part.
        epochs: usize,
    },
    /// Gold and predicted labels of different number.
    #[error("{gold} gold labels, but {predicted} predicted ones")]
    Lengths {
        /// Number of gold labels.
        gold: usize,
        /// Number of predicted labels.
        predicted: usize,
    },
    /// A corpus without lines.
    #[error("no hypotheses: there is nothing to score")]
    NoHypotheses,
    /// References that are not beside the hypotheses.
    #[error("reference {reference} has {lines} lines, but there are {hypotheses} hypotheses")]
    ReferenceLines {
        /// Number of the reference, from 1.
        reference: usize,
        /// Its lines.
        lines: usize,
        /// Number of hypotheses.
        hypotheses: usize,
    },
    /// A hypothesis with nothing to compare it with.
    #[error("line {line} has no reference")]
    NoReference {
        /// Number of the line, from 1.
        line: usize,
    },
    /// Settings of a metric that give no score.
    #[error("{metric}: {problem}")]
    Metric {
        /// Name of the metric.
        metric: &'static str,
        /// What is wrong with them.
        problem: String,
    },
    /// Statistics of other lines, or of another metric.
    #[error("statistics of shape {baseline:?} cannot be compared with those of {system:?}")]
    Incomparable {
        /// Lines and statistics per line of the baseline.
        baseline: [usize; 2],
        /// Those of the system.
        system: [usize; 2],
    },
    /// An interval or a test of no samples.
    #[error("no samples are drawn: at least 1 is needed")]
    NoSamples,
    /// An error of tensor arithmetic.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// An error of the parameter set.
    #[error(transparent)]
    Parameters(#[from] glossator_nn::Error),
    /// An event that cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// Turns an input/output error at `path` into one of ours.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// A checkpoint at `path` that cannot be used.
    pub(crate) fn checkpoint(path: &Path, problem: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.to_owned(), problem: problem.into() }
    }
}

fn last_good(checkpoint: &Option<PathBuf>) -> String {
    match checkpoint {
        Some(path) => format!("the last good checkpoint is {}", path.display()),
        None => "there is no checkpoint yet".to_owned(),
    }
}

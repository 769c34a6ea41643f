//! The entry to training.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use glossator_nn::Device;

use crate::{Observer, Result, Task, TrainingConfig, folder::Folder, session::Session};

/// Where and how to run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Folder of the run; in the end the loadable best model, with
    /// `checkpoints` and `log.jsonl`.
    pub out: PathBuf,
    /// Seed of all chance.
    pub seed: u64,
    /// Go on from the last checkpoint in `out`; a folder that holds nothing yet,
    /// or a run that was cut off before its first checkpoint, is begun with.
    /// Without this, the model, the checkpoints and the log of an earlier run
    /// in `out` are removed.
    pub resume: bool,
    /// Once true, the run saves a checkpoint and ends after the present step.
    pub stop: Arc<AtomicBool>,
    /// Where the parameters lie and is computed.
    pub device: Device,
    /// Save a checkpoint after so many steps, too.
    pub checkpoint_every_steps: Option<usize>,
}

impl RunOptions {
    /// Looks whether a run could begin in `out`, and changes nothing there.
    ///
    /// # Errors
    /// If another process trains there, if there is nothing to resume, or if
    /// the folder cannot be read.
    pub fn check(&self) -> Result<()> {
        Folder::at(&self.out).check(self.resume)
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is complete.
    Finished(Summary),
    /// It was stopped from outside; a checkpoint was saved.
    Interrupted,
}

/// Numbers of a complete run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Epoch of the best model, from 1.
    pub best_epoch: usize,
    /// Step of the whole run after which it was evaluated.
    pub best_step: u64,
    /// Its score.
    pub best_score: f64,
    /// Epochs trained; `max_steps` or an early stop may have cut the last one off.
    pub epochs: usize,
    /// Wall-clock time, that of interrupted parts included.
    pub seconds: f64,
    /// Number of updates.
    pub steps: u64,
}

/// Trains a task until its schedule ends.
///
/// In the end `options.out` holds the best model; the parameters of `task` are
/// those of the last step. The mean loss of a batch is what is differentiated,
/// so the size of a step does not depend on that of the batch.
///
/// # Errors
/// If a setting is out of range, the folder cannot be trained in (see
/// [`RunOptions::check`]), the checkpoint does not fit, the task fails, a file
/// cannot be written, or a number is not finite: the last good checkpoint
/// stays as it is.
pub fn run<T: Task>(
    task: &mut T,
    config: &TrainingConfig,
    options: &RunOptions,
    observers: &mut [Box<dyn Observer>],
) -> Result<Outcome> {
    config.validate()?;
    Session::open(task, config, options, observers)?.train()
}

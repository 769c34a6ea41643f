//! Observers of a run: they are told what happens, and change nothing.

mod log;
mod progress;
mod table;

use serde::{Serialize, Serializer};

pub use self::{log::JsonLog, progress::Progress, table::Table};
use crate::{Result, TrainingConfig};

/// Is told of the events of a run, in their order.
pub trait Observer {
    /// Takes note of an event.
    ///
    /// # Errors
    /// If it cannot; training stops.
    fn event(&mut self, event: &Event<'_>) -> Result<()>;
}

/// What happens in a run. Epochs and steps count from 1; losses are means per
/// example in nats; as JSON, numbers that are not finite are `null`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// A run begins, or goes on from a checkpoint.
    Started {
        /// Number of trainable values.
        parameters: usize,
        /// Number of trainable tensors.
        tensors: usize,
        /// Seed of all chance.
        seed: u64,
        /// Whether it goes on from a checkpoint.
        resumed: bool,
        /// The epoch it begins with.
        epoch: usize,
        /// Steps that are done.
        step: u64,
        /// What is counted for the speed, in the plural: `words`.
        unit: &'static str,
        /// The settings.
        config: &'a TrainingConfig,
    },
    /// A batch was trained on.
    Step {
        /// The epoch.
        epoch: usize,
        /// Step within the epoch.
        step: usize,
        /// Steps of the epoch.
        steps: usize,
        /// Loss of this batch.
        loss: f64,
        /// Learning rate of this step.
        learning_rate: f64,
        /// Euclidean norm of all gradients, before they were clipped.
        grad_norm: f64,
        /// Speed of training in this epoch.
        tokens_per_second: f64,
        /// Time to the end of this epoch or of the run, evaluations not counted.
        eta_seconds: f64,
    },
    /// The model was evaluated, at the end of an epoch or within it.
    Evaluated {
        /// The epoch.
        epoch: usize,
        /// Steps of the whole run.
        step: u64,
        /// Training loss over the steps since the evaluation before.
        train_loss: f64,
        /// Learning rate of the last step.
        learning_rate: f64,
        /// What the best model is chosen by.
        score: f64,
        /// Loss on the development data.
        loss: Option<f64>,
        /// Further numbers of the evaluation, in the order of the columns.
        #[serde(serialize_with = "as_map")]
        metrics: &'a [(String, f64)],
        /// Something the model made, to look at.
        #[serde(skip_serializing_if = "Option::is_none")]
        sample: Option<&'a str>,
        /// Whether this is the best model so far.
        best: bool,
        /// Evaluations since the best one or the last annealing.
        bad_epochs: usize,
        /// Speed of training in this epoch.
        tokens_per_second: f64,
        /// Time since the start of the run.
        seconds: f64,
    },
    /// How much of the gradient of the last output reaches what a layer reads some
    /// steps before: whether gradients vanish or explode.
    GradientFlow {
        /// The epoch.
        epoch: usize,
        /// Steps of the whole run.
        step: u64,
        /// Of each layer, the mean norm at each distance, from 0 on.
        layers: &'a [Vec<f64>],
    },
    /// The best model so far was saved.
    Best {
        /// The epoch.
        epoch: usize,
        /// Steps of the whole run.
        step: u64,
        /// Its score.
        score: f64,
    },
    /// The learning rate was lowered.
    Annealed {
        /// The epoch whose evaluation led to this.
        epoch: usize,
        /// The new learning rate.
        learning_rate: f64,
    },
    /// A checkpoint is being written.
    Checkpoint {
        /// The epoch the run would go on with.
        epoch: usize,
        /// Steps of the whole run.
        step: u64,
    },
    /// The run ended.
    Finished {
        /// Epochs trained, the last one perhaps in part.
        epochs: usize,
        /// Steps of the whole run.
        steps: u64,
        /// Epoch of the best model.
        best_epoch: usize,
        /// Step of the whole run after which the best model was evaluated.
        best_step: u64,
        /// Score of the best model.
        best_score: f64,
        /// Time since the start of the run.
        seconds: f64,
    },
    /// The run was stopped from outside; a checkpoint was saved.
    Interrupted {
        /// The epoch the run would go on with.
        epoch: usize,
        /// Steps of the whole run.
        step: u64,
    },
    /// The run failed: a number is infinite or not a number.
    NotFinite {
        /// The epoch.
        epoch: usize,
        /// Step of the whole run.
        step: u64,
        /// What is not finite.
        quantity: &'a str,
        /// The last good checkpoint.
        checkpoint: Option<String>,
    },
}

fn as_map<S: Serializer>(metrics: &[(String, f64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(metrics.iter().map(|(name, value)| (name, value)))
}

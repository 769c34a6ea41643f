//! What a model shows of itself to the training loop.

use std::{collections::BTreeMap, path::Path};

use candle_core::Tensor;
use glossator_nn::{ParamSet, Rng};

use crate::BoxError;

/// Loss of one batch.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Sum over the examples of the batch: a scalar in the graph, in nats.
    pub sum: Tensor,
    /// Number of examples, over which the mean is taken.
    pub count: usize,
    /// Number of tokens (see [`Task::unit`]), for the display of the speed.
    pub tokens: usize,
}

/// Result of an evaluation on the development data.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    /// What the best model is chosen by: higher is better, 0 to 100 where that
    /// is possible. Not a number: never the best.
    pub score: f64,
    /// Mean loss, in nats: decides between equal scores, lower is better.
    pub loss: Option<f64>,
    /// Named numbers for table and log, in the order of the columns.
    pub metrics: Vec<(String, f64)>,
    /// Something the model made, to look at.
    pub sample: Option<String>,
}

/// Numbers in row-major order and their shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Array {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// As many values as the shape asks for.
    pub values: Vec<f32>,
}

/// What a task carries from batch to batch, besides its parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Named tensors, such as the hidden states of a language model.
    pub tensors: BTreeMap<String, Array>,
    /// Everything else.
    pub json: serde_json::Value,
}

/// A model in training, with its data.
///
/// Anything random must come from the generator that is handed over, and
/// anything carried from one batch to the next must be in the [`Snapshot`]:
/// then a resumed run equals an uninterrupted one.
pub trait Task {
    /// One batch, small: indices rather than data.
    type Batch;

    /// Batches of an epoch (from 1) in their order, drawn from `rng` alone.
    fn batches(&self, epoch: usize, rng: &mut Rng) -> Vec<Self::Batch>;

    /// Loss of a batch; `rng` belongs to this step (dropout, noise).
    ///
    /// # Errors
    /// If the loss cannot be computed; training stops.
    fn loss(&mut self, batch: &Self::Batch, rng: &mut Rng) -> Result<Loss, BoxError>;

    /// Evaluates the present parameters on the development data. What is
    /// carried from batch to batch stays as it is: the epoch may go on.
    ///
    /// # Errors
    /// If that is not possible; training stops.
    fn evaluate(&mut self) -> Result<Evaluation, BoxError>;

    /// The parameters, in the order of updates.
    fn params(&self) -> &ParamSet;

    /// Writes the loadable model into an existing folder, each file by
    /// [`write_atomically`](crate::files::write_atomically).
    ///
    /// # Errors
    /// If a file cannot be written; training stops.
    fn save(&self, dir: &Path) -> Result<(), BoxError>;

    /// How much of the gradient of the last output is left, by layer and distance in
    /// steps, on some development data; nothing by default.
    ///
    /// # Errors
    /// If that cannot be computed; training stops.
    fn gradient_flow(&self) -> Result<Vec<Vec<f64>>, BoxError> {
        Ok(Vec::new())
    }

    /// What [`Loss::tokens`] counts, in the plural.
    fn unit(&self) -> &'static str {
        "words"
    }

    /// What is carried from batch to batch; nothing by default.
    fn snapshot(&self) -> Snapshot {
        Snapshot::default()
    }

    /// Says whether a run whose snapshot has this JSON can go on here, before anything
    /// is put back.
    ///
    /// # Errors
    /// If it stood on other data or settings.
    fn accepts(&self, _json: &serde_json::Value) -> Result<(), BoxError> {
        Ok(())
    }

    /// Puts back what [`snapshot`](Self::snapshot) gave.
    ///
    /// # Errors
    /// If the snapshot does not fit this task.
    fn restore(&mut self, snapshot: Snapshot) -> Result<(), BoxError> {
        let _ = snapshot;
        Ok(())
    }
}

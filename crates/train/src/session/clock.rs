//! How long things take.

use std::time::{Duration, Instant};

/// Times of this part of the run.
pub(super) struct Clock {
    started: Instant,
    /// Seconds of the parts before.
    earlier: f64,
    saved: Instant,
    /// Training time, tokens and steps of the present epoch, in this part.
    training: Duration,
    tokens: usize,
    steps: usize,
}

impl Clock {
    /// Begins a part of a run that took `earlier` seconds so far.
    pub(super) fn new(earlier: f64) -> Self {
        let now = Instant::now();
        Self { started: now, earlier, saved: now, training: Duration::ZERO, tokens: 0, steps: 0 }
    }

    /// Seconds of the whole run.
    pub(super) fn seconds(&self) -> f64 {
        self.earlier + self.started.elapsed().as_secs_f64()
    }

    /// Speed in the present epoch.
    pub(super) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.training.as_secs_f64().max(1e-9)
    }

    /// A new epoch begins.
    pub(super) fn begin_epoch(&mut self) {
        (self.training, self.tokens, self.steps) = (Duration::ZERO, 0, 0);
    }

    /// A step is done that began at `begin`.
    pub(super) fn end_step(&mut self, begin: Instant, tokens: usize) {
        self.training += begin.elapsed();
        self.tokens += tokens;
        self.steps += 1;
    }

    /// Time of so many further steps.
    pub(super) fn eta_seconds(&self, steps: usize) -> f64 {
        self.training.as_secs_f64() / self.steps.max(1) as f64 * steps as f64
    }

    /// A checkpoint was written.
    pub(super) fn saved(&mut self) {
        self.saved = Instant::now();
    }

    /// Time since the last checkpoint.
    pub(super) fn since_saved(&self) -> Duration {
        self.saved.elapsed()
    }
}

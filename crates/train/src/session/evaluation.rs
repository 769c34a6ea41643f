//! What happens between steps: evaluation, the best model, checkpoints.

use std::time::Duration;

use super::Session;
use crate::{Error, Event, Outcome, Result, Summary, Task, checkpoint::Parts, schedule};

impl<T: Task> Session<'_, T> {
    /// Evaluates, keeps the best model, anneals and saves a checkpoint.
    ///
    /// A model is saved only where there is a checkpoint already: then a model
    /// without one is never what a run has left to go on with.
    pub(super) fn evaluation(&mut self) -> Result<()> {
        match self.folder.existing_checkpoint() {
            None => self.checkpoint()?,
            Some(_) => self.check_parameters()?,
        }
        if let Some(average) = &mut self.average {
            average.enter(self.task.params())?;
        }
        let result = self.evaluate();
        if let Some(average) = &mut self.average {
            average.leave(self.task.params())?;
        }
        result?;
        if schedule::anneal(self.config, &mut self.state) {
            let (epoch, learning_rate) = (self.state.epoch, self.state.learning_rate);
            self.emit(&Event::Annealed { epoch, learning_rate })?;
        }
        self.state.go_on();
        self.checkpoint()
    }

    fn evaluate(&mut self) -> Result<()> {
        let learning_rate = self.learning_rate(self.state.cursor.saturating_sub(1));
        let tokens_per_second = self.clock.tokens_per_second();
        let evaluation = self.task.evaluate();
        let evaluation = evaluation.map_err(|source| self.failed("evaluate", source))?;
        let best = self.state.note(&evaluation);
        self.emit(&Event::Evaluated {
            epoch: self.state.epoch,
            step: self.state.step,
            train_loss: self.state.loss_sum / self.state.loss_count as f64,
            learning_rate,
            score: evaluation.score,
            loss: evaluation.loss,
            metrics: &evaluation.metrics,
            sample: evaluation.sample.as_deref(),
            best,
            bad_epochs: self.state.bad_epochs,
            tokens_per_second,
            seconds: self.clock.seconds(),
        })?;
        if self.config.gradient_flow {
            let layers = self.task.gradient_flow();
            let layers = layers.map_err(|source| self.failed("follow the gradient", source))?;
            let (epoch, step) = (self.state.epoch, self.state.step);
            self.emit(&Event::GradientFlow { epoch, step, layers: &layers })?;
        }
        if best {
            self.save_best()?;
            let (epoch, step) = (self.state.epoch, self.state.step);
            self.emit(&Event::Best { epoch, step, score: evaluation.score })?;
        }
        Ok(())
    }

    fn save_best(&mut self) -> Result<()> {
        let best = self.folder.best();
        let new = self.folder.prepare_best().map_err(Error::io(&best))?;
        self.task.save(&new).map_err(|source| self.failed("save the model", source))?;
        self.folder.swap_best().map_err(Error::io(&best))?;
        let saved = self.task.save(&self.folder.out);
        saved.map_err(|source| self.failed("save the model", source))
    }

    pub(super) fn checkpoint_is_due(&self) -> bool {
        let seconds = self.config.checkpoint_seconds;
        let time = seconds > 0 && self.clock.since_saved() >= Duration::from_secs(seconds);
        let every = self.options.checkpoint_every_steps;
        time || every.is_some_and(|every| self.state.step.is_multiple_of(every.max(1) as u64))
    }

    pub(super) fn checkpoint(&mut self) -> Result<()> {
        self.check_parameters()?;
        let (epoch, step) = (self.state.epoch, self.state.step);
        // The event comes first, so that it is in the part of the log that is kept.
        self.emit(&Event::Checkpoint { epoch, step })?;
        self.log.sync()?;
        self.state.log_bytes = self.log.len();
        self.state.seconds = self.clock.seconds();
        let (optimizer, average) = (&mut self.optimizer, &mut self.average);
        Parts { task: &mut *self.task, optimizer, average }
            .write(&self.folder.checkpoint(), &self.state)?;
        self.clock.saved();
        Ok(())
    }

    /// Ends a complete run.
    pub(super) fn finish(mut self) -> Result<Outcome> {
        let epochs = self.state.epochs();
        let best = self.state.best.clone().ok_or(Error::NoScore { epochs })?;
        let (best_epoch, best_step, best_score) = (best.epoch, best.step, best.score);
        let (seconds, steps) = (self.clock.seconds(), self.state.step);
        self.emit(&Event::Finished { epochs, steps, best_epoch, best_step, best_score, seconds })?;
        self.log.sync()?;
        let summary = Summary { best_epoch, best_step, best_score, epochs, seconds, steps };
        Ok(Outcome::Finished(summary))
    }
}

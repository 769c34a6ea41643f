//! A run: the state of training and the loop over it.

mod clock;
mod evaluation;
mod step;
#[cfg(test)]
mod tests;

use std::sync::atomic::Ordering;

use glossator_nn::Rng;

use self::clock::Clock;
use crate::{
    BoxError, Error, Event, JsonLog, Observer, Outcome, Result, RunOptions, Task, TrainingConfig,
    average::Average, checkpoint::Parts, folder::Folder, optimizer::Optimizer, schedule,
    state::State,
};

/// A run between its opening and its end.
pub(crate) struct Session<'a, T> {
    task: &'a mut T,
    config: &'a TrainingConfig,
    options: &'a RunOptions,
    observers: &'a mut [Box<dyn Observer>],
    folder: Folder,
    log: JsonLog,
    optimizer: Optimizer,
    average: Option<Average>,
    state: State,
    clock: Clock,
}

impl<'a, T: Task> Session<'a, T> {
    /// Opens the folder, and goes on from its checkpoint if it is to.
    pub(crate) fn open(
        task: &'a mut T,
        config: &'a TrainingConfig,
        options: &'a RunOptions,
        observers: &'a mut [Box<dyn Observer>],
    ) -> Result<Self> {
        let folder = Folder::open(&options.out, options.resume)?;
        let mut optimizer = Optimizer::new(config, task.params())?;
        let mut average = Average::new(config, task.params())?;
        let mut state = State::new(options.seed, config);
        let checkpoint = folder.existing_checkpoint();
        if let Some(path) = &checkpoint {
            let (optimizer, average) = (&mut optimizer, &mut average);
            state =
                Parts { task: &mut *task, optimizer, average }.read(path, options.seed, config)?;
        }
        let log = JsonLog::open(&folder.log(), state.log_bytes, state.seconds)?;
        let clock = Clock::new(state.seconds);
        let mut run = Self {
            task,
            config,
            options,
            observers,
            folder,
            log,
            optimizer,
            average,
            state,
            clock,
        };
        run.emit(&Event::Started {
            parameters: run.task.params().elements(),
            tensors: run.task.params().len(),
            seed: options.seed,
            resumed: checkpoint.is_some(),
            epoch: run.state.epoch,
            step: run.state.step,
            unit: run.task.unit(),
            config,
        })?;
        Ok(run)
    }

    /// Trains to the end.
    pub(crate) fn train(mut self) -> Result<Outcome> {
        while !schedule::finished(self.config, &self.state) {
            if !self.epoch()? {
                let (epoch, step) = (self.state.epoch, self.state.step);
                self.checkpoint()?;
                self.emit(&Event::Interrupted { epoch, step })?;
                return Ok(Outcome::Interrupted);
            }
        }
        self.finish()
    }

    /// Trains to the end of the present epoch or of the run; false if it was
    /// stopped before.
    fn epoch(&mut self) -> Result<bool> {
        let epoch = self.state.epoch;
        let mut rng = Rng::new(self.options.seed, "batches", epoch as u64);
        let batches = self.task.batches(epoch, &mut rng);
        let steps: Vec<&[T::Batch]> = batches.chunks(self.config.accumulate).collect();
        self.check_batches(steps.len())?;
        self.clock.begin_epoch();
        while self.state.epoch == epoch && !schedule::finished(self.config, &self.state) {
            if self.stopped() {
                return Ok(false);
            }
            // A run killed in an evaluation resumes here, before it.
            if schedule::evaluation_is_due(self.config, &self.state) {
                self.evaluation()?;
                continue;
            }
            self.step(steps[self.state.cursor])?;
            if self.checkpoint_is_due() {
                self.checkpoint()?;
            }
        }
        Ok(true)
    }

    /// An epoch has batches, and in a resumed epoch as many as before.
    fn check_batches(&mut self, batches: usize) -> Result<()> {
        let state = &mut self.state;
        if batches == 0 {
            return Err(Error::NoBatches { epoch: state.epoch });
        }
        if state.batches != 0 && state.batches != batches {
            let problem = format!(
                "epoch {} had {} batches, now it has {batches}: the data is not the same",
                state.epoch, state.batches
            );
            return Err(Error::checkpoint(&self.folder.checkpoint(), problem));
        }
        state.batches = batches;
        Ok(())
    }

    fn learning_rate(&self, cursor: usize) -> f64 {
        schedule::learning_rate(self.config, &self.state, cursor, self.state.batches)
    }

    fn stopped(&self) -> bool {
        self.options.stop.load(Ordering::Relaxed)
    }

    fn failed(&self, action: &'static str, source: BoxError) -> Error {
        Error::Task { action, epoch: self.state.epoch, source }
    }

    fn emit(&mut self, event: &Event<'_>) -> Result<()> {
        self.log.event(event)?;
        self.observers.iter_mut().try_for_each(|observer| observer.event(event))
    }
}

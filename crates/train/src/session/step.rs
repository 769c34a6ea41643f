//! One update, and the checks that it is one of numbers.

use std::time::Instant;

use glossator_nn::{ParamSet, Rng};

use super::Session;
use crate::{Error, Event, Loss, ReductionKind, Result, Task, optimizer::Gradients, values};

impl<T: Task> Session<'_, T> {
    /// Trains on the batches of a step, together.
    pub(super) fn step(&mut self, batches: &[T::Batch]) -> Result<()> {
        let begin = Instant::now();
        let number = self.state.step + 1;
        let (mut sum, mut count, mut tokens) = (0.0, 0, 0);
        let mut all: Option<Gradients> = None;
        let is_mean = self.config.reduction == ReductionKind::Mean;
        for (part, batch) in batches.iter().enumerate() {
            let loss = self.loss(batch, number, part)?;
            // Of several batches the mean is taken behind the last one.
            let own = if batches.len() == 1 && is_mean { loss.count } else { 1 };
            let mean = (loss.sum / own as f64)?;
            let value = f64::from(mean.to_scalar::<f32>()?);
            self.check_finite("loss", value, number)?;
            let gradients = Gradients::take(self.task.params(), mean.backward()?)?;
            all = Some(match all {
                Some(before) => before.plus(gradients)?,
                None => gradients,
            });
            sum += value * own as f64;
            (count, tokens) = (count + loss.count, tokens + loss.tokens);
        }
        let value = sum / count as f64;
        let Some(mut gradients) = all else {
            return Err(Error::EmptyBatch { epoch: self.state.epoch, step: number });
        };
        if batches.len() > 1 && is_mean {
            gradients.scale(1.0 / count as f64)?;
        }
        if gradients.is_empty() {
            return Err(Error::NoGradient { epoch: self.state.epoch, step: number });
        }
        let norm = gradients.norm()?;
        self.check_finite("gradient norm", norm, number)?;
        let rate = self.learning_rate(self.state.cursor);
        let clipped = match self.config.max_grad_value {
            limit if limit > 0.0 => {
                gradients.clip(limit)?;
                gradients.norm()?
            }
            _ => norm,
        };
        self.update(&gradients, clipped, rate, number)?;

        self.state.step = number;
        self.state.cursor += 1;
        self.state.loss_sum += sum;
        self.state.loss_count += count;
        self.clock.end_step(begin, tokens);
        self.tell_step(value, rate, norm)
    }

    fn loss(&mut self, batch: &T::Batch, number: u64, part: usize) -> Result<Loss> {
        let purpose = if part == 0 { "step".to_owned() } else { format!("step, part {part}") };
        let mut rng = Rng::new(self.options.seed, &purpose, self.state.step);
        let loss = self.task.loss(batch, &mut rng);
        let loss = loss.map_err(|source| self.failed("compute the loss", source))?;
        match loss.count {
            0 => Err(Error::EmptyBatch { epoch: self.state.epoch, step: number }),
            _ => Ok(loss),
        }
    }

    /// Updates the parameters, with the gradients scaled down to their greatest norm.
    fn update(&mut self, gradients: &Gradients, norm: f64, rate: f64, number: u64) -> Result<()> {
        let limit = self.config.max_grad_norm;
        let scale = if limit > 0.0 && norm > limit { limit / norm } else { 1.0 };
        let params = self.task.params();
        self.optimizer.step(params, gradients, scale, rate)?;
        match &mut self.average {
            Some(average) => average.update(params, number),
            None => Ok(()),
        }
    }

    fn tell_step(&mut self, loss: f64, learning_rate: f64, grad_norm: f64) -> Result<()> {
        let (step, steps) = (self.state.cursor, self.state.batches);
        let left = match self.config.max_steps as u64 {
            0 => steps - step,
            limit => (steps - step).min(limit.saturating_sub(self.state.step) as usize),
        };
        self.emit(&Event::Step {
            epoch: self.state.epoch,
            step,
            steps,
            loss,
            learning_rate,
            grad_norm,
            tokens_per_second: self.clock.tokens_per_second(),
            eta_seconds: self.clock.eta_seconds(left),
        })
    }

    /// Parameters may have become infinite in an update whose gradient was not.
    pub(super) fn check_parameters(&mut self) -> Result<()> {
        let Some((name, value)) = not_finite(self.task.params())? else { return Ok(()) };
        self.check_finite(&format!("parameter {name}"), f64::from(value), self.state.step)
    }

    fn check_finite(&mut self, quantity: &str, value: f64, step: u64) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        let epoch = self.state.epoch;
        let checkpoint = self.folder.existing_checkpoint();
        let path = checkpoint.as_ref().map(|path| path.display().to_string());
        self.emit(&Event::NotFinite { epoch, step, quantity, checkpoint: path })?;
        let quantity = quantity.to_owned();
        Err(Error::NotFinite { epoch, step, quantity, value, checkpoint })
    }
}

/// The first parameter with a value that is not finite, and that value.
fn not_finite(params: &ParamSet) -> Result<Option<(String, f32)>> {
    for param in params.iter() {
        let odd = values::read(&param.var, |values| {
            let place = values.iter().position(|value| !value.is_finite());
            place.map(|place| (place, values[place]))
        })?;
        if let Some((place, value)) = odd {
            return Ok(Some((param.tensor_at(place).to_owned(), value)));
        }
    }
    Ok(None)
}

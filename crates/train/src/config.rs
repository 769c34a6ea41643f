//! Settings of a training run: the `[training]` table of a configuration.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How gradients become updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent, with momentum (Polyak, 1964) and L2 weight decay.
    #[default]
    Sgd,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    AdamW,
}

/// Number format of the large products of training; weights, states, sums and
/// gradients are `f32` in any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProductPrecision {
    /// 32-bit floats.
    #[default]
    F32,
    /// The upper halves of 32-bit floats: faster where the processor has
    /// products of them, and rounded.
    Bf16,
}

/// What of the losses of a step is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReductionKind {
    /// Their mean.
    #[default]
    Mean,
    /// Their sum, as Flair's taggers since 0.9: the limit of the gradient's norm then
    /// decides how far most steps go.
    Sum,
}

/// How the learning rate changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// Lowered by `anneal_factor` after more than `patience` evaluations without a
    /// better score; training ends below `min_learning_rate`.
    #[default]
    Plateau,
    /// Half a cosine from the learning rate to 0 at `max_epochs`, or at
    /// `max_steps` if that is sooner.
    Cosine,
    /// Always the same.
    Constant,
    /// A straight line from the learning rate to 0 at `max_epochs`, or at
    /// `max_steps` if that is sooner.
    Linear,
    /// By the reciprocal square root of the steps, which is 1 at the end of the
    /// warm-up (Vaswani et al., 2017).
    #[serde(rename = "inverse-sqrt")]
    InverseSqrt,
}

/// Settings of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// The optimiser.
    pub optimizer: OptimizerKind,
    /// Number format of the products of all layers.
    pub precision: ProductPrecision,
    /// What of the losses of a step is minimised.
    pub reduction: ReductionKind,
    /// Learning rate at the start (after the warm-up).
    pub learning_rate: f64,
    /// Momentum of SGD, 0 to 1.
    pub momentum: f64,
    /// Weight decay: L2 with SGD, decoupled with AdamW.
    pub weight_decay: f64,
    /// Decay of AdamW's mean of gradients.
    pub beta1: f64,
    /// Decay of AdamW's mean of squared gradients.
    pub beta2: f64,
    /// Added to the denominator of AdamW.
    pub epsilon: f64,
    /// Examples (sentences, rows of text) per step.
    pub batch_size: usize,
    /// Batches whose gradients make one step, one after the other in memory: as
    /// one batch of all of them.
    pub accumulate: usize,
    /// Greatest number of epochs.
    pub max_epochs: usize,
    /// Greatest number of steps of the whole run, after which it ends with an
    /// evaluation even within an epoch; 0: no limit.
    pub max_steps: usize,
    /// Steps of the whole run between evaluations within epochs; 0: only at the
    /// end of each epoch, where there always is one.
    pub evaluate_every: usize,
    /// Evaluations without a better score before something is done: annealing
    /// (when there are more than these) with the schedule `plateau`, else
    /// stopping (when there are so many; 0: never).
    pub patience: usize,
    /// Factor of the learning rate at an annealing, between 0 and 1.
    pub anneal_factor: f64,
    /// With the schedule `plateau`, training ends below this learning rate.
    pub min_learning_rate: f64,
    /// Gradients are scaled down to this global Euclidean norm; 0: never.
    pub max_grad_norm: f64,
    /// Each value of a gradient is cut to within this of 0, before its norm is
    /// limited; 0: never.
    pub max_grad_value: f64,
    /// How the learning rate changes.
    pub schedule: ScheduleKind,
    /// Part of all steps (of `max_steps`, if these are fewer) during which the
    /// learning rate rises from 0, 0 to 1.
    pub warmup: f64,
    /// Decay per step of an exponential moving average of the weights, which is
    /// then what is evaluated and saved; 0: off. In the first steps the decay
    /// is lower, so that the random start is soon forgotten.
    pub ema_decay: f64,
    /// Evaluations, the latest ones, of whose weights the mean is evaluated and saved
    /// (checkpoint averaging; Junczys-Dowmunt et al., 2016); 0 and 1: off.
    pub average_last: usize,
    /// Whether each evaluation also says how much of a gradient is left over time
    /// and layers.
    pub gradient_flow: bool,
    /// Seconds between checkpoints; 0: only after each evaluation.
    pub checkpoint_seconds: u64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            optimizer: OptimizerKind::Sgd,
            precision: ProductPrecision::F32,
            reduction: ReductionKind::Mean,
            learning_rate: 0.1,
            momentum: 0.0,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            batch_size: 32,
            accumulate: 1,
            max_epochs: 100,
            max_steps: 0,
            evaluate_every: 0,
            patience: 3,
            anneal_factor: 0.5,
            min_learning_rate: 1e-4,
            max_grad_norm: 5.0,
            max_grad_value: 0.0,
            schedule: ScheduleKind::Plateau,
            warmup: 0.0,
            ema_decay: 0.0,
            average_last: 0,
            gradient_flow: false,
            checkpoint_seconds: 120,
        }
    }
}

impl TrainingConfig {
    /// Checks that every setting is within its range.
    ///
    /// # Errors
    /// Names the first key that is not.
    pub fn validate(&self) -> Result<()> {
        let unit = 0.0..1.0;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let not_negative = |value: f64| value.is_finite() && value >= 0.0;
        let part = "must be at least 0 and below 1";
        check("learning_rate", positive(self.learning_rate), "must be above 0")?;
        check("momentum", unit.contains(&self.momentum), part)?;
        check("weight_decay", not_negative(self.weight_decay), "must not be negative")?;
        check("beta1", unit.contains(&self.beta1), part)?;
        check("beta2", unit.contains(&self.beta2), part)?;
        check("epsilon", positive(self.epsilon), "must be above 0")?;
        check("batch_size", self.batch_size > 0, "must be at least 1")?;
        check("accumulate", self.accumulate > 0, "must be at least 1")?;
        check("max_epochs", self.max_epochs > 0, "must be at least 1")?;
        let anneal = self.anneal_factor > 0.0 && self.anneal_factor < 1.0;
        check("anneal_factor", anneal, "must be between 0 and 1")?;
        check("min_learning_rate", not_negative(self.min_learning_rate), "must not be negative")?;
        let room =
            self.schedule != ScheduleKind::Plateau || self.learning_rate >= self.min_learning_rate;
        check("min_learning_rate", room, "must not be above learning_rate")?;
        check("max_grad_norm", not_negative(self.max_grad_norm), "must not be negative")?;
        let is_cut =
            self.max_grad_value == 0.0 || self.max_grad_value >= f64::from(f32::MIN_POSITIVE);
        let is_cut = is_cut && self.max_grad_value.is_finite();
        check("max_grad_value", is_cut, "must be 0, or a positive 32-bit number")?;
        check("warmup", unit.contains(&self.warmup), part)?;
        check("ema_decay", unit.contains(&self.ema_decay), part)?;
        let is_one = self.average_last < 2 || self.ema_decay == 0.0;
        check("average_last", is_one, "must be 0 beside ema_decay: one average is saved")
    }

    /// Whether a run may be resumed with another value of `key` than it began with.
    pub(crate) fn may_change(&self, key: &str) -> bool {
        use ScheduleKind::{Constant, Plateau};
        match key {
            "checkpoint_seconds" | "gradient_flow" | "patience" | "min_learning_rate" => true,
            "max_epochs" | "max_steps" => {
                matches!(self.schedule, Plateau | Constant) && self.warmup == 0.0
            }
            _ => false,
        }
    }
}

fn check(key: &'static str, good: bool, problem: &str) -> Result<()> {
    if good { Ok(()) } else { Err(Error::Config { key, problem: problem.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_unknown_keys_are_not() {
        TrainingConfig::default().validate().unwrap();
        let config: TrainingConfig =
            serde_json::from_str(r#"{"optimizer": "adamw", "schedule": "linear"}"#).unwrap();
        assert_eq!(config.optimizer, OptimizerKind::AdamW);
        assert_eq!(config.schedule, ScheduleKind::Linear);
        assert!(serde_json::from_str::<TrainingConfig>(r#"{"patients": 3}"#).is_err());
    }

    #[test]
    fn values_out_of_range_are_named() {
        let config = TrainingConfig { momentum: 1.0, ..Default::default() };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "training.momentum: must be at least 0 and below 1"
        );
        let config = TrainingConfig { learning_rate: f64::NAN, ..Default::default() };
        assert!(config.validate().is_err());
        let config = TrainingConfig { learning_rate: 5e-5, ..Default::default() };
        assert!(config.validate().unwrap_err().to_string().contains("min_learning_rate"));
    }
}

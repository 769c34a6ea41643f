//! Where a run stands, besides its tensors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Evaluation, TrainingConfig};

/// Version of the checkpoint format.
pub(crate) const VERSION: u32 = 3;

/// The best evaluation so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    pub(crate) epoch: usize,
    /// Step of the whole run. Version 1 has none.
    #[serde(default)]
    pub(crate) step: u64,
    #[serde(with = "exact")]
    pub(crate) score: f64,
    #[serde(with = "exact")]
    pub(crate) loss: f64,
}

/// Where a run stands. Floats are written so that they are read back exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) version: u32,
    pub(crate) seed: u64,
    /// JSON text of every setting.
    pub(crate) config: BTreeMap<String, String>,
    /// The present epoch, from 1.
    pub(crate) epoch: usize,
    /// Batches of this epoch that are done.
    pub(crate) cursor: usize,
    /// Batches of this epoch; 0 before it begins.
    pub(crate) batches: usize,
    /// Steps of the whole run that are done.
    pub(crate) step: u64,
    /// The step after which the last evaluation was; 0: none yet. Version 1 has
    /// none: by its version it is refused, not by what it lacks.
    #[serde(default)]
    pub(crate) evaluated: u64,
    /// Before warm-up and decay.
    #[serde(with = "exact")]
    pub(crate) learning_rate: f64,
    /// Evaluations since the best one or the last annealing.
    pub(crate) bad_epochs: usize,
    pub(crate) best: Option<Best>,
    /// Sum of the losses since the last evaluation, in nats, and their number.
    #[serde(with = "exact")]
    pub(crate) loss_sum: f64,
    pub(crate) loss_count: usize,
    /// Wall-clock time of the run so far.
    #[serde(with = "exact")]
    pub(crate) seconds: f64,
    /// Length of the log, in bytes.
    pub(crate) log_bytes: u64,
    /// Updates of each parameter.
    pub(crate) updates: Vec<u64>,
}

impl State {
    /// A run that has not begun.
    pub(crate) fn new(seed: u64, config: &TrainingConfig) -> Self {
        Self {
            version: VERSION,
            seed,
            config: settings(config),
            epoch: 1,
            cursor: 0,
            batches: 0,
            step: 0,
            evaluated: 0,
            learning_rate: config.learning_rate,
            bad_epochs: 0,
            best: None,
            loss_sum: 0.0,
            loss_count: 0,
            seconds: 0.0,
            log_bytes: 0,
            updates: Vec::new(),
        }
    }

    /// Takes an evaluation into account; says whether it is the best.
    ///
    /// A strictly greater score is better, and so is an equal one with a lower
    /// loss. The first score is the best so far; what is not a number never is.
    pub(crate) fn note(&mut self, evaluation: &Evaluation) -> bool {
        let (score, loss) = (evaluation.score, evaluation.loss.unwrap_or(f64::NAN));
        let better = match &self.best {
            None => !score.is_nan(),
            Some(best) => score > best.score || (score == best.score && loss < best.loss),
        };
        if better {
            self.best = Some(Best { epoch: self.epoch, step: self.step, score, loss });
            self.bad_epochs = 0;
        } else {
            self.bad_epochs += 1;
        }
        better
    }

    /// Turns to what follows an evaluation: the rest of the epoch or the next one.
    pub(crate) fn go_on(&mut self) {
        self.evaluated = self.step;
        (self.loss_sum, self.loss_count) = (0.0, 0);
        if self.cursor >= self.batches {
            self.epoch += 1;
            (self.cursor, self.batches) = (0, 0);
        }
    }

    /// Epochs that were begun.
    pub(crate) fn epochs(&self) -> usize {
        self.epoch - usize::from(self.cursor == 0)
    }

    /// Says that the state is of another version of its format, if it is.
    pub(crate) fn unknown_version(&self) -> Option<String> {
        (self.version != VERSION)
            .then(|| format!("format version {}, {VERSION} is known", self.version))
    }

    /// Says why a run with these settings cannot go on from this state.
    pub(crate) fn misfit(&self, seed: u64, config: &TrainingConfig) -> Option<String> {
        if self.seed != seed {
            return Some(format!("the run has seed {}, not {seed}", self.seed));
        }
        let now = settings(config);
        let differs = |(key, value): (&String, &String)| {
            let old = self.config.get(key).map_or("unset", String::as_str);
            let same = old == value || config.may_change(key);
            (!same).then(|| format!("the run has training.{key} = {old}, not {value}"))
        };
        now.iter().find_map(differs)
    }
}

/// Every setting as JSON text.
fn settings(config: &TrainingConfig) -> BTreeMap<String, String> {
    match serde_json::to_value(config) {
        Ok(serde_json::Value::Object(map)) => {
            map.into_iter().map(|(key, value)| (key, value.to_string())).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// Floats as decimal text, which Rust reads back exactly (JSON numbers need not be).
mod exact {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{value:e}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(score: f64, loss: f64) -> Evaluation {
        Evaluation { score, loss: Some(loss), ..Evaluation::default() }
    }

    #[test]
    fn best_is_greater_or_equal_with_lower_loss() {
        let mut state = State::new(1, &TrainingConfig::default());
        let mut note = |score, loss| state.note(&evaluation(score, loss));
        assert!(!note(f64::NAN, 1.0), "not a number is never the best");
        assert!(note(0.0, 1.0), "the first score is the best, even 0");
        assert!(!note(0.0, 1.0));
        assert!(note(0.0, 0.9));
        assert!(note(5.0, 2.0));
        assert!(!note(4.0, 0.1));
        assert!(!note(f64::NAN, 0.1));
        assert_eq!(state.bad_epochs, 2);
        assert!(!state.note(&Evaluation { score: 5.0, ..Evaluation::default() }));
    }

    #[test]
    fn floats_survive_json() {
        let mut state = State::new(u64::MAX, &TrainingConfig::default());
        state.loss_sum = 0.1 + 0.2;
        state.seconds = f64::MIN_POSITIVE / 3.0;
        state.best = Some(Best { epoch: 1, step: 9, score: f64::NEG_INFINITY, loss: 1e308 / 3.0 });
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }

    #[test]
    fn another_seed_or_setting_does_not_fit() {
        let config = TrainingConfig::default();
        let state = State::new(1, &config);
        assert_eq!(state.misfit(1, &config), None);
        assert!(state.misfit(2, &config).is_some());
        let longer = TrainingConfig { max_epochs: 200, ..config.clone() };
        assert_eq!(state.misfit(1, &longer), None);
        let limited = TrainingConfig { max_steps: 10, ..config.clone() };
        assert_eq!(state.misfit(1, &limited), None);
        let linear = TrainingConfig { schedule: crate::ScheduleKind::Linear, ..config.clone() };
        let limited = TrainingConfig { max_steps: 10, ..linear.clone() };
        let problem = State::new(1, &linear).misfit(1, &limited).unwrap();
        assert_eq!(problem, "the run has training.max_steps = 0, not 10");
        let often = TrainingConfig { evaluate_every: 10, ..config.clone() };
        let problem = state.misfit(1, &often).unwrap();
        assert_eq!(problem, "the run has training.evaluate_every = 0, not 10");
        let faster = TrainingConfig { learning_rate: 0.2, ..config };
        let problem = state.misfit(1, &faster).unwrap();
        assert_eq!(problem, "the run has training.learning_rate = 0.1, not 0.2");
    }

    #[test]
    fn a_state_of_the_first_version_is_refused_by_its_version() {
        let config = TrainingConfig::default();
        let mut state = State::new(1, &config);
        state.best = Some(Best { epoch: 1, step: 9, score: 1.0, loss: 1.0 });
        let mut json = serde_json::to_value(&state).unwrap();
        json["version"] = 1.into();
        json.as_object_mut().unwrap().remove("evaluated").unwrap();
        json["best"].as_object_mut().unwrap().remove("step").unwrap();
        let state: State = serde_json::from_value(json).unwrap();
        assert_eq!(state.unknown_version().unwrap(), "format version 1, 3 is known");
    }

    #[test]
    fn an_evaluation_within_an_epoch_does_not_end_it() {
        let mut state = State::new(1, &TrainingConfig::default());
        (state.cursor, state.batches, state.step) = (2, 3, 12);
        (state.loss_sum, state.loss_count) = (1.0, 1);
        state.go_on();
        assert_eq!((state.epoch, state.cursor, state.evaluated, state.epochs()), (1, 2, 12, 1));
        assert_eq!((state.loss_sum, state.loss_count), (0.0, 0));
        (state.cursor, state.step) = (3, 13);
        state.go_on();
        assert_eq!((state.epoch, state.cursor, state.evaluated, state.epochs()), (2, 0, 13, 1));
    }
}

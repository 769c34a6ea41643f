//! The learning rate of every step, when to evaluate, and when a run has ended.

use crate::{ScheduleKind, TrainingConfig, state::State};

/// Learning rate of the step number `cursor` (from 0) of the `steps` in the present epoch.
pub(crate) fn learning_rate(
    config: &TrainingConfig,
    state: &State,
    cursor: usize,
    steps: usize,
) -> f64 {
    let base = state.learning_rate;
    // Epochs may differ in length: the present one stands for all.
    let limit = config.max_steps as f64;
    let limited = config.max_steps > 0 && limit < config.max_epochs as f64 * steps as f64;
    let part = |cursor: usize| {
        if limited {
            let before = state.step.saturating_sub(state.cursor as u64);
            return (before as f64 + cursor as f64) / limit;
        }
        let epochs = (state.epoch - 1) as f64 + cursor as f64 / steps as f64;
        epochs / config.max_epochs as f64
    };
    let warm = part(cursor + 1);
    if warm < config.warmup {
        return base * warm / config.warmup;
    }
    let done = ((part(cursor) - config.warmup) / (1.0 - config.warmup)).clamp(0.0, 1.0);
    match config.schedule {
        ScheduleKind::Plateau | ScheduleKind::Constant => base,
        ScheduleKind::Linear => base * (1.0 - done),
        // Without a warm-up, 1 at the first step.
        ScheduleKind::InverseSqrt => {
            base * (config.warmup.max(part(1) - part(0)) / part(cursor + 1)).sqrt().min(1.0)
        }
        ScheduleKind::Cosine => base * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
    }
}

/// Lowers the learning rate if the score has not risen for too long; says whether it did.
pub(crate) fn anneal(config: &TrainingConfig, state: &mut State) -> bool {
    let due = config.schedule == ScheduleKind::Plateau && state.bad_epochs > config.patience;
    if due {
        state.learning_rate *= config.anneal_factor;
        state.bad_epochs = 0;
    }
    due
}

/// Whether the model is to be evaluated before anything else: at the end of an
/// epoch, after every so many steps and at the end of the run, once a step.
pub(crate) fn evaluation_is_due(config: &TrainingConfig, state: &State) -> bool {
    let every = config.evaluate_every as u64;
    let periodic = every > 0 && state.step.is_multiple_of(every);
    let trained = state.step > state.evaluated;
    state.cursor >= state.batches || (trained && (periodic || at_limit(config, state)))
}

fn at_limit(config: &TrainingConfig, state: &State) -> bool {
    config.max_steps > 0 && state.step >= config.max_steps as u64
}

/// Whether a run has ended; but for the number of epochs, an evaluation decides that.
pub(crate) fn finished(config: &TrainingConfig, state: &State) -> bool {
    let stale = match config.schedule {
        ScheduleKind::Plateau => state.learning_rate < config.min_learning_rate,
        _ => config.patience > 0 && state.bad_epochs >= config.patience,
    };
    let evaluated = state.step == state.evaluated;
    state.epoch > config.max_epochs || (evaluated && (stale || at_limit(config, state)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: ScheduleKind, warmup: f64) -> Vec<f64> {
        let config = TrainingConfig {
            schedule,
            warmup,
            learning_rate: 1.0,
            max_epochs: 2,
            ..TrainingConfig::default()
        };
        let mut state = State::new(1, &config);
        let mut rates = Vec::new();
        for epoch in 1..=2 {
            state.epoch = epoch;
            rates.extend((0..4).map(|cursor| learning_rate(&config, &state, cursor, 4)));
        }
        rates
    }

    #[test]
    fn linear_rises_and_falls() {
        let want = [0.5, 1.0, 1.0, 5.0 / 6.0, 4.0 / 6.0, 0.5, 2.0 / 6.0, 1.0 / 6.0];
        for (found, want) in rates(ScheduleKind::Linear, 0.25).iter().zip(want) {
            assert!((found - want).abs() < 1e-12, "{found} is not {want}");
        }
    }

    #[test]
    fn cosine_is_half_way_at_the_middle() {
        let rates = rates(ScheduleKind::Cosine, 0.0);
        assert_eq!(rates[0], 1.0);
        assert!((rates[4] - 0.5).abs() < 1e-12);
        assert!(rates.windows(2).all(|pair| pair[1] < pair[0]));
    }

    #[test]
    fn inverse_square_roots_begin_behind_the_warm_up() {
        let near = |found: &[f64], want: &[f64]| {
            assert!(found.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        };
        let falling = |n: f64, by: f64| (by / n).sqrt();
        let alone: Vec<f64> = (1..=8).map(|n| falling(f64::from(n), 1.0)).collect();
        near(&rates(ScheduleKind::InverseSqrt, 0.0), &alone);
        let warmed = [0.5, 1.0, falling(3.0, 2.0), falling(4.0, 2.0)];
        near(&rates(ScheduleKind::InverseSqrt, 0.25), &warmed);
    }

    #[test]
    fn constant_warms_up_only() {
        assert_eq!(rates(ScheduleKind::Constant, 0.25), [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn other_schedules_stop_early() {
        let mut config = TrainingConfig {
            schedule: ScheduleKind::Constant,
            patience: 2,
            ..TrainingConfig::default()
        };
        let mut state = State::new(1, &config);
        state.bad_epochs = 2;
        assert!(!anneal(&config, &mut state));
        assert!(finished(&config, &state));
        config.patience = 0;
        assert!(!finished(&config, &state));
    }

    /// Rates of a run of ten steps, in epochs of four, or of fewer than `max_steps`.
    fn limited(schedule: ScheduleKind, warmup: f64, max_epochs: usize) -> Vec<f64> {
        let config = TrainingConfig {
            schedule,
            warmup,
            learning_rate: 1.0,
            max_epochs,
            max_steps: 10,
            ..TrainingConfig::default()
        };
        let mut state = State::new(1, &config);
        let mut rates = Vec::new();
        while state.step < 10 && state.epoch <= max_epochs {
            rates.push(learning_rate(&config, &state, state.cursor, 4));
            (state.step, state.cursor) = (state.step + 1, state.cursor + 1);
            // As the evaluation asks for it, that of the last step.
            let again = learning_rate(&config, &state, state.cursor - 1, 4);
            assert_eq!(rates.last(), Some(&again));
            if state.cursor == 4 {
                (state.epoch, state.cursor) = (state.epoch + 1, 0);
            }
        }
        rates
    }

    #[test]
    fn schedules_go_over_the_greatest_number_of_steps_if_it_is_smaller() {
        let found = limited(ScheduleKind::Linear, 0.2, 100);
        let want = [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125];
        assert_eq!(found.len(), want.len());
        for (found, want) in found.iter().zip(want) {
            assert!((found - want).abs() < 1e-12, "{found} is not {want}");
        }
        assert!((limited(ScheduleKind::Cosine, 0.0, 100)[5] - 0.5).abs() < 1e-12);
        for warmup in [0.0, 0.25] {
            let found = limited(ScheduleKind::Linear, warmup, 2);
            assert_eq!(found, rates(ScheduleKind::Linear, warmup), "two epochs are fewer steps");
        }
    }

    #[test]
    fn evaluations_are_due_once_a_step_and_end_the_run() {
        let config = TrainingConfig {
            schedule: ScheduleKind::Constant,
            patience: 1,
            evaluate_every: 6,
            max_steps: 9,
            ..TrainingConfig::default()
        };
        let mut state = State::new(1, &config);
        (state.batches, state.cursor, state.step, state.evaluated) = (4, 1, 5, 4);
        assert!(!evaluation_is_due(&config, &state));
        (state.cursor, state.step, state.bad_epochs) = (2, 6, 1);
        assert!(evaluation_is_due(&config, &state));
        assert!(!finished(&config, &state), "the patience of the last evaluation is over");
        state.evaluated = 6;
        assert!(!evaluation_is_due(&config, &state), "not twice");
        assert!(finished(&config, &state), "stale within an epoch");
        state.bad_epochs = 0;
        assert!(!finished(&config, &state));
        (state.cursor, state.step) = (3, 7);
        assert!(!evaluation_is_due(&config, &state));
        (state.cursor, state.step) = (4, 8);
        assert!(evaluation_is_due(&config, &state), "the end of the epoch");
        for (step, evaluated) in [(9, 8), (11, 10)] {
            (state.cursor, state.step, state.evaluated) = (1, step, evaluated);
            assert!(evaluation_is_due(&config, &state) && !finished(&config, &state));
            state.evaluated = step;
            assert!(finished(&config, &state), "{step} steps");
        }
    }
}

//! The learning rate of every step, and when a run has ended.

use crate::{ScheduleKind, TrainingConfig, state::State};

/// Learning rate of the step number `cursor` (from 0) of the `steps` in the present epoch.
pub(crate) fn learning_rate(
    config: &TrainingConfig,
    state: &State,
    cursor: usize,
    steps: usize,
) -> f64 {
    let base = state.learning_rate;
    let part = |cursor: usize| {
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

/// Whether a run that is about to begin the epoch of `state` has ended.
pub(crate) fn finished(config: &TrainingConfig, state: &State) -> bool {
    let stale = match config.schedule {
        ScheduleKind::Plateau => state.learning_rate < config.min_learning_rate,
        _ => config.patience > 0 && state.bad_epochs >= config.patience,
    };
    state.epoch > config.max_epochs || (state.cursor == 0 && stale)
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
}

//! Runs that are evaluated within epochs, and that end there.

use super::*;
use crate::{ReductionKind, Summary};

/// Evaluations after the steps 3, 4, 6, 8, 9 and 10: an epoch has four steps.
pub(super) fn often() -> TrainingConfig {
    TrainingConfig { evaluate_every: 3, max_steps: 10, ..adamw() }
}

fn summary(config: &TrainingConfig, toy: &mut Toy, options: &RunOptions) -> Summary {
    match run(toy, config, options, &mut []).unwrap() {
        Outcome::Finished(summary) => summary,
        outcome => panic!("{outcome:?}"),
    }
}

/// The events of a kind, as JSON.
fn events(out: &Path, kind: &str) -> Vec<Value> {
    let all = log(out).into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
    all.filter(|event| event["event"] == kind).collect()
}

fn steps(out: &Path, kind: &str) -> Vec<u64> {
    events(out, kind).iter().map(|event| event["step"].as_u64().unwrap()).collect()
}

#[test]
fn evaluations_come_after_so_many_steps_of_the_run_and_at_the_end_of_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainingConfig { evaluate_every: 3, ..momentum() };
    let options = RunOptions { checkpoint_every_steps: None, ..options(dir.path(), false) };
    let mut toy = Toy { scores: vec![1.0, 2.0, 5.0, 4.0], ..Toy::default() };
    let summary = summary(&config, &mut toy, &options);
    assert_eq!(steps(dir.path(), "evaluated"), [3, 4, 6, 8, 9, 12]);
    assert_eq!(steps(dir.path(), "best"), [3, 4, 6]);
    // Before the first model and after each evaluation.
    assert_eq!(steps(dir.path(), "checkpoint"), [3, 3, 4, 6, 8, 9, 12]);
    let epochs = events(dir.path(), "evaluated").into_iter().map(|event| event["epoch"].clone());
    assert_eq!(epochs.collect::<Vec<_>>(), [1, 1, 2, 2, 3, 3]);
    assert_eq!((summary.best_epoch, summary.best_step, summary.epochs), (2, 6, 3));
    assert_eq!(events(dir.path(), "finished")[0]["best_step"], 6);
}

#[test]
fn the_training_loss_is_that_since_the_evaluation_before() {
    let dir = tempfile::tempdir().unwrap();
    complete(dir.path(), &often());
    let number = |event: &Value, key: &str| event[key].as_f64().unwrap();
    let losses: Vec<f64> =
        events(dir.path(), "step").iter().map(|event| number(event, "loss")).collect();
    let found = events(dir.path(), "evaluated");
    let mut before = 0;
    for (event, step) in found.iter().zip([3, 4, 6, 8, 9, 10]) {
        let since = &losses[before..step];
        let want = since.iter().sum::<f64>() / since.len() as f64;
        let loss = number(event, "train_loss");
        assert!((loss - want).abs() < 1e-6, "step {step}: {loss} is not {want}");
        before = step;
    }
    assert_eq!(before, losses.len());
}

#[test]
fn a_run_killed_at_any_call_resumes_to_the_same_bytes() {
    let plateau = TrainingConfig { evaluate_every: 3, max_steps: 10, ..momentum() };
    for (config, every) in [(often(), Some(3)), (often(), None), (plateau, Some(2))] {
        let options = |out: &Path, resume| RunOptions {
            checkpoint_every_steps: every,
            ..options(out, resume)
        };
        let dir = tempfile::tempdir().unwrap();
        summary(&config, &mut Toy::default(), &options(dir.path(), false));
        let want = remains(dir.path());
        let mut kills = 0;
        loop {
            let dir = tempfile::tempdir().unwrap();
            let mut toy = Toy { dies_at: Some(kills), ..Toy::default() };
            if run(&mut toy, &config, &options(dir.path(), false), &mut []).is_ok() {
                break;
            }
            summary(&config, &mut Toy::default(), &options(dir.path(), true));
            assert_eq!(remains(dir.path()), want, "killed at call {kills}");
            kills += 1;
        }
        // Ten steps, six evaluations, and at least one model saved twice.
        assert!(kills >= 18, "{kills}");
    }
}

#[test]
fn a_run_stopped_anywhere_resumes_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut want = complete(dir.path(), &often());
    want.log.retain(|event| !event.contains("\"checkpoint\""));
    for at in 1..10 {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), false);
        let stopper = Stopper { at, steps: 0, stop: Arc::clone(&options.stop) };
        let mut observers: [Box<dyn Observer>; 1] = [Box::new(stopper)];
        let outcome = run(&mut Toy::default(), &often(), &options, &mut observers).unwrap();
        assert_eq!(outcome, Outcome::Interrupted);
        let options = RunOptions { resume: true, stop: Arc::default(), ..options };
        summary(&often(), &mut Toy::default(), &options);
        let mut found = remains(dir.path());
        found.log.retain(|event| !event.contains("\"checkpoint\""));
        assert_eq!(found, want, "stopped after step {at}");
    }
}

#[test]
fn a_run_resumed_behind_an_evaluation_goes_on_with_a_step() {
    let dir = tempfile::tempdir().unwrap();
    let options = RunOptions { checkpoint_every_steps: None, ..options(dir.path(), false) };
    // Calls 0 to 2 are steps, then an evaluation and two savings; call 6 is step 4.
    let mut toy = Toy { dies_at: Some(6), ..Toy::default() };
    run(&mut toy, &often(), &options, &mut []).unwrap_err();
    let (state, ..) =
        checkpoint::load(&dir.path().join("checkpoints/last/checkpoint.safetensors")).unwrap();
    assert_eq!((state.epoch, state.cursor, state.step, state.evaluated), (1, 3, 3, 3));
    // The first call is a step: the evaluation after it is of step 4.
    let mut toy = Toy { dies_at: Some(1), ..Toy::default() };
    run(&mut toy, &often(), &RunOptions { resume: true, ..options }, &mut []).unwrap_err();
    assert_eq!(steps(dir.path(), "evaluated"), [3]);
    assert_eq!(steps(dir.path(), "step"), [1, 2, 3, 4]);
}

#[test]
fn a_stale_run_ends_within_an_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let constant = TrainingConfig {
        schedule: ScheduleKind::Constant,
        patience: 2,
        evaluate_every: 2,
        ..TrainingConfig::default()
    };
    let plateau = TrainingConfig {
        schedule: ScheduleKind::Plateau,
        patience: 1,
        min_learning_rate: 0.06,
        ..constant.clone()
    };
    for config in [constant, plateau] {
        let mut toy = Toy { scores: vec![10.0, 20.0, 30.0, 20.0], ..Toy::default() };
        let found = summary(&config, &mut toy, &options(dir.path(), false));
        // Evaluations after the steps 8 and 10 are no better than that after 6.
        assert_eq!((found.steps, found.epochs, found.best_step, found.best_epoch), (10, 3, 6, 2));
        let finished = remains(dir.path());
        let mut toy = Toy { dies_at: Some(0), ..Toy::default() };
        let again = summary(&config, &mut toy, &options(dir.path(), true));
        assert_eq!((again.steps, again.epochs), (10, 3), "it has ended");
        assert_eq!(remains(dir.path()), finished);
    }
}

#[test]
fn a_run_ends_after_the_greatest_number_of_steps_with_an_evaluation() {
    let dir = tempfile::tempdir().unwrap();
    for (max_steps, epochs, evaluated) in
        [(6, 2, &[4, 6][..]), (8, 2, &[4, 8]), (1, 1, &[1]), (40, 3, &[4, 8, 12])]
    {
        let config = TrainingConfig { max_steps, ..adamw() };
        let found = summary(&config, &mut Toy::default(), &options(dir.path(), false));
        assert_eq!(steps(dir.path(), "evaluated"), evaluated);
        assert_eq!((found.steps, found.epochs), (*evaluated.last().unwrap(), epochs));
    }
}

#[test]
fn the_last_step_has_the_smallest_rate() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainingConfig { warmup: 0.0, max_steps: 10, max_epochs: 100, ..adamw() };
    complete(dir.path(), &config);
    let rate = |event: &Value| event["learning_rate"].as_f64().unwrap();
    let rates: Vec<f64> = events(dir.path(), "step").iter().map(rate).collect();
    for (step, found) in rates.iter().enumerate() {
        let want = config.learning_rate * (10 - step) as f64 / 10.0;
        assert!((found - want).abs() < 1e-12, "step {step}: {found} is not {want}");
    }
    let shown: Vec<f64> = events(dir.path(), "evaluated").iter().map(rate).collect();
    assert_eq!(shown, [rates[3], rates[7], rates[9]]);
}

#[test]
fn a_run_of_so_many_steps_can_be_made_longer_and_shorter() {
    let dir = tempfile::tempdir().unwrap();
    let limited = |max_steps| TrainingConfig { max_steps, ..momentum() };
    complete(dir.path(), &limited(6));
    let longer = summary(&limited(10), &mut Toy::default(), &options(dir.path(), true));
    assert_eq!((longer.steps, steps(dir.path(), "evaluated")), (10, vec![4, 6, 8, 10]));
    let other = tempfile::tempdir().unwrap();
    let want = complete(other.path(), &limited(10));
    assert_eq!(remains(dir.path()).tensors, want.tensors);

    // Dies in step 10 with a checkpoint after step 9, where no evaluation was.
    let dir = tempfile::tempdir().unwrap();
    let scores = vec![1.0];
    let mut toy = Toy { scores: scores.clone(), dies_at: Some(13), ..Toy::default() };
    run(&mut toy, &limited(12), &options(dir.path(), false), &mut []).unwrap_err();
    let mut toy = Toy { scores, ..Toy::default() };
    let shorter = summary(&limited(5), &mut toy, &options(dir.path(), true));
    assert_eq!((shorter.steps, steps(dir.path(), "evaluated")), (9, vec![4, 8, 9]));
}

#[test]
fn no_time_is_left_at_the_greatest_number_of_steps() {
    let dir = tempfile::tempdir().unwrap();
    complete(dir.path(), &often());
    let log = fs::read_to_string(dir.path().join("log.jsonl")).unwrap();
    let all = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps = all.filter(|event| event["event"] == "step");
    let over: Vec<bool> = steps.map(|event| event["eta_seconds"] == 0.0).collect();
    let want: Vec<bool> = (1..=10).map(|step| [4, 8, 10].contains(&step)).collect();
    assert_eq!(over, want);
}

#[test]
fn the_unit_of_the_speed_is_the_tasks() {
    let dir = tempfile::tempdir().unwrap();
    complete(dir.path(), &often());
    let log = fs::read_to_string(dir.path().join("log.jsonl")).unwrap();
    let started: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(started["unit"], "examples");
}

#[test]
fn a_sum_of_losses_goes_as_many_times_further_as_there_are() {
    let weights = |reduction, accumulate, learning_rate| {
        let dir = tempfile::tempdir().unwrap();
        let config = TrainingConfig {
            reduction,
            accumulate,
            learning_rate,
            max_grad_norm: 0.0,
            ..momentum()
        };
        let mut toy = Toy { batch: 3, noise: 0.0, ..Toy::default() };
        summary(&config, &mut toy, &options(dir.path(), false));
        let loss = events(dir.path(), "step")[0]["loss"].as_f64().unwrap();
        let weights = ["w", "b"].into_iter().flat_map(|name| toy.params.values(name).unwrap());
        (loss, weights.collect::<Vec<f32>>())
    };
    // Steps are of 3 and of 6 losses.
    for (accumulate, losses) in [(1, 3.0), (2, 6.0)] {
        let mean = weights(ReductionKind::Mean, accumulate, 0.06);
        let sum = weights(ReductionKind::Sum, accumulate, 0.06 / losses);
        assert!((mean.0 - sum.0).abs() < 1e-6, "the mean is told: {} {}", mean.0, sum.0);
        assert!(mean.1.iter().zip(&sum.1).all(|(a, b)| (a - b).abs() < 1e-5), "{mean:?} {sum:?}");
    }
}

#[test]
fn accumulated_batches_are_as_one_batch_of_all_of_them() {
    let weights = |batch: usize, accumulate: usize| {
        let dir = tempfile::tempdir().unwrap();
        let config = TrainingConfig { accumulate, ..momentum() };
        let mut toy = Toy { batch, noise: 0.0, ..Toy::default() };
        let summary = summary(&config, &mut toy, &options(dir.path(), false));
        let step = &events(dir.path(), "step")[0];
        let weights: Vec<f32> =
            ["w", "b"].into_iter().flat_map(|name| toy.params.values(name).unwrap()).collect();
        (summary.steps, step["loss"].as_f64().unwrap(), weights)
    };
    let (one, parts) = (weights(6, 1), weights(3, 2));
    assert_eq!((one.0, parts.0), (6, 6), "two steps an epoch");
    assert!((one.1 - parts.1).abs() < 1e-6, "{} is not {}", parts.1, one.1);
    assert!(one.2.iter().zip(&parts.2).all(|(a, b)| (a - b).abs() < 1e-5), "{one:?} {parts:?}");
    // A last step of fewer batches: 12 examples are five batches of 2, and 2 more.
    assert_eq!(weights(2, 5).0, 6);
    assert_ne!(weights(3, 1).2, parts.2);
}

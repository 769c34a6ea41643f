//! Whole runs of a tiny task.

mod faults;
mod steps;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;

use crate::{
    Array, Error, Event, Observer, OptimizerKind, Outcome, Result, RunOptions, ScheduleKind,
    TrainingConfig, checkpoint, run, testing::Toy,
};

fn options(out: &Path, resume: bool) -> RunOptions {
    RunOptions {
        out: out.to_owned(),
        seed: 7,
        resume,
        checkpoint_every_steps: Some(3),
        ..RunOptions::default()
    }
}

fn adamw() -> TrainingConfig {
    TrainingConfig {
        optimizer: OptimizerKind::AdamW,
        schedule: ScheduleKind::Linear,
        warmup: 0.25,
        weight_decay: 0.01,
        ema_decay: 0.9,
        max_epochs: 3,
        ..TrainingConfig::default()
    }
}

fn momentum() -> TrainingConfig {
    TrainingConfig {
        momentum: 0.9,
        learning_rate: 0.4,
        max_grad_norm: 1.0,
        patience: 0,
        max_epochs: 3,
        ..TrainingConfig::default()
    }
}

/// All that a run leaves behind, but for the times.
#[derive(Debug, PartialEq)]
struct Remains {
    model: Vec<u8>,
    best: Vec<u8>,
    tensors: BTreeMap<String, Array>,
    state: String,
    log: Vec<String>,
}

fn remains(out: &Path) -> Remains {
    let (mut state, _, tensors) =
        checkpoint::load(&out.join("checkpoints/last/checkpoint.safetensors")).unwrap();
    (state.seconds, state.log_bytes) = (0.0, 0);
    Remains {
        model: fs::read(out.join("model.bin")).unwrap(),
        best: fs::read(out.join("checkpoints/best/model.bin")).unwrap(),
        tensors,
        state: serde_json::to_string(&state).unwrap(),
        log: log(out),
    }
}

/// The events without their times and without the starts.
fn log(out: &Path) -> Vec<String> {
    let text = fs::read_to_string(out.join("log.jsonl")).unwrap();
    let events = text.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        for time in ["time", "seconds", "tokens_per_second", "eta_seconds"] {
            event.as_object_mut().unwrap().remove(time);
        }
        event.to_string()
    });
    events.filter(|event| !event.contains("\"started\"")).collect()
}

fn complete(out: &Path, config: &TrainingConfig) -> Remains {
    let outcome = run(&mut Toy::default(), config, &options(out, false), &mut []).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)));
    remains(out)
}

#[test]
fn a_run_killed_at_any_call_resumes_to_the_same_bytes() {
    let averaged = TrainingConfig { average_last: 2, ..momentum() };
    for config in [adamw(), momentum(), averaged] {
        let dir = tempfile::tempdir().unwrap();
        let want = complete(dir.path(), &config);
        let mut kills = 0;
        loop {
            let dir = tempfile::tempdir().unwrap();
            let mut toy = Toy { dies_at: Some(kills), ..Toy::default() };
            if run(&mut toy, &config, &options(dir.path(), false), &mut []).is_ok() {
                break;
            }
            run(&mut Toy::default(), &config, &options(dir.path(), true), &mut []).unwrap();
            assert_eq!(remains(dir.path()), want, "killed at call {kills}");
            kills += 1;
        }
        // Twelve steps, three evaluations, and at least one model saved twice.
        assert!(kills >= 17, "{kills}");
    }
}

#[test]
fn a_run_killed_again_and_again_resumes_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let want = complete(dir.path(), &adamw());
    let dir = tempfile::tempdir().unwrap();
    let attempt = || {
        let mut toy = Toy { dies_at: Some(5), ..Toy::default() };
        run(&mut toy, &adamw(), &options(dir.path(), true), &mut [])
    };
    let deaths = (0..20).take_while(|_| attempt().is_err()).count();
    assert!((2..20).contains(&deaths), "{deaths}");
    assert_eq!(remains(dir.path()), want);
}

#[test]
fn a_run_whose_log_was_lost_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let want = complete(dir.path(), &adamw());
    let dir = tempfile::tempdir().unwrap();
    let mut toy = Toy { dies_at: Some(9), ..Toy::default() };
    run(&mut toy, &adamw(), &options(dir.path(), false), &mut []).unwrap_err();
    fs::remove_file(dir.path().join("log.jsonl")).unwrap();
    run(&mut Toy::default(), &adamw(), &options(dir.path(), true), &mut []).unwrap();
    let found = remains(dir.path());
    assert_eq!((found.model, found.tensors), (want.model, want.tensors));
    assert!(want.log.ends_with(&found.log) && !found.log.is_empty());
}

#[test]
fn no_model_is_saved_before_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    // Calls 0 to 3 are steps, then comes an evaluation; call 5 saves the model.
    let mut toy = Toy { dies_at: Some(5), ..Toy::default() };
    let options = RunOptions { checkpoint_every_steps: None, ..options(dir.path(), false) };
    run(&mut toy, &adamw(), &options, &mut []).unwrap_err();
    let (state, ..) =
        checkpoint::load(&dir.path().join("checkpoints/last/checkpoint.safetensors")).unwrap();
    assert_eq!((state.epoch, state.cursor), (1, 4));
    assert!(options.check().is_ok() && RunOptions { resume: true, ..options }.check().is_ok());
}

#[test]
fn threads_do_not_change_the_bytes() {
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        pool.install(|| complete(dir.path(), &adamw()))
    };
    assert_eq!(with_threads(1), with_threads(4));
}

#[test]
fn training_learns() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainingConfig { max_epochs: 40, patience: 5, ..TrainingConfig::default() };
    let outcome = run(&mut Toy::default(), &config, &options(dir.path(), false), &mut []).unwrap();
    let Outcome::Finished(summary) = outcome else { panic!("{outcome:?}") };
    assert!(summary.best_score > 99.0, "{summary:?}");
    assert_eq!(summary.steps, 4 * summary.epochs as u64);
}

#[test]
fn seeds_matter() {
    let weights = |seed| {
        let dir = tempfile::tempdir().unwrap();
        let options = RunOptions { seed, ..options(dir.path(), false) };
        run(&mut Toy::default(), &momentum(), &options, &mut []).unwrap();
        remains(dir.path()).model
    };
    assert_ne!(weights(1), weights(2));
}

#[test]
fn the_learning_rate_falls_on_a_plateau_and_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainingConfig { patience: 1, min_learning_rate: 0.04, ..Default::default() };
    let mut toy = Toy { scores: vec![10.0, 20.0, 20.0], ..Toy::default() };
    let outcome = run(&mut toy, &config, &options(dir.path(), false), &mut []).unwrap();
    let Outcome::Finished(summary) = outcome else { panic!("{outcome:?}") };
    // Bad epochs are 3, 4 (0.05), 5, 6 (0.025: too low).
    assert_eq!((summary.epochs, summary.best_epoch, summary.best_score), (6, 2, 20.0));
    let annealed: Vec<String> =
        log(dir.path()).into_iter().filter(|event| event.contains("\"annealed\"")).collect();
    assert_eq!(annealed.len(), 2);
    assert!(annealed[0].contains("\"epoch\":4") && annealed[0].contains("0.05"));
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // Calls 0 to 3 are steps, then an evaluation and two savings; call 9 is step 7.
    let mut toy = Toy { nan_at: Some(9), ..Toy::default() };
    let error = run(&mut toy, &momentum(), &options(dir.path(), false), &mut []).unwrap_err();
    let Error::NotFinite { epoch, step, quantity, checkpoint: Some(path), .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((*epoch, *step, quantity.as_str()), (2, 7, "loss"));
    assert!(error.to_string().contains("checkpoint.safetensors"));
    let (state, _, tensors) = checkpoint::load(path).unwrap();
    assert_eq!((state.epoch, state.cursor, state.step), (2, 2, 6));
    assert!(tensors.values().all(|array| array.values.iter().all(|value| value.is_finite())));
    assert!(log(dir.path()).last().unwrap().contains("\"not_finite\""));

    run(&mut Toy::default(), &momentum(), &options(dir.path(), true), &mut []).unwrap();
    let found = remains(dir.path());
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(found, complete(dir.path(), &momentum()));
}

#[test]
fn parameters_that_are_not_finite_are_never_saved() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainingConfig { learning_rate: 1e39, max_grad_norm: 0.0, ..momentum() };
    let options = RunOptions { checkpoint_every_steps: Some(1), ..options(dir.path(), false) };
    let error = run(&mut Toy::default(), &config, &options, &mut []).unwrap_err();
    let Error::NotFinite { quantity, checkpoint: None, .. } = &error else { panic!("{error}") };
    assert_eq!(quantity, "parameter w");
    assert!(error.to_string().ends_with("there is no checkpoint yet"));
}

#[test]
fn a_run_without_a_score_fails() {
    let dir = tempfile::tempdir().unwrap();
    let mut toy = Toy { scores: vec![f64::NAN], ..Toy::default() };
    let error = run(&mut toy, &momentum(), &options(dir.path(), false), &mut []).unwrap_err();
    assert!(matches!(error, Error::NoScore { epochs: 3 }), "{error}");
    assert!(!dir.path().join("model.bin").exists());
}

#[test]
fn the_average_is_what_is_saved_and_not_what_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let mut toy = Toy { scores: vec![1.0, 2.0, 3.0], ..Toy::default() };
    run(&mut toy, &adamw(), &options(dir.path(), false), &mut []).unwrap();
    let found = remains(dir.path());
    let bytes = |kind: &str| -> Vec<u8> {
        let names = ["w", "b", "idle"].map(|name| format!("{kind}.{name}"));
        let values = names.iter().flat_map(|name| &found.tensors[name].values);
        values.flat_map(|value| value.to_le_bytes()).collect()
    };
    assert_eq!(found.model, bytes("average"));
    assert_eq!(found.best, found.model);
    assert_ne!(found.model, bytes("param"));
}

#[test]
fn the_mean_of_the_last_evaluations_is_what_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainingConfig { ema_decay: 0.0, average_last: 2, ..adamw() };
    let mut toy = Toy { scores: vec![1.0, 2.0, 3.0], ..Toy::default() };
    run(&mut toy, &config, &options(dir.path(), false), &mut []).unwrap();
    let found = remains(dir.path());
    let mean = ["w", "b", "idle"].into_iter().flat_map(|name| {
        let of = |set: usize| found.tensors[&format!("average.{set}.{name}")].values.clone();
        let pairs = of(0).into_iter().zip(of(1));
        pairs.map(|(a, b)| ((f64::from(a) + f64::from(b)) / 2.0) as f32).collect::<Vec<_>>()
    });
    assert_eq!(found.model, mean.flat_map(f32::to_le_bytes).collect::<Vec<u8>>());
}

#[test]
fn a_loss_without_gradients_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut toy = Toy { detached: true, ..Toy::default() };
    let error = run(&mut toy, &momentum(), &options(dir.path(), false), &mut []).unwrap_err();
    assert!(matches!(error, Error::NoGradient { epoch: 1, step: 1 }), "{error}");
}

/// Asks for a stop at a step of the run.
struct Stopper {
    at: usize,
    steps: usize,
    stop: Arc<AtomicBool>,
}

impl Observer for Stopper {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        self.steps += usize::from(matches!(event, Event::Step { .. }));
        self.stop.store(self.steps == self.at, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn an_interrupted_run_saves_a_checkpoint_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut want = complete(dir.path(), &adamw());
    // The events of checkpoints depend on where the run was stopped.
    want.log.retain(|event| !event.contains("\"checkpoint\""));
    for at in [1, 4, 5] {
        let dir = tempfile::tempdir().unwrap();
        let options = RunOptions { checkpoint_every_steps: None, ..options(dir.path(), false) };
        let stopper = Stopper { at, steps: 0, stop: Arc::clone(&options.stop) };
        let mut observers: [Box<dyn Observer>; 1] = [Box::new(stopper)];
        let outcome = run(&mut Toy::default(), &adamw(), &options, &mut observers).unwrap();
        assert_eq!(outcome, Outcome::Interrupted);
        assert!(log(dir.path()).last().unwrap().contains("\"interrupted\""));

        let options = RunOptions { resume: true, stop: Arc::default(), ..options };
        run(&mut Toy::default(), &adamw(), &options, &mut []).unwrap();
        let mut found = remains(dir.path());
        found.log.retain(|event| !event.contains("\"checkpoint\""));
        assert_eq!(found, want, "stopped after step {at}");
    }
}

#[test]
fn a_finished_run_is_not_trained_again_but_can_be_made_longer() {
    let dir = tempfile::tempdir().unwrap();
    let short = TrainingConfig { max_epochs: 2, ..momentum() };
    let two = complete(dir.path(), &short);
    let mut toy = Toy { dies_at: Some(0), ..Toy::default() };
    run(&mut toy, &short, &options(dir.path(), true), &mut []).unwrap();
    assert_eq!(remains(dir.path()), two);

    run(&mut Toy::default(), &momentum(), &options(dir.path(), true), &mut []).unwrap();
    let other = tempfile::tempdir().unwrap();
    let three = complete(other.path(), &momentum());
    assert_eq!(remains(dir.path()).tensors, three.tensors);
    assert_eq!(remains(dir.path()).model, three.model);
}

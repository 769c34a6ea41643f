//! A language model's training that is stopped goes on as if it had not been.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use glossator::{errors::TrainingError, training::Event};
use serde_json::Value;

use super::*;

/// Several splits, several evaluations in an epoch, and chance in everything.
const SETTINGS: [&str; 10] = [
    "data.train=files",
    "data.split_chars=700",
    "language_model.dropout=0.2",
    "language_model.case_flips=0.1",
    "language_model.unknown=0.02",
    "training.learning_rate=0.01",
    "training.batch_size=4",
    "training.max_epochs=2",
    "training.evaluate_every=13",
    "training.ema_decay=0.9",
];

/// A folder of two files, each of several splits.
fn files() -> tempfile::TempDir {
    let folder = folder();
    std::fs::create_dir(folder.path().join("files")).unwrap();
    for number in 1..3 {
        let path = folder.path().join(format!("files/{number}.txt"));
        std::fs::write(path, text(number, 80)).unwrap();
    }
    folder
}

/// Stops a run after a step of this part of it, which lies within an epoch.
struct Stopper {
    at: usize,
    seen: usize,
    stop: Arc<AtomicBool>,
}

impl Observer for Stopper {
    fn event(&mut self, event: &Event<'_>) -> Result<(), TrainingError> {
        if let Event::Step { step, steps, .. } = event {
            self.seen += 1;
            if self.seen == self.at {
                assert!(step < steps, "not at the end of an epoch");
                self.stop.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// Trains so many steps; the whole rest if there is no number.
fn part(
    folder: &Path,
    name: &str,
    settings: &[&str],
    (resume, steps): (bool, Option<usize>),
) -> Option<Trained> {
    let options = RunOptions { resume, ..RunOptions::default() };
    let mut observers: Vec<Box<dyn Observer>> = Vec::new();
    if let Some(at) = steps {
        observers.push(Box::new(Stopper { at, seen: 0, stop: options.stop.clone() }));
    }
    run((folder, CONFIG, name), settings, options, &mut observers).unwrap()
}

/// The evaluations of a run without what a clock says.
fn evaluations(folder: &Path) -> Vec<Value> {
    let log = String::from_utf8(read(folder, "log.jsonl")).unwrap();
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut evaluations: Vec<Value> = events.filter(|e| e["event"] == "evaluated").collect();
    for event in &mut evaluations {
        let event = event.as_object_mut().unwrap();
        event.retain(|key, _| !["time", "seconds", "tokens_per_second"].contains(&key.as_str()));
    }
    evaluations
}

/// Names, places and bytes of all tensors of a safetensors file.
fn tensors(folder: &Path, file: &str) -> (Value, Vec<u8>) {
    let bytes = read(folder, file);
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, values) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    header.as_object_mut().unwrap().remove("__metadata__");
    (header, values.to_vec())
}

/// Whatever a run leaves, compared.
#[track_caller]
fn assert_same(found: &Path, want: &Path) {
    assert_eq!(evaluations(found), evaluations(want));
    for file in ["model.safetensors", "config.json", "dictionary.json", "README.md"] {
        assert!(read(found, file) == read(want, file), "{file}");
    }
    for file in ["model.safetensors", "config.json", "dictionary.json"] {
        let file = format!("checkpoints/best/{file}");
        assert!(read(found, &file) == read(want, &file), "{file}");
    }
    let checkpoint = "checkpoints/last/checkpoint.safetensors";
    let (found, want) = (tensors(found, checkpoint), tensors(want, checkpoint));
    assert_eq!(found.0, want.0);
    assert!(
        want.0.get("snapshot.state.0").is_some() && want.0.get("moment.1.decoder.weight").is_some()
    );
    assert!(found.1 == want.1, "parameters, moments, averages or states differ");
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bytes() {
    let folder = files();
    let folder = folder.path();
    for (number, more) in [
        &[][..],
        &["language_model.direction=backward"],
        &["language_model.layers=2", "language_model.projection_dim=9"],
        &["training.precision=bf16"],
    ]
    .into_iter()
    .enumerate()
    {
        let settings = [&SETTINGS, more].concat();
        let whole = part(folder, &format!("whole-{number}"), &settings, (false, None)).unwrap();
        assert!(evaluations(&whole.folder).len() >= 6);
        let name = format!("parts-{number}");
        // Within the second split of the first epoch, just before an
        // evaluation, and in the second epoch, where the files change places.
        assert!(part(folder, &name, &settings, (false, Some(11))).is_none());
        assert!(part(folder, &name, &settings, (true, Some(2))).is_none());
        assert!(part(folder, &name, &settings, (true, Some(38))).is_none());
        let resumed = part(folder, &name, &settings, (true, None)).unwrap();
        assert_same(&resumed.folder, &whole.folder);
        assert_eq!(resumed.summary.steps, whole.summary.steps);
    }
}

#[test]
fn a_run_does_not_go_on_with_another_text() {
    let folder = files();
    let folder = folder.path();
    assert!(part(folder, "model", &SETTINGS, (false, Some(11))).is_none());
    let kept = read(&folder.join("model"), "config.toml");
    let checkpoint = "checkpoints/last/checkpoint.safetensors";
    let state = read(&folder.join("model"), checkpoint);
    let resume = |settings: &[&str]| {
        let options = RunOptions { resume: true, ..RunOptions::default() };
        run((folder, CONFIG, "model"), &[&SETTINGS, settings].concat(), options, &mut [])
    };
    let refused = |settings: &[&str]| {
        let error = resume(settings).unwrap_err();
        let message = format!("{error} {error:?}");
        assert!(message.contains("--force"), "{settings:?}: {message}");
        assert!(read(&folder.join("model"), "config.toml") == kept);
        assert!(read(&folder.join("model"), checkpoint) == state);
    };
    for change in [
        "data.split_chars=600",
        "data.shuffle=false",
        "data.dev=text.txt",
        "language_model.dropout=0.1",
        "language_model.direction=backward",
        "model.precision=bf16",
    ] {
        refused(&[change]);
    }
    let file = folder.join("files/2.txt");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("sees", "seas", 1)).unwrap();
    refused(&[]);
    std::fs::write(&file, text).unwrap();
    assert!(resume(&[]).unwrap().is_some());
}

//! A translator's training that is stopped goes on as if it had not been.

use std::sync::atomic::Ordering;

use glossator::{errors::TrainingError, training::Event};

use super::*;

/// Chance in everything.
const SETTINGS: [&str; 10] = [
    "subwords.type=bpe",
    "subwords.vocabulary_size=320",
    "subwords.dropout=0.2",
    "translator.dropout=0.2",
    "translator.output_dropout=0.2",
    "translator.word_dropout=0.1",
    "translator.label_smoothing=0.1",
    "training.max_epochs=2",
    "training.batch_size=50",
    "training.accumulate=2",
];

/// Stops a run after so many steps.
struct Stopper {
    left: usize,
    stop: Stop,
}

impl Observer for Stopper {
    fn event(&mut self, event: &Event<'_>) -> Result<(), TrainingError> {
        if matches!(event, Event::Step { .. }) {
            self.left = self.left.saturating_sub(1);
            self.stop.store(self.left == 0, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Trains so many steps; the whole rest if there is no number.
fn part(
    folder: &Path,
    name: &str,
    resume: bool,
    steps: Option<usize>,
    more: &[&str],
) -> Option<Trained> {
    let options = RunOptions { resume, ..RunOptions::default() };
    let stop = options.stop.clone();
    let mut observers: Observers = Vec::new();
    observers.extend(steps.map(|left| Box::new(Stopper { left, stop }) as Box<dyn Observer>));
    let settings = [&SETTINGS[..], more].concat();
    run((folder, CONFIG, name), &settings, options, &mut observers).unwrap()
}

#[test]
fn a_stopped_run_ends_with_the_same_bytes() {
    let folder = folder(200, 8);
    for feeding in ["translator.input_feeding=false", "translator.input_feeding=true"] {
        let (whole, parts) = (format!("whole-{feeding}"), format!("parts-{feeding}"));
        assert!(part(folder.path(), &whole, false, None, &[feeding]).is_some());
        for (number, steps) in [Some(3), Some(9), None].into_iter().enumerate() {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(number + 1).build().unwrap();
            let trained =
                pool.install(|| part(folder.path(), &parts, number > 0, steps, &[feeding]));
            assert_eq!(trained.is_some(), steps.is_none());
        }
        for file in ["model.safetensors", "tokenizer.json", "config.json", "README.md"] {
            let read = |name: &str| std::fs::read(folder.path().join(name).join(file)).unwrap();
            assert!(read(&whole) == read(&parts), "{file}");
        }
    }
}

#[test]
fn another_corpus_is_no_continuation() {
    let folder = folder(100, 4);
    assert!(part(folder.path(), "model", false, Some(2), &[]).is_none());
    let options = RunOptions { resume: true, ..RunOptions::default() };
    let settings = [&SETTINGS[..], &["translator.dropout=0.3"]].concat();
    let error = run((folder.path(), CONFIG, "model"), &settings, options, &mut []).unwrap_err();
    assert!(format!("{error:?}").contains("Resume"), "{error:?}");
}

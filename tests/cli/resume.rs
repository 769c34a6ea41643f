//! A training that is cut off goes on as if it had not been.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command},
};

use crate::{
    corpus,
    folder::{Folder, objects},
};

const EPOCHS: usize = 24;

fn folder() -> Folder {
    Folder::new()
        .with("train.conllu", corpus::conllu())
        .with("ner.toml", corpus::configuration("misc:NER", EPOCHS))
}

/// A training of a tagger, and what it says: an object a line.
fn start(folder: &Folder, more: &[&str]) -> (Child, BufReader<ChildStderr>) {
    start_with(folder, "ner.toml", more)
}

/// The same with another configuration.
fn start_with(folder: &Folder, config: &str, more: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let args = [&["train", config, "--log-format", "json"], more].concat();
    let mut child = folder.command(&args).spawn().expect("gloss");
    let messages = BufReader::new(child.stderr.take().expect("a pipe"));
    (child, messages)
}

/// Waits until there were so many events of a name.
fn wait_for(messages: &mut impl BufRead, event: &str, count: usize) {
    let mark = format!("\"event\":\"{event}\"");
    let lines = messages.lines().map(|line| line.expect("UTF-8"));
    let seen = lines.filter(|line| line.contains(&mark)).take(count).count();
    assert_eq!(seen, count, "it ended before {count} {event}");
}

/// Sends a signal to the program.
pub fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
}

/// What a training leaves that must not differ.
fn model(folder: &Folder) -> Vec<Vec<u8>> {
    ["model.safetensors", "dictionary-0.json", "config.json", "README.md"]
        .map(|file| folder.read(&format!("ner/{file}")))
        .to_vec()
}

/// The model of a training that nobody cut off.
fn uninterrupted() -> Vec<Vec<u8>> {
    let folder = folder();
    folder.gloss(&["train", "-q", "ner.toml", "--threads", "1"]).ok();
    model(&folder)
}

#[test]
fn a_killed_training_goes_on_to_the_same_bytes() {
    let want = uninterrupted();
    for threads in ["1", "2"] {
        let folder = folder();
        for (event, count, more) in
            [("evaluated", 3, &[][..]), ("step", 100, &["--resume", "--threads", threads])]
        {
            let (mut child, mut messages) = start(&folder, more);
            wait_for(&mut messages, event, count);
            child.kill().expect("a running program");
            assert_eq!(child.wait().expect("gloss").code(), None, "it was killed");
        }
        let run = folder.gloss(&["train", "-q", "ner.toml", "--resume", "--threads", threads]);
        assert_eq!(run.code, Some(0), "{}", run.err);
        assert!(model(&folder) == want, "{threads} threads");
        let log = String::from_utf8(folder.read("ner/log.jsonl")).expect("UTF-8");
        assert_eq!(log.matches("\"event\":\"evaluated\"").count(), EPOCHS);
        assert!(log.contains("\"resumed\":true"));
    }
}

/// A language model whose training is one long epoch of several splits, with
/// chance in all of it and checkpoints in between.
const LANGUAGE_MODEL: &str = r#"task = "language-model"
[data]
train = "text.txt"
dev = "dev.txt"
split_chars = 2500
[language_model]
hidden_dim = 8
embedding_dim = 6
sequence_length = 10
min_count = 1
dropout = 0.1
case_flips = 0.1
unknown = 0.01
[training]
learning_rate = 0.02
batch_size = 2
max_epochs = 1
evaluate_every = 25
checkpoint_seconds = 0
"#;

fn language_model_folder() -> Folder {
    Folder::new()
        .with("text.txt", corpus::tokens(8))
        .with("dev.txt", corpus::tokens(1))
        .with("lm.toml", LANGUAGE_MODEL)
}

/// What the training of a language model leaves that must not differ.
fn language_model(folder: &Folder) -> Vec<Vec<u8>> {
    ["model.safetensors", "dictionary.json", "config.json"]
        .iter()
        .flat_map(|file| [format!("lm/{file}"), format!("lm/checkpoints/best/{file}")])
        .map(|file| folder.read(&file))
        .collect()
}

/// The evaluations in the log, as far as no clock has a say in them.
fn evaluations(folder: &Folder) -> Vec<serde_json::Value> {
    let log = String::from_utf8(folder.read("lm/log.jsonl")).expect("UTF-8");
    let evaluated = objects(&log).into_iter().filter(|event| event["event"] == "evaluated");
    let without_times = |mut event: serde_json::Value| {
        for key in ["tokens_per_second", "seconds", "time"] {
            event.as_object_mut().expect("an object").remove(key);
        }
        event
    };
    evaluated.map(without_times).collect()
}

#[test]
fn a_language_model_killed_within_an_epoch_goes_on_to_the_same_bytes() {
    for (direction, threads) in [("forward", "1"), ("backward", "2")] {
        let direction = format!("language_model.direction={direction}");
        let whole = language_model_folder();
        whole.gloss(&["train", "-q", "lm.toml", "--set", &direction, "--threads", "1"]).ok();
        let folder = language_model_folder();
        let set = ["--set", &direction, "--threads", threads];
        for (event, count, more) in
            [("evaluated", 3, &[][..]), ("step", 60, &["--resume"]), ("step", 1, &["--resume"])]
        {
            let (mut child, mut messages) = start_with(&folder, "lm.toml", &[&set, more].concat());
            wait_for(&mut messages, event, count);
            child.kill().expect("a running program");
            assert_eq!(child.wait().expect("gloss").code(), None, "it was killed");
        }
        let args = [&["train", "-q", "lm.toml", "--resume"], &set[..]].concat();
        folder.gloss(&args).ok();
        assert_eq!(evaluations(&folder), evaluations(&whole));
        assert!(evaluations(&folder).len() > 8);
        assert!(language_model(&folder) == language_model(&whole), "{direction}");
        let log = String::from_utf8(folder.read("lm/log.jsonl")).expect("UTF-8");
        let parts = objects(&log).into_iter().filter(|event| event["event"] == "started");
        let steps: Vec<_> = parts.filter_map(|event| event["step"].as_u64()).collect();
        assert!(steps[1] >= 50 && steps.is_sorted(), "it goes on from a checkpoint: {steps:?}");
    }
}

#[test]
fn an_interruption_saves_a_checkpoint() {
    let want = uninterrupted();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = folder();
        let (mut child, mut messages) = start(&folder, &[]);
        wait_for(&mut messages, "step", 20);
        signal(&child, name);
        let mut said = String::new();
        messages.read_to_string(&mut said).expect("UTF-8");
        assert_eq!(child.wait().expect("gloss").code(), Some(code), "{said}");
        assert!(said.contains("interrupted: saving a checkpoint"), "{said}");
        assert!(folder.path("ner/checkpoints/last/checkpoint.safetensors").exists());
        let log = String::from_utf8(folder.read("ner/log.jsonl")).expect("UTF-8");
        assert!(log.trim_end().lines().last().is_some_and(|line| line.contains("interrupted")));
        folder.gloss(&["train", "-q", "ner.toml", "--resume"]).ok();
        assert!(model(&folder) == want, "{name}");
    }
}

#[test]
fn a_second_interruption_ends_at_once_and_the_training_goes_on_from_a_whole_checkpoint() {
    let folder = folder();
    let (mut child, mut messages) = start(&folder, &[]);
    wait_for(&mut messages, "step", 20);
    signal(&child, "INT");
    let mut said = String::new();
    while !said.contains("once more ends at once") {
        assert!(messages.read_line(&mut said).expect("UTF-8") > 0, "{said}");
    }
    signal(&child, "INT");
    assert_eq!(child.wait().expect("gloss").code(), Some(130), "{said}");
    folder.gloss(&["train", "-q", "ner.toml", "--resume"]).ok();
    assert!(model(&folder) == uninterrupted());
}

#[test]
fn two_trainings_do_not_share_a_folder() {
    let folder = folder();
    let (mut child, mut messages) = start(&folder, &[]);
    wait_for(&mut messages, "evaluated", 2);
    signal(&child, "STOP");
    let files = || ["config.toml", "log.jsonl"].map(|file| folder.read(&format!("ner/{file}")));
    let before = files();
    for how in ["--resume", "--force"] {
        let error = folder.gloss(&["train", "-q", "ner.toml", how, "--set", "seed=9"]).fails(2);
        assert!(error.contains("ner is being trained by another process"), "{error}");
    }
    assert!(files() == before, "nothing is touched");
    child.kill().expect("a stopped program");
    child.wait().expect("gloss");
    folder.gloss(&["train", "-q", "ner.toml", "--resume"]).ok();
    assert!(model(&folder) == uninterrupted());
}

#[test]
fn a_lost_log_does_not_hinder_a_training() {
    let folder = folder();
    let (mut child, mut messages) = start(&folder, &[]);
    wait_for(&mut messages, "evaluated", 3);
    child.kill().expect("a running program");
    child.wait().expect("gloss");
    std::fs::remove_file(folder.path("ner/log.jsonl")).expect("a log");
    folder.gloss(&["train", "-q", "ner.toml", "--resume"]).ok();
    assert!(model(&folder) == uninterrupted());
}

/// Candle has threads of its own, whose number it reads from the environment.
#[cfg(target_os = "linux")]
#[test]
fn the_number_of_threads_is_for_all_of_the_program() {
    let folder = folder();
    for (set, want) in [(None, "1"), (Some("2"), "2")] {
        let args = ["train", "ner.toml", "--force", "--threads", "1", "--log-format", "json"];
        let mut command = folder.command(&args);
        match set {
            None => command.env_remove("CANDLE_NUM_THREADS"),
            Some(number) => command.env("CANDLE_NUM_THREADS", number),
        };
        let mut child = command.spawn().expect("gloss");
        wait_for(&mut BufReader::new(child.stderr.take().expect("a pipe")), "started", 1);
        let environment =
            std::fs::read(format!("/proc/{}/environ", child.id())).expect("a process");
        child.kill().expect("a running program");
        child.wait().expect("gloss");
        let variable = format!("CANDLE_NUM_THREADS={want}");
        assert!(environment.split(|&byte| byte == 0).any(|entry| entry == variable.as_bytes()));
    }
}

#[test]
fn a_training_does_not_go_on_with_other_settings() {
    let folder = folder();
    let (mut child, mut messages) = start(&folder, &[]);
    wait_for(&mut messages, "evaluated", 1);
    child.kill().expect("a running program");
    child.wait().expect("gloss");
    for other in ["training.learning_rate=0.5", "seed=9", "tagger.hidden_dim=9"] {
        let args = ["train", "-q", "ner.toml", "--resume", "--set", other];
        let error = folder.gloss(&args).fails(2);
        assert!(error.contains("back") && error.contains("--force"), "{other}: {error}");
    }
    folder.gloss(&["train", "-q", "ner.toml", "--resume"]).ok();
    assert!(model(&folder) == uninterrupted());
}

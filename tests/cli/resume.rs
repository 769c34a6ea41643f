//! A training that is cut off goes on as if it had not been.
#![cfg(unix)]

use std::{
    fs,
    process::{Child, Command},
    thread,
};

use crate::{corpus, folder::Folder};

const EPOCHS: usize = 24;

fn folder() -> Folder {
    Folder::new()
        .with("train.conllu", corpus::conllu())
        .with("ner.toml", corpus::configuration("misc:NER", EPOCHS))
}

fn start(folder: &Folder, more: &[&str]) -> Child {
    folder.command(&[&["train", "ner.toml"], more].concat()).spawn().expect("gloss")
}

/// Waits until the log has so many events of a name.
fn wait_for(folder: &Folder, child: &mut Child, event: &str, count: usize) {
    let event = format!("\"event\":\"{event}\"");
    loop {
        let log = fs::read_to_string(folder.path("ner/log.jsonl")).unwrap_or_default();
        if log.matches(&event).count() >= count {
            return;
        }
        assert!(child.try_wait().expect("gloss").is_none(), "it ended before {count} {event}");
        thread::yield_now();
    }
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
            let mut child = start(&folder, more);
            wait_for(&folder, &mut child, event, count);
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

#[test]
fn an_interruption_saves_a_checkpoint() {
    let want = uninterrupted();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = folder();
        let mut child = start(&folder, &[]);
        wait_for(&folder, &mut child, "step", 20);
        signal(&child, name);
        let output = child.wait_with_output().expect("gloss");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("interrupted: saving a checkpoint"), "{said}");
        assert!(folder.path("ner/checkpoints/last/checkpoint.safetensors").exists());
        let log = String::from_utf8(folder.read("ner/log.jsonl")).expect("UTF-8");
        assert!(log.trim_end().lines().last().is_some_and(|line| line.contains("interrupted")));
        folder.gloss(&["train", "-q", "ner.toml", "--resume"]).ok();
        assert!(model(&folder) == want, "{name}");
    }
}

//! Pipes and files of output.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use crate::{
    corpus,
    folder::{Folder, feed, models},
};

#[test]
fn a_line_is_answered_before_the_next_comes() {
    let (models, folder) = (models(), Folder::new());
    let mut command = folder.command(&["tag", "-q", "-m", &models.upos(), "--from", "tokens"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("gloss");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    for (line, want) in [("Nora left .", "Nora/PROPN left/VERB ./PUNCT"), ("maps", "maps/")] {
        writeln!(input, "{line}").expect("open");
        let mut answer = String::new();
        output.read_line(&mut answer).expect("an answer");
        assert!(answer.starts_with(want), "{answer}");
    }
    drop(input);
    assert!(child.wait().expect("gloss").success());
}

#[test]
fn nobody_reading_is_no_failure() {
    let (models, folder) = (models(), Folder::new());
    let mut command = folder.command(&["tag", "-q", "-m", &models.ner(), "--from", "tokens"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("gloss");
    drop(child.stdout.take());
    let run = feed(child, corpus::tokens(200).as_bytes());
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
    // Short texts that are printed at once, too.
    for args in [&["models"][..], &["init", "tagger"], &["completions", "bash"]] {
        let mut child = folder.command(args).spawn().expect("gloss");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("gloss");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    }
}

#[test]
fn a_file_is_as_standard_output() {
    let models = models();
    let folder = Folder::new().with("a.tokens", corpus::tokens(2)).with("old", "old");
    let args = ["tag", "-q", "-m", &models.ner(), "a.tokens"];
    let want = folder.gloss(&args).ok();
    for name in ["new", "old"] {
        assert_eq!(folder.gloss(&[&args[..], &["-o", name]].concat()).ok(), "");
        assert_eq!(folder.read(name), want.as_bytes());
    }
    assert_eq!(folder.names(), ["a.tokens", "new", "old"]);
}

#[test]
fn a_failure_leaves_no_half_written_file() {
    let models = models();
    let bad = [corpus::tokens(50).as_bytes(), b"\xFF\n"].concat();
    let folder = Folder::new().with("a.tokens", bad).with("old", "old");
    for name in ["new", "old"] {
        folder.gloss(&["tag", "-m", &models.ner(), "-o", name, "a.tokens"]).fails(3);
    }
    assert_eq!(folder.names(), ["a.tokens", "old"]);
    assert_eq!(folder.read("old"), b"old");
}

#[cfg(unix)]
#[test]
fn a_device_is_written_to_and_not_replaced() {
    use std::os::unix::fs::FileTypeExt;

    let (models, folder) = (models(), Folder::new());
    folder.pipe(&["tag", "-q", "-m", &models.ner(), "-o", "/dev/null"], "Nora left.").ok();
    assert!(fs::metadata("/dev/null").expect("a device").file_type().is_char_device());
}

#[test]
fn files_are_read_in_their_order() {
    let models = models();
    let folder = Folder::new().with("a.tokens", "Nora left .\n").with("b.tokens", "Emil left .");
    let args = ["tag", "-q", "-m", &models.upos(), "--from", "tokens", "b.tokens", "-", "a.tokens"];
    let out = folder.pipe(&args, "Ada left .\n").ok();
    let first: Vec<&str> = out.lines().filter_map(|line| line.split('/').next()).collect();
    assert_eq!(first, ["Emil", "Ada", "Nora"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_file_is_removed() {
    let (models, folder) = (models(), Folder::new());
    let args = ["tag", "-q", "-m", &models.ner(), "--from", "tokens", "-o", "new"];
    let mut child = folder.command(&args).stdin(Stdio::piped()).spawn().expect("gloss");
    while folder.names().is_empty() {
        assert!(child.try_wait().expect("gloss").is_none(), "it waits for input");
        std::thread::yield_now();
    }
    crate::resume::signal(&child, "INT");
    assert_eq!(child.wait().expect("gloss").code(), Some(130));
    assert_eq!(folder.names(), [""; 0]);
}

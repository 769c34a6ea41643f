//! Pipes and files of output.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use crate::{
    corpus,
    folder::{Folder, Run, feed, models},
};

/// Runs a command whose standard output nobody reads.
fn unread(command: &mut Command, input: &[u8]) -> Run {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    feed(command.stdin(Stdio::piped()).stdout(writer).spawn().expect("gloss"), input)
}

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
    let mut tag = folder.command(&["tag", "-q", "-m", &models.ner(), "--from", "tokens"]);
    let run = unread(&mut tag, corpus::tokens(200).as_bytes());
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
    // Short texts that are printed at once, too.
    for args in [&["models"][..], &["init", "tagger"], &["completions", "bash"]] {
        let run = unread(&mut folder.command(args), b"");
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
    }
}

#[test]
fn nobody_reading_hides_no_finding_and_no_missed_score() {
    let models = models();
    let folder = models.folder();
    let args = ["eval", "-q", "-m", &models.ner(), "--min", "f1=101", "train.conllu"];
    let error = unread(&mut folder.command(&args), b"").fails(1);
    assert!(error.starts_with("missed: f1 is "), "{error}");
    unread(&mut folder.command(&[&args[..4], &args[6..]].concat()), b"").ok();
    let folder = Folder::new().with("a.tsv", "Nora\tB-PER\nFeld\tI-LOC\n\nRiga\tB-LOC\n");
    let args = ["check", "--train", "a.tsv", "--layer", "ner"];
    assert_eq!(folder.gloss(&args).code, Some(1));
    unread(&mut folder.command(&args), b"").fails(1);
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
fn a_pipe_is_written_to_and_not_replaced() {
    use std::{fs::File, io::Read, os::unix::fs::FileTypeExt};

    let (models, folder) = (models(), Folder::new());
    let path = folder.path("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    // Opened for both, it waits for nobody.
    let both = File::options().read(true).write(true).open(&path).expect("a pipe");
    let mut reader = File::open(&path).expect("a pipe");
    let args = ["tag", "-q", "-m", &models.upos(), "--from", "tokens", "-o", "pipe"];
    assert_eq!(folder.pipe(&args, "Nora left .\n").ok(), "");
    drop(both);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("UTF-8");
    assert_eq!(text, "Nora/PROPN left/VERB ./PUNCT\n");
    assert!(fs::metadata(&path).expect("a pipe").file_type().is_fifo());
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
    // More than fits into a pipe: once it is written, some has been read.
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(corpus::tokens(200).as_bytes()).expect("a reader");
    let names = folder.names();
    assert!(names.len() == 1 && names[0].starts_with(".new."), "{names:?}");
    crate::resume::signal(&child, "INT");
    assert_eq!(child.wait().expect("gloss").code(), Some(130));
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn standard_input_is_read_once() {
    let (models, folder) = (models(), Folder::new().with("gold.tsv", "Nora\tB-PER\n"));
    let error = folder.pipe(&["tag", "-m", &models.ner(), "-", "-"], "Nora left.").fails(2);
    assert!(error.contains("`-` is named twice"), "{error}");
    let eval = |hypotheses: &str, references: &str| {
        let args = ["eval", "--layer", "ner", "--hypotheses", hypotheses, "--references"];
        let named = ["--columns", "token,ner", "--from", "conll", references];
        folder.pipe(&[&args[..], &named[4..], &named[..4]].concat(), "Nora\tB-PER\n")
    };
    for (hypotheses, references) in [("-", "gold.tsv"), ("gold.tsv", "-")] {
        let table = eval(hypotheses, references).ok();
        assert!(table.contains("100.00  of 1 tokens"), "{table}");
    }
    eval("-", "-").fails(2);
}

//! `gloss fetch`, and what becomes of what it brought. The hub is a server on this
//! machine.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    sync::{Mutex, mpsc},
    thread,
};

use crate::{
    folder::{Folder, Run, models},
    server::{Answer, Commit, FakeHub, Request},
};

/// The tagger of names as a repository.
fn tagger() -> Commit {
    let models = models();
    let file = |name: &str| (name.to_owned(), models.folder().read(&format!("ner/{name}")));
    let names = ["README.md", "config.json", "dictionary-0.json", "model.safetensors"];
    Commit { files: names.map(file).into() }
}

fn is_weights(request: &Request) -> bool {
    request.path.starts_with("/store/")
}

fn fetch(folder: &Folder, hub: &FakeHub, more: &[&str]) -> Run {
    let url = hub.url();
    folder.gloss(&[&["fetch", "owner/name", "--endpoint", &url], more].concat())
}

#[test]
fn a_fetched_model_tags_is_verified_and_removed() {
    let (folder, commit) = (Folder::new(), tagger());
    let hub = FakeHub::new(&commit);
    let run = fetch(&folder, &hub, &["--as", "names"]);
    assert!(run.out.is_empty(), "{}", run.out);
    let place = folder.path("cache/names");
    for part in [
        format!("owner/name@main, commit {}: 4 files, ", commit.hash()),
        "model.safetensors: ".to_owned(),
        format!("{}; use it by `-m names`", place.display()),
    ] {
        assert!(run.err.contains(&part), "{part}: {}", run.err);
    }
    run.ok();
    let out = folder.pipe(&["tag", "-q", "-m", "names"], "Nora left Turin.").ok();
    assert!(out.contains("\"Nora\"/PER"), "{out}");
    let again = fetch(&folder, &hub, &["--as", "names"]);
    assert!(again.err.contains("is there already"), "{}", again.err);
    assert_eq!(fetch(&folder, &hub, &["--as", "names", "-q"]).err, "");
    assert_eq!(hub.store.requests().len(), 1);
    let shown = folder.gloss(&["models", "show", "names"]).ok();
    assert!(shown.contains(&format!("From: owner/name, commit {}", commit.hash())), "{shown}");
    let verified = folder.gloss(&["models", "verify"]).ok();
    assert!(verified.starts_with("names: ok, 4 files, "), "{verified}");
    assert_eq!(verified.lines().count(), 1, "{verified}");
    folder.gloss(&["models", "rm", "names"]).ok();
    assert!(!place.exists());
    let error = folder.gloss(&["models", "rm", "names"]).fails(4);
    assert!(error.contains("no model `names`"), "{error}");
}

#[test]
fn models_verify_names_what_is_damaged() {
    let folder = Folder::new();
    let hub = FakeHub::new(&tagger());
    fetch(&folder, &hub, &["--as", "a"]).ok();
    fetch(&folder, &hub, &["--as", "b"]).ok();
    let path = folder.path("cache/a/model.safetensors");
    let mut weights = fs::read(&path).expect("weights");
    *weights.last_mut().expect("a byte") ^= 1;
    fs::write(&path, weights).expect("a file");
    let run = folder.gloss(&["models", "verify", "a", "b", "en-ner", "absent"]);
    let lines: Vec<&str> = run.out.lines().collect();
    assert!(lines[0].starts_with("a: FAILED: ") && lines[0].contains("SHA-256"), "{lines:?}");
    assert!(lines[0].contains("`model.safetensors` is damaged"), "{lines:?}");
    assert!(lines[1].starts_with("b: ok, 4 files"), "{lines:?}");
    assert!(lines[2].starts_with("en-ner: ok, ") && lines[2].contains("not fetched"), "{lines:?}");
    assert!(lines[3].starts_with("absent: FAILED: no model"), "{lines:?}");
    run.fails(4);
    folder.gloss(&["models", "verify", "b"]).ok();
    let empty = Folder::new().gloss(&["models", "verify"]);
    assert!(empty.err.contains("holds no models"), "{}", empty.err);
    empty.ok();
}

#[test]
fn models_rm_removes_nothing_else() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("cache")).expect("a folder");
    fs::create_dir_all(folder.path("mine")).expect("a folder");
    fs::write(folder.path("mine/config.json"), "{}").expect("a file");
    let error = folder.gloss(&["models", "rm", "en-ner"]).fails(2);
    assert!(error.contains("part of the program"), "{error}");
    for path in ["../mine", "./mine", folder.path("mine").to_str().expect("UTF-8")] {
        let error = folder.gloss(&["models", "rm", path]).fails(2);
        assert!(error.contains("a path is none"), "{error}");
    }
    folder.gloss(&["models", "rm", "mine"]).fails(4);
    assert!(folder.path("mine/config.json").is_file());
}

#[test]
fn a_checkpoint_is_named_where_a_model_is_or_converted() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/flair/ner-stacked.pt");
    let checkpoint = fs::read(fixture).expect("a checkpoint");
    let folder = Folder::new();
    let hub = FakeHub::new(&Commit::new([("pytorch_model.bin", &*checkpoint)]));
    let run = fetch(&folder, &hub, &[]);
    let path = folder.path("cache/name/pytorch_model.bin");
    let next = format!("`gloss convert {} -o DIR`", path.display());
    assert!(run.err.contains(&next) && run.err.contains("`-m name`"), "{}", run.err);
    run.ok();
    assert!(fs::read(path).expect("a file") == checkpoint);
    let tagged = |model| folder.pipe(&["tag", "-q", "-m", model], "Nora left Turin.").ok();
    assert_eq!(tagged("name"), tagged(fixture));
    let list = folder.gloss(&["models"]).ok();
    let row = list.lines().find(|line| line.starts_with("name ") && line.contains("cache"));
    assert!(
        row.is_some_and(|row| row.contains("checkpoint") && row.ends_with("20.2 kB")),
        "{list}"
    );
    assert!(folder.gloss(&["models", "show", "name"]).ok().contains("to be converted"));
    assert!(folder.gloss(&["models", "verify"]).ok().contains("name: ok, 1 file"));
}

#[test]
fn what_goes_wrong_has_its_code() {
    let folder = Folder::new();
    let commit = tagger();
    let hub = FakeHub::new(&commit);
    for name in ["name", "a/b/c", "https://huggingface.co/a/b", "a/b@", "../a"] {
        folder.gloss(&["fetch", name, "--endpoint", &hub.url()]).fails(2);
    }
    for more in [["--as", "../x"], ["--as", "en-ner"], ["--file", "x.txt"], ["--timeout", "0"]] {
        fetch(&folder, &hub, &more).fails(2);
    }
    folder.gloss(&["fetch", "owner/name", "--endpoint", "huggingface.co"]).fails(2);
    assert!(hub.hub.requests().is_empty(), "misuse is found before anybody is asked");
    let error = folder.gloss(&["fetch", "owner/nmae", "--endpoint", &hub.url()]).fails(4);
    assert!(error.contains("set HF_TOKEN to a token that may read it"), "{error}");
    let private =
        FakeHub::with_faults(&commit, |request, right| match request.header("authorization") {
            Some("Bearer hf_mine") => right,
            _ => Answer::new(401, ""),
        });
    let error = fetch(&folder, &private, &[]).fails(4);
    assert!(error.contains("private, or misspelt") && error.contains("HF_TOKEN"), "{error}");
    let wrong = FakeHub::with_faults(&commit, |request, right| match request.path.as_str() {
        path if path.ends_with("README.md") => Answer::new(200, "x"),
        _ => right,
    });
    fetch(&folder, &wrong, &[]).fails(4);
    let cut = FakeHub::with_faults(
        &commit,
        |request, right| {
            if is_weights(request) { right.cut(0) } else { right }
        },
    );
    fetch(&folder, &cut, &[]).fails(5);
    let mute = FakeHub::with_faults(&commit, |_, _| Answer::none());
    let error = fetch(&folder, &mute, &["--timeout", "1"]).fails(5);
    assert!(error.contains("does not answer in time"), "{error}");
}

#[test]
fn the_token_is_found_and_never_shown() {
    let commit = tagger();
    let hub = FakeHub::with_faults(&commit, |request, right| {
        let is_hub = !is_weights(request);
        match request.header("authorization") {
            Some("Bearer hf_mine") if is_hub => right,
            None if !is_hub => right,
            _ => Answer::new(401, ""),
        }
    });
    let folder = Folder::new();
    let command = |folder: &Folder| {
        let mut command = folder.command(&["fetch", "owner/name"]);
        command.env("HF_ENDPOINT", hub.url());
        command
    };
    let run: Run = command(&folder).env("HF_TOKEN", "hf_mine").output().expect("gloss").into();
    assert!(!run.err.contains("hf_mine"), "{}", run.err);
    run.ok();
    let folder = Folder::new();
    fs::create_dir_all(folder.path("home/.cache/huggingface")).expect("a folder");
    fs::write(folder.path("home/.cache/huggingface/token"), "hf_mine\n").expect("a file");
    Run::from(command(&folder).output().expect("gloss")).ok();
    let folder = Folder::new();
    let error = Run::from(command(&folder).env("HF_TOKEN", "hf mine").output().expect("gloss"));
    let error = error.fails(2);
    assert!(error.contains("HF_TOKEN") && !error.contains("hf mine"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_5() {
    let (folder, commit) = (Folder::new(), tagger());
    let staging = folder.path("cache/.fetch/name").join(commit.hash());
    fs::create_dir_all(&staging).expect("a folder");
    std::os::unix::fs::symlink("/dev/full", staging.join("model.safetensors")).expect("a link");
    let error = fetch(&folder, &FakeHub::new(&commit), &[]).fails(5);
    assert!(error.contains("No space left on device"), "{error}");
    assert!(error.contains("model.safetensors"), "{error}");
}

#[cfg(unix)]
#[test]
fn an_interruption_is_130_and_the_next_fetch_goes_on() {
    use crate::resume::signal;
    let (folder, commit) = (Folder::new(), tagger());
    let size = commit.files["model.safetensors"].len();
    let half = size / 2;
    let stuck =
        FakeHub::with_faults(
            &commit,
            move |request, right| {
                if is_weights(request) { right.silent(half) } else { right }
            },
        );
    let part = folder.path("cache/.fetch/name").join(commit.hash()).join("model.safetensors");
    let mut command = folder.command(&["fetch", "owner/name", "--endpoint", &stuck.url()]);
    let child = command.spawn().expect("gloss");
    while fs::metadata(&part).map_or(0, |metadata| metadata.len()) < half as u64 {
        thread::yield_now();
    }
    signal(&child, "INT");
    let run: Run = child.wait_with_output().expect("gloss").into();
    assert!(run.fails(130).contains("what came is kept"));
    let hub = FakeHub::new(&commit);
    fetch(&folder, &hub, &[]).ok();
    let [request] = &hub.store.requests()[..] else { panic!("one request") };
    assert_eq!(request.header("range"), Some(&*format!("bytes={half}-")));
    assert_eq!(request.sent, size - half);
    folder.gloss(&["models", "verify", "name"]).ok();
}

#[test]
fn of_two_fetches_at_once_one_waits() {
    let (folder, commit) = (Folder::new(), tagger());
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let gate = Mutex::new((begun, may_go_on));
    let hub = FakeHub::with_faults(&commit, move |request, right| {
        if is_weights(request) && request.earlier == 0 {
            let (begun, may_go_on) = &*gate.lock().expect("the gate");
            begun.send(()).expect("a test");
            may_go_on.recv().expect("a test");
        }
        right
    });
    let url = hub.url();
    let start =
        || folder.command(&["fetch", "owner/name", "--endpoint", &url]).spawn().expect("gloss");
    let first = start();
    has_begun.recv().expect("a request");
    let mut second = start();
    let mut messages = BufReader::new(second.stderr.take().expect("a pipe")).lines();
    let line = messages.next().expect("a message").expect("UTF-8");
    assert!(line.contains("another fetch of it is running"), "{line}");
    go_on.send(()).expect("a server");
    Run::from(first.wait_with_output().expect("gloss")).ok();
    let rest: Vec<String> = messages.map(|line| line.expect("UTF-8")).collect();
    assert!(rest[0].contains("is there already"), "{rest:?}");
    assert_eq!(second.wait().expect("gloss").code(), Some(0));
    assert_eq!(hub.store.requests().len(), 1);
}

/// Runs the program where every way out leads to one listener, and returns whether
/// somebody knocked.
fn knocks(folder: &Folder, args: &[&str]) -> (Run, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut command = folder.command(args);
    let ways =
        ["HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"];
    for name in ways {
        command.env(name, &url);
    }
    let run = command.env_remove("NO_PROXY").env_remove("no_proxy").output().expect("gloss").into();
    // A connection waits in the queue of the listener, whether it is taken or not.
    (run, listener.accept().is_ok())
}

#[test]
fn no_other_verb_opens_a_connection() {
    let models = models();
    let folder = Folder::new().with("a.txt", "Nora left Turin.\n");
    fetch(&folder, &FakeHub::new(&tagger()), &[]).ok();
    let ner = models.ner();
    for (code, args) in [
        (0, &["tag", "-m", "name", "a.txt"][..]),
        (0, &["tag", "a.txt"]),
        (4, &["tag", "-m", "owner/name", "a.txt"]),
        (0, &["embed", "-m", &ner, "--to", "jsonl", "a.txt"]),
        (0, &["bench", "-m", "name", "a.txt"]),
        (0, &["models"]),
        (0, &["models", "show", "name"]),
        (0, &["models", "verify"]),
        (0, &["models", "rm", "name"]),
    ] {
        let (run, knocked) = knocks(&folder, args);
        assert!(!knocked, "{args:?} opened a connection");
        assert_eq!(run.code, Some(code), "{args:?}: {}", run.err);
    }
    // The listener hears who does.
    for endpoint in [&["--timeout", "1"][..], &["--timeout", "1", "--endpoint", "http://hub.test"]]
    {
        let (run, knocked) = knocks(&folder, &[&["fetch", "owner/name"], endpoint].concat());
        assert!(knocked, "{endpoint:?}: {}", run.err);
        run.fails(5);
    }
}

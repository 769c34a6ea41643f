//! An empty folder, and runs of the program in it.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, Weak},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::corpus;

/// A folder that goes when it is dropped.
pub struct Folder(TempDir);

/// What a run of the program did.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and returns the folder to write more.
    pub fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), content).expect("a file");
        self
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Names of all files, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("the folder");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.expect("an entry").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    /// The program with these arguments, with nothing of this environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gloss"));
        command.current_dir(self.0.path()).args(args);
        command.env("GLOSSATOR_CACHE", self.path("cache"));
        command.env_remove("GLOSSATOR_LOG").env_remove("NO_COLOR");
        command.env("HOME", self.path("home")).env_remove("HF_HOME");
        command.env_remove("HF_TOKEN").env_remove("HF_ENDPOINT");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program without input.
    pub fn gloss(&self, args: &[&str]) -> Run {
        self.command(args).output().expect("the program").into()
    }

    /// Runs the program with something on standard input.
    pub fn pipe(&self, args: &[&str], input: impl AsRef<[u8]>) -> Run {
        let child = self.command(args).stdin(Stdio::piped()).spawn().expect("the program");
        feed(child, input.as_ref())
    }
}

/// Writes all to a program, which may end before, and waits for its end.
pub fn feed(mut child: Child, input: &[u8]) -> Run {
    let mut stdin = child.stdin.take().expect("a pipe");
    thread::scope(|scope| {
        scope.spawn(move || {
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().expect("the program").into()
    })
}

impl Run {
    /// What was printed, if the program ended well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// What was said, if the program ended with this code.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}", self.err);
        self.err
    }

    /// The objects that were printed.
    #[track_caller]
    pub fn objects(self) -> Vec<Value> {
        objects(&self.ok())
    }
}

/// One JSON object a line.
#[track_caller]
pub fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Two taggers that the program trained, and their corpus.
pub struct Models(Folder);

/// The taggers, trained once for all tests that run at the same time.
pub fn models() -> Arc<Models> {
    static MODELS: Mutex<Weak<Models>> = Mutex::new(Weak::new());
    let mut models = MODELS.lock().expect("trained models");
    models.upgrade().unwrap_or_else(|| {
        let trained = Arc::new(Models::train());
        *models = Arc::downgrade(&trained);
        trained
    })
}

impl Models {
    fn train() -> Self {
        let folder = Folder::new()
            .with("train.conllu", corpus::conllu())
            .with("ner.toml", corpus::configuration("misc:NER", 10))
            .with("upos.toml", corpus::configuration("upos", 3));
        folder.gloss(&["train", "ner.toml"]).ok();
        folder.gloss(&["train", "upos.toml"]).ok();
        Self(folder)
    }

    pub fn folder(&self) -> &Folder {
        &self.0
    }

    /// Path of the tagger of names.
    pub fn ner(&self) -> String {
        self.0.path("ner").display().to_string()
    }

    /// Path of the tagger of parts of speech.
    pub fn upos(&self) -> String {
        self.0.path("upos").display().to_string()
    }
}

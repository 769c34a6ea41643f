//! `gloss fetch`: models of a hub. No other verb opens a connection.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use glossator::models::{self, Event, Fetched, Hub, HubOptions, Repository, Wanted};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::models::readable;
use crate::{
    args::HELP,
    exit::DONE,
    log::{Log, counted},
    signals,
};

const EXAMPLES: &str = "\
Examples:
  gloss fetch OWNER/NAME
  gloss tag -m NAME news.txt
  gloss fetch OWNER/NAME@v1.0 --as my-tagger
  gloss fetch flair/ner-english
  gloss convert ~/.cache/glossator/ner-english/pytorch_model.bin -o ner-english";

/// How the line of a file looks while it comes.
const LINE: &str = "{msg}  {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta}";

/// Bring a model from the hub into the cache
///
/// What comes is a model of this program, which -m finds by its name, or else one
/// checkpoint of Flair, to be converted. The revision is a commit from then on, and
/// lengths and hashes of all files are checked. What is interrupted goes on when
/// the same command is given again. The cache is the folder GLOSSATOR_CACHE, else
/// ~/.cache/glossator. For private models, HF_TOKEN is sent to the hub, else the
/// token that `hf auth login` keeps.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Repository, and a branch, tag or commit of it [default revision: main]
    #[arg(value_name = "OWNER/NAME[@REVISION]")]
    repository: String,
    /// One file of it, a checkpoint of Flair [default: the model, else the only checkpoint]
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    /// Name that it gets [default: that of the repository]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Address of the hub [default: HF_ENDPOINT, else huggingface.co]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// How long to wait for a connection, or for a hub that says nothing
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    let mut wanted: Wanted = args.repository.parse()?;
    if let Some(file) = &args.file {
        wanted = wanted.with_file(file)?;
    }
    if let Some(name) = &args.name {
        wanted = wanted.with_name(name)?;
    }
    let mut options = HubOptions::from_env()?;
    options.timeout = Duration::from_secs(args.timeout);
    if let Some(endpoint) = &args.endpoint {
        options.endpoint.clone_from(endpoint);
    }
    let hub = Hub::new(options)?;
    // What came is on the disk, and whoever waits for the cache is let in.
    signals::watch(move |code| {
        log.info("interrupted; what came is kept, the same command goes on");
        std::process::exit(code.into());
    })?;
    let mut progress = Progress::new(log, &wanted);
    let fetched =
        models::fetch(&hub, &Repository::from_env(), &wanted, &mut |event| progress.see(event));
    progress.end_file();
    match fetched? {
        Fetched::Model(folder) => {
            log.info(format_args!("{}; use it by `-m {}`", folder.display(), wanted.name()));
        }
        Fetched::Checkpoint(file) => log.info(format_args!(
            "{}: a checkpoint of another toolkit; `-m {}` converts it where it is used, `gloss convert {0} -o DIR` for good",
            file.display(),
            wanted.name()
        )),
    }
    Ok(DONE)
}

/// What is said while a model comes: a line that changes on a terminal, else a
/// line at the end of each file.
struct Progress {
    log: Log,
    what: String,
    bar: ProgressBar,
    file: Option<Coming>,
}

/// A file that comes.
struct Coming {
    name: String,
    size: u64,
    came: u64,
    since: Instant,
}

impl Progress {
    fn new(log: Log, wanted: &Wanted) -> Self {
        let shown = !log.is_quiet() && !log.is_json() && io::stderr().is_terminal();
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style =
            ProgressStyle::with_template(LINE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(None, target).with_style(style);
        let what = format!("{}@{}", wanted.repository(), wanted.revision());
        Self { log, what, bar, file: None }
    }

    fn see(&mut self, event: Event<'_>) {
        match event {
            Event::Waiting => self.log.info("another fetch of it is running; waiting for its end"),
            Event::Current(commit) => {
                self.log.info(format_args!("{} is there already, commit {commit}", self.what));
            }
            Event::Listed { commit, files, bytes } => self.log.info(format_args!(
                "{}, commit {commit}: {}, {}",
                self.what,
                counted(files, "file"),
                readable(bytes)
            )),
            Event::File { name, size, there } => {
                self.end_file();
                self.bar.reset();
                self.bar.set_length(size);
                self.bar.set_message(name.to_owned());
                self.bar.set_position(there);
                self.bar.reset_eta();
                let (name, since) = (name.to_owned(), Instant::now());
                self.file = Some(Coming { name, size, came: 0, since });
            }
            Event::Bytes(bytes) => {
                self.bar.inc(bytes);
                if let Some(file) = &mut self.file {
                    file.came += bytes;
                }
            }
            Event::Again => self.bar.set_position(0),
            _ => {}
        }
    }

    /// Says what came of the last file.
    fn end_file(&mut self) {
        let Some(Coming { name, size, came, since }) = self.file.take() else { return };
        self.bar.finish_and_clear();
        let seconds = since.elapsed().as_secs_f64();
        if self.log.is_json() {
            let event = json!({
                "event": "file", "name": name, "size": size, "came": came, "seconds": seconds,
            });
            return self.log.object(&event.to_string());
        }
        let rate = if seconds > 0.0 { came as f64 / seconds } else { 0.0 };
        let rate = readable(rate as u64);
        self.log.info(format_args!("{name}: {} of {}, {rate}/s", readable(came), readable(size)));
    }
}

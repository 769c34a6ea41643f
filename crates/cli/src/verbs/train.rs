//! `gloss train`: trains what a configuration says.

mod command;
mod curves;
mod observers;
mod restart;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use anyhow::Context;
use glossator::{
    errors::TextError,
    training::{RunConfig, RunOptions, Trained, TrainingRun, train},
};
use serde_json::json;

use self::curves::Curves;
use crate::{
    args::HELP,
    compute::Compute,
    exit::{BadData, DONE, Usage},
    log::Log,
    output, signals,
    verbs::check,
};

/// Names of the pictures of a training.
const CURVES: [&str; 2] = ["curves.svg", "curves.png"];

const EXAMPLES: &str = "\
Examples:
  gloss train tagger.toml
  gloss train tagger.toml -o models/ner --set training.max_epochs=20 --set seed=7
  gloss train tagger.toml --resume --plot
  gloss train --plot models/ner/log.jsonl -o ner.png
  gloss train tagger.toml --dry-run";

/// Train a model as a configuration file says
///
/// The folder is a loadable model in the end. Ctrl-C saves a checkpoint and
/// ends; --resume goes on with it, and no byte of the model differs.
#[derive(clap::Args)]
#[command(help_template = HELP, before_help = EXAMPLES)]
pub struct Args {
    /// Configuration file; `gloss init` prints one to start from. With --plot also the log
    /// of a training, which is only drawn
    #[arg(value_name = "CONFIG")]
    config: PathBuf,
    /// Use another value than the file's
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Folder of the model, its checkpoints and its log [default: the configuration's name];
    /// the picture of a log, an SVG or, ending in .png, a PNG [default: `curves.svg` and
    /// `curves.png` beside it]
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Go on from the last checkpoint in the folder, or begin where it holds nothing yet
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Train anew into a folder that is not empty; its model, its checkpoints and its log go
    #[arg(long)]
    force: bool,
    /// Draw the losses and scores of the folder's log in the end: `curves.svg`, `curves.png`
    #[arg(long)]
    plot: bool,
    /// Read configuration and corpora, say what is there, and train nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    compute: Compute,
}

pub fn run(args: &Args, log: Log) -> anyhow::Result<u8> {
    if args.config.extension().is_some_and(|ending| ending == "jsonl") {
        return draw(args);
    }
    if !args.dry_run {
        restart::with_environment(args.compute.threads);
    }
    let mut settings = args.set.clone();
    settings.extend(args.compute.seed.map(|seed| format!("seed={seed}")));
    let config = RunConfig::read(&args.config, &settings)?;
    if args.dry_run {
        return dry_run(&config, log);
    }
    let (stop, code) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU8::new(DONE)));
    let out = folder(args)?;
    let options = RunOptions {
        out: out.clone(),
        seed: config.seed(),
        resume: args.resume,
        stop: stop.clone(),
        ..Default::default()
    };
    options.check()?;
    let options = RunOptions { device: args.compute.prepare(log)?, ..options };
    watch(log, stop, code.clone())?;
    let trained = train(TrainingRun {
        config: &config,
        options,
        observers: &mut observers::of(log),
        command: command::of(&args.config, &settings),
    })?;
    if args.plot && !plot(&out.join("log.jsonl"), &CURVES.map(|name| out.join(name)))? {
        log.warn("--plot: nothing was evaluated yet");
    }
    match trained {
        Some(trained) => tell(log, &trained),
        None => {
            let folder = out.display();
            log.info(format_args!(
                "interrupted; the same command with --resume goes on (-o {folder})"
            ));
            return Ok(code.load(Ordering::SeqCst));
        }
    }
    Ok(DONE)
}

/// Where to train, once it is clear that nothing is lost there.
fn folder(args: &Args) -> Result<PathBuf, Usage> {
    let stem = || args.config.file_stem().map(PathBuf::from);
    let out = args.output.clone().or_else(stem).unwrap_or_default();
    let shown = out.display();
    if out.exists() && !out.is_dir() {
        return Err(Usage(format!("{shown} is no folder; name another with -o")));
    }
    let used = out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if used && !args.resume && !args.force {
        return Err(Usage(format!(
            "the folder {shown} is not empty: --resume goes on with its training, --force trains anew, -o names another"
        )));
    }
    let same = |path: &Path| path.canonicalize().ok();
    let own = same(&args.config);
    if args.force && own.is_some() && own == same(&out.join("config.toml")) {
        return Err(Usage(format!(
            "--force: {} would be replaced by its resolved copy; name another folder with -o",
            args.config.display()
        )));
    }
    Ok(out)
}

/// Lets the first interruption end the training with a checkpoint.
fn watch(log: Log, stop: Arc<AtomicBool>, code: Arc<AtomicU8>) -> anyhow::Result<()> {
    signals::watch(move |signal| {
        code.store(signal, Ordering::SeqCst);
        stop.store(true, Ordering::SeqCst);
        log.info("interrupted: saving a checkpoint; once more ends at once");
    })
    .context("cannot listen to signals")
}

/// Draws the log that stands in the place of a configuration.
fn draw(args: &Args) -> anyhow::Result<u8> {
    let from = &args.config;
    if !args.plot {
        let shown = from.display();
        let problem = format!("{shown} is a log, not a configuration; --plot draws it");
        return Err(Usage(problem).into());
    }
    let to = match &args.output {
        Some(path) => vec![path.clone()],
        None => CURVES.map(|name| from.with_file_name(name)).into(),
    };
    if !plot(from, &to)? {
        let shown = from.display();
        return Err(BadData(format!(
            "{shown}: no evaluation stands in it, so nothing can be drawn"
        ))
        .into());
    }
    Ok(DONE)
}

/// Draws the course of a training from its log, if it has come to an evaluation; the
/// ending of a picture's name says its format.
fn plot(from: &Path, to: &[PathBuf]) -> anyhow::Result<bool> {
    let read = |source| TextError::Read { path: from.to_owned(), source };
    // The last line of a training that goes on may be half written.
    let bytes = fs::read(from).map_err(read)?;
    let Some(curves) = Curves::of(&String::from_utf8_lossy(&bytes)) else { return Ok(false) };
    for path in to {
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
            output::write(Some(path), curves.png()?)?;
        } else {
            output::write(Some(path), curves.svg()?)?;
        }
    }
    Ok(true)
}

/// Prints what the configuration names, and what is wrong with it.
fn dry_run(config: &RunConfig, log: Log) -> anyhow::Result<u8> {
    let (text, findings) = check::describe(config)?;
    let code = check::report(text, &findings)?;
    log.info("nothing was trained");
    Ok(code)
}

/// Says how the training ended.
fn tell(log: Log, trained: &Trained) {
    let Trained { summary, folder, dev, test, warnings } = trained;
    warnings.iter().for_each(|warning| log.warn(warning));
    if log.is_json() {
        let (dev, test) = (json!(dev), json!(test));
        let object = json!({ "event": "trained", "folder": folder, "dev": dev, "test": test });
        return log.object(&object.to_string());
    }
    let epoch = summary.best_epoch;
    log.info(format_args!("\ndevelopment data, epoch {epoch} of {}:\n{dev}", summary.epochs));
    if let Some(test) = test {
        log.info(format_args!("test data:\n{test}"));
    }
    log.info(format_args!("the model is {}", as_path(folder).display()));
}

/// A folder as -m takes it: a bare name would be looked for elsewhere first.
fn as_path(folder: &Path) -> PathBuf {
    match folder.components().count() == 1 && folder.is_relative() {
        true => Path::new(".").join(folder),
        false => folder.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_becomes_a_path() {
        assert_eq!(as_path(Path::new("ner")), Path::new("./ner"));
        assert_eq!(as_path(Path::new("models/ner")), Path::new("models/ner"));
        assert_eq!(as_path(Path::new("/ner")), Path::new("/ner"));
    }
}

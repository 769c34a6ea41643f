//! Exit codes: what a failure means to a script.

use std::{error::Error as StdError, io};

use glossator::{
    Error,
    errors::{ConvertError, ModelError, TextError, TrainingError},
};

use crate::log::Log;

/// Done.
pub const DONE: u8 = 0;
/// Findings, or a score missed.
pub const FINDINGS: u8 = 1;
/// Misuse, or a bad configuration.
pub const USAGE: u8 = 2;
/// Bad input data.
pub const DATA: u8 = 3;
/// A model that is missing, bad or does not fit.
pub const MODEL: u8 = 4;
/// Input or output failed.
pub const IO: u8 = 5;

/// Options that cannot be used so.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Input that cannot be used so.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadData(pub String);

/// The code of a verb that wrote a report. That nobody read it to its end does
/// not change what it says.
///
/// # Errors
/// If it could not be written for another reason.
pub fn of_report(written: anyhow::Result<()>, code: u8) -> anyhow::Result<u8> {
    match written {
        Err(error) if !is_broken_pipe(&error) => Err(error),
        _ => Ok(code),
    }
}

/// Says what went wrong, and returns the exit code. A broken pipe is success.
pub fn report(log: &Log, error: &anyhow::Error) -> u8 {
    let code = code(error);
    if code != DONE {
        log.error(error);
    }
    code
}

/// The exit code of an error.
fn code(error: &anyhow::Error) -> u8 {
    if is_broken_pipe(error) {
        return DONE;
    }
    error.chain().find_map(code_of).unwrap_or(IO)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_one = |cause: &(dyn StdError + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(is_one)
}

/// The code of one error; nothing if its cause decides.
fn code_of(cause: &(dyn StdError + 'static)) -> Option<u8> {
    if let Some(error) = cause.downcast_ref::<Error>() {
        return of_models(error);
    }
    if let Some(error) = cause.downcast_ref::<TextError>() {
        return Some(of_text(error));
    }
    if let Some(error) = cause.downcast_ref::<TrainingError>() {
        return of_training(error);
    }
    if let Some(error) = cause.downcast_ref::<ModelError>() {
        return Some(of_hub(error));
    }
    if cause.is::<BadData>() {
        return Some(DATA);
    }
    cause.is::<Usage>().then_some(USAGE)
}

fn of_models(error: &Error) -> Option<u8> {
    match error {
        Error::Hub(error) => Some(of_hub(error)),
        Error::Convert(error) => Some(of_convert(error)),
        Error::Model { .. } | Error::Ensemble { .. } | Error::Layer(_) => Some(MODEL),
        Error::NoDecoder { .. } => Some(MODEL),
        Error::Text(error) => Some(of_text(error)),
        Error::Config { .. } | Error::ConfigFile { .. } | Error::Resume { .. } => Some(USAGE),
        Error::NoLayer { .. } => Some(USAGE),
        Error::Data { .. } => Some(DATA),
        Error::Train(error) => of_training(error),
        Error::Write { .. } => Some(IO),
        _ => None,
    }
}

fn of_convert(error: &ConvertError) -> u8 {
    match error {
        ConvertError::Exists { .. } => USAGE,
        error if error.is_io() => IO,
        _ => MODEL,
    }
}

fn of_hub(error: &ModelError) -> u8 {
    match error {
        error if error.is_io() => IO,
        error if error.is_usage() => USAGE,
        _ => MODEL,
    }
}

fn of_text(error: &TextError) -> u8 {
    match error {
        error if error.is_io() => IO,
        error if error.is_usage() => USAGE,
        _ => DATA,
    }
}

fn of_training(error: &TrainingError) -> Option<u8> {
    use TrainingError as E;
    match error {
        E::Config { .. }
        | E::NothingToResume { .. }
        | E::InUse { .. }
        | E::OtherSettings { .. } => Some(USAGE),
        E::Io { .. } | E::Json(_) => Some(IO),
        E::Checkpoint { .. } | E::NoGradient { .. } | E::Tensor(_) | E::Parameters(_) => {
            Some(MODEL)
        }
        E::NotFinite { .. } | E::NoBatches { .. } | E::EmptyBatch { .. } => Some(DATA),
        E::NoScore { .. } | E::Lengths { .. } => Some(DATA),
        // Sizes agree in a training, so what a layer refuses is numbers that are
        // not finite, in an evaluation: a loss that is not is `NotFinite`.
        E::Task { source, .. } if matches!(source.downcast_ref(), Some(Error::Layer(_))) => {
            Some(DATA)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn missing() -> io::Error {
        io::ErrorKind::NotFound.into()
    }

    fn path() -> PathBuf {
        PathBuf::from("x")
    }

    #[test]
    fn errors_of_the_library() {
        let config = Error::Config { path: path(), line: None, problem: String::new() };
        let file = Error::ConfigFile { key: String::new(), path: path(), source: missing() };
        let data = Error::Data { path: path(), line: Some(1), problem: String::new() };
        let write = Error::Write { path: path(), source: missing() };
        let hub = ModelError::MissingFile { model: String::new(), file: String::new() };
        for (error, want) in
            [(config, USAGE), (file, USAGE), (data, DATA), (write, IO), (hub.into(), MODEL)]
        {
            assert_eq!(code(&error.into()), want);
        }
    }

    #[test]
    fn errors_of_models_and_of_the_network_are_told_apart() {
        let hub = |error: ModelError| [code(&Error::from(error).into())];
        let (name, place, problem) = ("x".to_owned(), "x".to_owned(), String::new());
        assert_eq!(hub(ModelError::Refused { place, problem: problem.clone() }), [MODEL]);
        assert_eq!(
            hub(ModelError::Taken { name: name.clone(), problem: problem.clone() }),
            [USAGE]
        );
        assert_eq!(hub(ModelError::Write { path: path(), source: missing() }), [IO]);
        assert_eq!(code(&ModelError::Network { url: name, problem }.into()), IO);
        assert_eq!(code(&ModelError::NoCache.into()), USAGE);
    }

    #[test]
    fn errors_of_text_are_told_apart() {
        let text = |error: TextError| [code(&Error::Text(error).into())];
        assert_eq!(text(TextError::Read { path: path(), source: missing() }), [IO]);
        assert_eq!(text(TextError::Compressed { path: path(), source: missing() }), [DATA]);
        assert_eq!(text(TextError::Columns { path: path(), line: 1, want: 2, found: 3 }), [DATA]);
        let names = TextError::ColumnNames { columns: String::new(), problem: "" };
        assert_eq!(code(&anyhow::Error::from(names).context("more")), USAGE);
    }

    #[test]
    fn errors_of_a_training_are_those_of_its_task() {
        let not_finite = TrainingError::NotFinite {
            epoch: 1,
            step: 1,
            quantity: String::new(),
            value: f64::NAN,
            checkpoint: None,
        };
        assert_eq!(code(&Error::Train(not_finite).into()), DATA);
        for folder in
            [TrainingError::NothingToResume { path: path() }, TrainingError::InUse { path: path() }]
        {
            assert_eq!(code(&Error::Train(folder).into()), USAGE);
        }
        let checkpoint = TrainingError::Checkpoint { path: path(), problem: String::new() };
        assert_eq!(code(&Error::Train(checkpoint).into()), MODEL);
        let source = Error::Write { path: path(), source: missing() };
        let task = TrainingError::Task { action: "save", epoch: 1, source: source.into() };
        assert_eq!(code(&Error::Train(task).into()), IO);
    }

    #[test]
    fn a_broken_pipe_is_success_and_misuse_is_not() {
        let write = |kind: io::ErrorKind| TextError::Write { source: kind.into() };
        let broken = || write(io::ErrorKind::BrokenPipe).into();
        assert_eq!(code(&broken()), DONE);
        assert_eq!(of_report(Err(broken()), FINDINGS).unwrap(), FINDINGS);
        assert_eq!(of_report(Ok(()), FINDINGS).unwrap(), FINDINGS);
        of_report(Err(write(io::ErrorKind::StorageFull).into()), FINDINGS).unwrap_err();
        assert_eq!(code(&BadData("x".to_owned()).into()), DATA);
        assert_eq!(code(&Usage("x".to_owned()).into()), USAGE);
        assert_eq!(code(&anyhow::anyhow!("x")), IO);
    }
}

use std::{io, path::PathBuf};

/// Why a model cannot be converted. Every message names its file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read, or is no checkpoint.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: glossator_pickle::Error,
    },
    /// The file cannot be opened.
    #[error("{}: cannot read", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A model has what the other toolkit lacks.
    #[error("model {model}: it cannot become a model of {toolkit}: {problem}")]
    NoCounterpart {
        /// The model.
        model: String,
        /// The other toolkit.
        toolkit: &'static str,
        /// What has no counterpart.
        problem: String,
    },
    /// The checkpoint holds what has no counterpart, or lacks what it needs.
    #[error("{}: {problem}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The folder exists.
    #[error("{} exists already; name another folder, or remove it", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The folder cannot be written.
    #[error("{}: cannot write", path.display())]
    Write {
        /// A file of the folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Error {
    /// Whether reading or writing failed, whatever is in the file.
    pub fn is_io(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Write { .. } => true,
            Self::Read { source, .. } => matches!(source, glossator_pickle::Error::Io(_)),
            _ => false,
        }
    }
}

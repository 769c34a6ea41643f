use std::io;

/// Why a pickle or a checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// The pickle is damaged, or none.
    #[error("damaged pickle at byte {offset}: {problem}")]
    Pickle {
        /// Place in the pickle, in bytes.
        offset: u64,
        /// What is wrong there.
        problem: String,
    },
    /// The checkpoint around the pickle is damaged, or of an unknown form.
    #[error("damaged checkpoint: {problem}")]
    Checkpoint {
        /// What is wrong.
        problem: String,
    },
}

impl Error {
    pub(crate) fn checkpoint(problem: impl Into<String>) -> Self {
        Self::Checkpoint { problem: problem.into() }
    }
}

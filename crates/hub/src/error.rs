use std::{io, path::PathBuf};

/// Why a model cannot be had. Every message names the model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither built in, nor in the cache, nor a folder.
    #[error(
        "no model `{name}`: it is not built in ({builtin}), not in the cache{}, and there is no such folder",
        cache.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default()
    )]
    NotFound {
        /// What was asked for.
        name: String,
        /// Names of the built-in models.
        builtin: String,
        /// The cache that was searched.
        cache: Option<PathBuf>,
    },
    /// A file of the model is missing.
    #[error("model {model}: the file `{file}` is missing")]
    MissingFile {
        /// The model.
        model: String,
        /// The file.
        file: String,
    },
    /// A file of the model cannot be read.
    #[error("model {model}: cannot read `{file}`")]
    Read {
        /// The model.
        model: String,
        /// The file.
        file: String,
        /// The cause.
        source: io::Error,
    },
    /// A file of the model is not what its name says.
    #[error("model {model}: `{file}` is damaged: {reason}")]
    Damaged {
        /// The model.
        model: String,
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The model is of another kind, or of a newer format.
    #[error("model {model}: {reason}")]
    Incompatible {
        /// The model.
        model: String,
        /// What does not fit.
        reason: String,
    },
}

impl Error {
    /// What went wrong with a file of a model, at one of its tensors perhaps.
    pub(crate) fn of_file(
        model: &str,
        file: &str,
        tensor: Option<&str>,
        source: io::Error,
    ) -> Self {
        let (model, file) = (model.to_owned(), file.to_owned());
        let source = match tensor {
            Some(tensor) => io::Error::new(source.kind(), format!("tensor `{tensor}`: {source}")),
            None => source,
        };
        match source.kind() {
            io::ErrorKind::NotFound => Self::MissingFile { model, file },
            io::ErrorKind::InvalidData => Self::Damaged { model, file, reason: source.to_string() },
            _ => Self::Read { model, file, source },
        }
    }
}

use std::{
    io,
    path::{Path, PathBuf},
};

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
    /// A path at which there is no folder.
    #[error("no model `{path}`: there is no such folder (`.` or `/` in front makes a name a path)")]
    NoFolder {
        /// What was asked for.
        path: String,
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
    /// A name, a revision or an address that cannot be one.
    #[error("`{name}`: {problem}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// There is no folder to keep models in.
    #[error("there is no cache to keep models in: set GLOSSATOR_CACHE to a folder")]
    NoCache,
    /// The cache has another model of that name, or is changed by somebody else.
    #[error("model {name}: {problem}")]
    Taken {
        /// Its name in the cache.
        name: String,
        /// What is in the way, and what to do.
        problem: String,
    },
    /// A file of the cache cannot be written or removed.
    #[error("{}: cannot be written or removed", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The hub has no such thing, or does not give it, or gives another.
    #[error("{place}: {problem}")]
    Refused {
        /// Repository, revision and file.
        place: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The hub cannot be reached, breaks off, or answers what cannot be used.
    #[error("{url}: {problem}")]
    Network {
        /// Where it was asked for.
        url: String,
        /// What went wrong, and what to do.
        problem: String,
    },
}

impl Error {
    /// Whether what was asked for cannot be meant so.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Name { .. } | Self::NoCache | Self::Taken { .. })
    }

    /// Whether the network or a disk failed, whatever a model holds.
    pub fn is_io(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Network { .. })
    }

    /// What went wrong with a file or folder that was written, as [`Result::map_err`] takes it.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Write { path, source }
    }

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

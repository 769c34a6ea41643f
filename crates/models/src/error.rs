use std::path::PathBuf;

use glossator_text::Sentence;

/// What can go wrong with models.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model of another toolkit cannot be converted.
    #[cfg(feature = "convert")]
    #[error(transparent)]
    Convert(#[from] crate::convert::Error),
    /// A model cannot be found or read.
    #[error(transparent)]
    Hub(#[from] glossator_hub::Error),
    /// The tensors of a model do not fit its configuration.
    #[error("model {model}: {source}")]
    Model {
        /// The model.
        model: String,
        /// What does not fit.
        source: glossator_nn::Error,
    },
    /// A language model that predicts no characters.
    #[error(
        "model {model}: it was made without a decoder, so it gives vectors, but cannot score or write text"
    )]
    NoDecoder {
        /// The model.
        model: String,
    },
    /// Models that cannot work together.
    #[error(
        "{other}: its subwords are not those of {model}; translators that work together need the same"
    )]
    Ensemble {
        /// The first model.
        model: String,
        /// The other one.
        other: String,
    },
    /// A tagger of several layers writes none of that name.
    #[error("model {model}: it writes the layers {known}, and none named `{layer}`")]
    NoLayer {
        /// The model.
        model: String,
        /// What was asked for.
        layer: String,
        /// What there is.
        known: String,
    },
    /// The call was ended by its [`Cancel`](crate::Cancel).
    #[error("cancelled")]
    Cancelled,
    /// A layer or kernel refused its arguments.
    #[error(transparent)]
    Layer(#[from] glossator_nn::Error),
    /// Text cannot be read or written.
    #[error(transparent)]
    Text(#[from] glossator_text::Error),
    /// A configuration that cannot be used.
    #[error("{}{}: {problem}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// Line, from 1, if it is known.
        line: Option<usize>,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file that a configuration names cannot be opened.
    #[error("{}: cannot open the file named by `{key}`", path.display())]
    ConfigFile {
        /// Key of the configuration.
        key: String,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Corpus data that cannot be trained on.
    #[error("{}{}: {problem}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Data {
        /// The corpus file.
        path: PathBuf,
        /// Line, from 1, if it is known.
        line: Option<usize>,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A run cannot go on from its checkpoint.
    #[cfg(feature = "train")]
    #[error("the run cannot go on: {problem}")]
    Resume {
        /// What does not fit, and what to do.
        problem: &'static str,
    },
    /// Training failed.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Train(#[from] glossator_train::Error),
    /// A file cannot be written.
    #[error("{}: cannot write", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl Error {
    /// An error about a token, with the place it was read from.
    pub fn in_token(sentence: &Sentence, token: usize, problem: String) -> Self {
        match sentence.token_place(token) {
            Some((path, line)) => Self::Data { path: path.to_owned(), line: Some(line), problem },
            None => Self::in_sentence(sentence, problem),
        }
    }

    /// An error about the data of a sentence, with the place it was read from.
    pub fn in_sentence(sentence: &Sentence, problem: String) -> Self {
        let place = sentence.place();
        let path = place.map_or("input".into(), |(path, _)| path.to_owned());
        Self::Data { path, line: place.map(|(_, line)| line), problem }
    }
}

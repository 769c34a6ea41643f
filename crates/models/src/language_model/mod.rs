//! Character language models (Akbik et al., 2018; the names of the tensors are
//! Flair's).
//!
//! ```text
//! characters -> encoder (a table) -> recurrent layers [-> proj] -> decoder
//! ```
//!
//! A forward model predicts the next character of a text, a backward one reads
//! the same text from its end. Between them they have seen all of a sentence,
//! and their hidden states at the borders of a word are its *contextual string
//! embedding*.

mod config;
mod generate;
mod infer;
mod score;
#[cfg(feature = "train")]
pub(crate) mod train;

pub(crate) use config::KIND;
#[cfg(any(test, feature = "train", feature = "convert"))]
pub(crate) use config::LanguageModelModel;
pub use config::{LanguageModelConfig, ReadingDirection};
pub use generate::Sampling;
#[cfg(feature = "convert")]
pub(crate) use infer::DICTIONARY;
pub use infer::LanguageModel;
pub use score::{TextScore, TextScorer};

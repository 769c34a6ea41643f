//! Models: embeddings and the tagger that stands on them.
//!
//! The decision this crate embodies: **what labels text is not what is
//! trained**. A [`Tagger`] is immutable, packs its weights once and computes on
//! plain slices, so it can be shared by threads and gives the same bits
//! whatever it is batched with. Training (feature `train`) builds a graph over
//! variables of the same names, and evaluates by making such a tagger of them.
#![forbid(unsafe_code)]

#[cfg(feature = "train")]
pub mod check;
#[cfg(feature = "train")]
mod config;
mod embeddings;
mod error;
mod tagger;

#[cfg(feature = "train")]
pub use config::{DataConfig, ModelInfo, RunConfig, TaskKind};
pub use embeddings::{Columns, Embedding, EmbeddingConfig, TokenBatch};
pub use error::Error;
#[cfg(feature = "train")]
pub use tagger::train::{Trained, TrainingRun, train_tagger};
pub use tagger::{Tagger, TaggerConfig};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

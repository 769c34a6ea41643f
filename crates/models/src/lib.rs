//! Models: embeddings, the tagger that stands on them, and the translator.
//!
//! The decision this crate embodies: **what labels text is not what is
//! trained**. A [`Tagger`] is immutable, packs its weights once and computes on
//! plain slices, so it can be shared by threads and gives the same bits
//! whatever it is batched with. Training (feature `train`) builds a graph over
//! variables of the same names, and evaluates by making such a tagger of them.
#![forbid(unsafe_code)]

mod cancel;
#[cfg(feature = "train")]
pub mod check;
mod compute;
#[cfg(feature = "train")]
mod config;
#[cfg(feature = "convert")]
pub mod convert;
mod embeddings;
mod error;
mod find;
mod language_model;
mod limits;
mod lookup;
mod pick;
mod quirk;
mod stored;
mod tagger;
#[cfg(feature = "train")]
mod training;
mod translator;

pub use cancel::Cancel;
pub use compute::Compute;
#[cfg(feature = "train")]
pub use config::{
    CacheConfig, DataConfig, LanguageModelRunConfig, ModelInfo, PairsConfig, RunConfig,
    TaggerRunConfig, TaskKind, TextConfig, TranslatorRunConfig,
};
pub use embeddings::{
    Columns, ContextualConfig, Embedder, Embedding, EmbeddingConfig, PooledConfig, Pooling,
    Spacing, TokenBatch,
};
pub use error::Error;
pub use find::kind_of;
pub use glossator_nn::{Device, Isa, LargePages, Precision};
pub use language_model::{
    LanguageModel, LanguageModelConfig, ReadingDirection, Sampling, TextScore, TextScorer,
};
pub use quirk::Quirk;
pub use tagger::{Constraints, Gazetteer, TagOptions, Tagger, TaggerConfig, TaggerLayer};
#[cfg(feature = "train")]
pub use training::{Scores, Trained, TrainingRun, train};

pub use translator::{
    AttentionKind, BridgeKind, ChooseBy, Hypothesis, LengthPenalty, PairScore, SubwordKind,
    SubwordsConfig, TiedKind, TranslateOptions, TranslateSampling, Translation, TranslationQuality,
    TranslationScore, Translator, TranslatorConfig,
};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

//! Guides, one page each: [training] a tagger, [language models](language_models),
//! and [embeddings] that are made of them.

#[doc = include_str!("training.md")]
pub mod training {}

#[doc = include_str!("language_models.md")]
pub mod language_models {}

#[doc = include_str!("embeddings.md")]
pub mod embeddings {}

//! Guides, one page each: a [first model](first_model) from your own labels, how raw [text] is split, [training] a tagger, [language models](language_models),
//! [embeddings] that are made of them, [translation], recurrent [cells], [speed],
//! [gpus], models of a [hub], and models of [Flair and Stanza](flair).

#[doc = include_str!("first_model.md")]
pub mod first_model {}

#[doc = include_str!("text.md")]
pub mod text {}

#[doc = include_str!("training.md")]
pub mod training {}

#[doc = include_str!("language_models.md")]
pub mod language_models {}

#[doc = include_str!("embeddings.md")]
pub mod embeddings {}

#[doc = include_str!("translation.md")]
pub mod translation {}

#[doc = include_str!("cells.md")]
#[doc = include_str!("gradient_flow.svg")]
pub mod cells {}

#[doc = include_str!("gpus.md")]
pub mod gpus {}

#[doc = include_str!("hub.md")]
pub mod hub {}

#[doc = include_str!("flair.md")]
pub mod flair {}

#[doc = include_str!("speed.md")]
pub mod speed {}

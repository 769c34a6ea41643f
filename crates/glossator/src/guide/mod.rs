//! Guides, one page each.

#[doc = include_str!("training.md")]
pub mod training {}

//! Documents, sentences, tokens, spans, tag schemes and corpus formats.
//!
//! Two decisions shape this crate. Nothing here knows a tensor: what goes to
//! the models are strings, offsets and lengths. And nothing is lost on the way:
//! a sentence knows where it stood in its document, in bytes, code points and
//! UTF-16 units, and a file of columns is written back byte for byte but for
//! what was added.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod annotation;
pub mod batch;
pub mod corpus;
mod dictionary;
mod document;
mod error;
mod names;
mod position;
pub mod raw;
pub mod segment;
mod sentence;
mod source;
pub mod tags;

pub use annotation::{Annotation, Label, Layer, Sequence, Span, SpanRef};
pub use dictionary::Dictionary;
pub use document::Document;
pub use error::{Error, Result};
pub use position::Position;
pub use sentence::Sentence;
pub use source::{Meta, Rows, Source};

//! What an application needs: `use glossator::prelude::*;`

pub use crate::{Document, Error, Sentence, SpanRef, Tagger, Translator};

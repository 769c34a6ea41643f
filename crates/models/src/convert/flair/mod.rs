//! Models of Flair, of every version from 0.4 on (Akbik et al., 2019).

mod dictionary;
mod embeddings;
mod language_model;
mod tagger;

use glossator_pickle::Value;

use super::{ConvertOptions, Draft, Source};
use crate::Result;

/// What a checkpoint of Flair may be.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    LanguageModel(Value<'a>),
    Tagger(Value<'a>),
}

impl<'a> Kind<'a> {
    /// The kind of what was saved, if it is one of Flair.
    pub(super) fn of(root: Value<'a>) -> Option<Self> {
        let has = |name: &str| root.get(name).is_some();
        if has("tag_dictionary") && has("state_dict") {
            Some(Self::Tagger(root))
        } else if has("dictionary") && has("is_forward_lm") {
            Some(Self::LanguageModel(root))
        } else {
            None
        }
    }

    pub(super) fn draft(self, source: &Source<'a>, options: &ConvertOptions) -> Result<Draft> {
        match self {
            Self::LanguageModel(root) => language_model::draft(source, root),
            Self::Tagger(root) => tagger::draft(source, root, options),
        }
    }
}

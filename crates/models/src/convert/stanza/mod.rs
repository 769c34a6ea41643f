//! Models of Stanza (Qi et al., 2020): character language models and taggers of
//! entities. A tagger's language models and word vectors lie in files of their own.

mod language_model;
mod parts;
mod tagger;
mod vocabulary;

use std::path::PathBuf;

use glossator_pickle::Value;

use super::{ConvertOptions, Draft, Source};
use crate::Result;

/// What a checkpoint of Stanza may be.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    LanguageModel(Value<'a>),
    Tagger(Value<'a>),
    /// Word vectors, which are part of a tagger only.
    Vectors(Value<'a>),
}

impl<'a> Kind<'a> {
    /// The kind of what was saved, if it is one of Stanza.
    pub(super) fn of(root: Value<'a>) -> Option<Self> {
        let is_language_model = |root: Value<'_>| {
            ["vocab", "args", "state_dict", "is_forward_lm"]
                .iter()
                .all(|key| root.get(key).is_some())
        };
        let has = |name: &str| root.get(name).is_some();
        // While it is trained, a language model is one part of a checkpoint.
        let inner = root.get("model").filter(|model| is_language_model(*model));
        if is_language_model(root) {
            Some(Self::LanguageModel(root))
        } else if let Some(inner) = inner {
            Some(Self::LanguageModel(inner))
        } else if has("model") && has("vocab") && has("config") {
            Some(Self::Tagger(root))
        } else if has("vocab") && has("emb") {
            Some(Self::Vectors(root))
        } else {
            None
        }
    }

    pub(super) fn draft(self, source: &Source<'a>, options: &ConvertOptions) -> Result<Draft> {
        match self {
            Self::LanguageModel(root) => language_model::draft(source, root),
            Self::Tagger(root) => tagger::draft(source, root, options),
            Self::Vectors(_) => Err(source.problem(
                "it holds word vectors, which are converted with the tagger that reads them \
                 (`--with`)",
            )),
        }
    }

    /// The other files that are needed, as far as they are found.
    pub(super) fn others(self, source: &Source<'a>, options: &ConvertOptions) -> Vec<PathBuf> {
        match self {
            Self::Tagger(root) => parts::files(source, root, options),
            Self::LanguageModel(_) | Self::Vectors(_) => Vec::new(),
        }
    }
}

//! What other toolkits compute otherwise, for models that were made by them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A way in which a model that was made elsewhere computes what this toolkit
/// would not: it was trained so, and gives its own labels only so. A model's
/// `config.json` lists those it has (`quirks`); one trained here has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Quirk {
    /// Any tag may follow any other, whatever the scheme says.
    AnyTransition,
    /// A span goes on until a tag opens another or is `O`; its label is that of
    /// most of its tags, of which an opening one counts 1.1. So `E` closes
    /// nothing, and `S-PER E-LOC` is one span.
    MajoritySpans,
    /// An `I` that nothing precedes is a `B`, one that nothing follows an `E`, and
    /// a `B` or an `E` by itself an `S`; a span has the label of its last tag.
    MendedTags,
    /// Of several equal words in a sentence only the last one has its own
    /// character features; an earlier one, at place `i`, has those of the word
    /// that comes `i`-th when the sentence's words are sorted by length, longest
    /// first.
    RepeatedWords,
    /// The backward half of the character features of a word has read its last
    /// character only.
    LastCharacter,
    /// The memory of pooled embeddings is that of the words of the sentence
    /// itself, and grows no further.
    SentenceMemory,
    /// Places in a text that a language model reads are counted as if lower case
    /// had as many characters, and as if there were at most one space between
    /// two words.
    CountedPlaces,
}

/// The quirks of a model.
pub(crate) type Quirks = BTreeSet<Quirk>;

impl Quirk {
    /// What it means, in a sentence for a model's card.
    pub fn description(self) -> &'static str {
        match self {
            Self::AnyTransition => "any tag may follow any other, also against the tagging scheme",
            Self::MajoritySpans => {
                "spans are read leniently, and labelled by the majority of their tags"
            }
            Self::MendedTags => {
                "tags that do not fit together are mended, and a span has the label of its last tag"
            }
            Self::RepeatedWords => {
                "of equal words in a sentence only the last has its own character features"
            }
            Self::LastCharacter => {
                "the backward half of the character features has read the last character only"
            }
            Self::SentenceMemory => {
                "pooled embeddings remember the words of the same sentence only, as the original \
                 does of the first sentence that it reads"
            }
            Self::CountedPlaces => {
                "places of words are counted in the text as written, with one space between \
                 words, whatever the language model reads"
            }
        }
    }
}

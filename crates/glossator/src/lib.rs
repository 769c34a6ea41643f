//! Labels text with recurrent networks that read characters.
//!
//! ```
//! use glossator::prelude::*;
//!
//! # fn main() -> Result<(), Error> {
//! let tagger = Tagger::load("en-ner")?;
//! let document = tagger.tag("George Washington went to Washington.")?;
//! for span in document.spans() {
//!     println!("{} {} {:.2}", span.text(), span.label(), span.score());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Tagger`] is loaded by name (a built-in model, one of the cache, or a
//! folder) or [from bytes](Tagger::from_bytes), is immutable, and may be shared
//! by threads as it is. Words that are split already are labelled by
//! [`Tagger::tag_tokens`]; whole corpora are read by [`corpus`] and labelled by
//! [`Tagger::tag_sentences`].
//!
//! A [`Translator`] is loaded in the same way and [translates](Translator::translate)
//! text of any length.
//!
//! With the feature `train` (on by default) the same crate trains taggers, from
//! the configuration files of the command line: see [`training`].
#![forbid(unsafe_code)]

pub mod guide;
pub mod prelude;

pub use glossator_models::{
    AttentionKind, BridgeKind, Cancel, ChooseBy, Compute, Constraints, Device, Embedder,
    EmbeddingConfig, Error, Gazetteer, Hypothesis, Isa, LanguageModel, LanguageModelConfig,
    LargePages, LengthPenalty, PairScore, Precision, ReadingDirection, Sampling, SubwordKind,
    SubwordsConfig, TagOptions, Tagger, TaggerConfig, TaggerLayer, TextScore, TextScorer, TiedKind,
    TranslateOptions, TranslateSampling, Translation, TranslationQuality, TranslationScore,
    Translator, TranslatorConfig,
};
pub use glossator_text::{
    Annotation, Dictionary, Document, Label, Layer, Position, Sentence, Sequence, Source, Span,
    SpanRef, corpus, raw, segment, tags,
};

/// Finding and inspecting models.
pub mod models {
    #[cfg(feature = "network")]
    pub use glossator_hub::remote::{
        ENDPOINT, Event, Fetched, Hub, HubOptions, Token, Wanted, fetch,
    };
    pub use glossator_hub::{
        Bundle, Entry, Error, Origin, Repository, Source, SourceFile, SourceKind, Verified,
    };
    pub use glossator_models::kind_of;
}

/// Models of other toolkits: into this one's format, and out of it.
#[cfg(feature = "convert")]
pub mod convert {
    pub use glossator_models::{
        Quirk,
        convert::{Conversion, ConvertOptions, convert, to_flair},
    };
}

/// Errors of the parts, for those who tell them apart.
pub mod errors {
    pub use glossator_hub::Error as ModelError;
    #[cfg(feature = "convert")]
    pub use glossator_models::convert::Error as ConvertError;
    pub use glossator_text::Error as TextError;
    #[cfg(feature = "train")]
    pub use glossator_train::Error as TrainingError;
}

/// Training and scoring.
#[cfg(feature = "train")]
pub mod training {
    pub use glossator_models::{
        CacheConfig, DataConfig, LanguageModelRunConfig, ModelInfo, PairsConfig, RunConfig, Scores,
        TaggerRunConfig, TaskKind, TextConfig, Trained, TrainingRun, TranslatorRunConfig, check,
        train,
    };
    pub use glossator_train::{
        Event, Observer, Progress, RunOptions, Summary, Table, TrainingConfig, files, metric,
    };
}

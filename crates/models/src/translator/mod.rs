//! The recurrent encoder-decoder with attention (Bahdanau et al., 2015; Luong
//! et al., 2015).
//!
//! ```text
//! source -> embeddings -> encoder, both directions --------------.
//!                             | bridge                            |
//! target -> embeddings -> decoder -> attention over the encoder's states
//!                            |            | context
//!                            '-> [upper layers] -> tanh layer -> output
//! ```
//!
//! By default no recurrence goes through the attention (as in Wu et al., 2016):
//! the decoder reads the target alone, so in training every layer is one scan
//! and the attention of all positions is computed at once.

mod config;
mod decode;
mod document;
mod infer;
mod score;
mod subwords;
#[cfg(all(test, feature = "train"))]
mod tests;
#[cfg(feature = "train")]
pub(crate) mod train;

pub use config::{
    AttentionKind, BridgeKind, ChooseBy, SubwordKind, SubwordsConfig, TiedKind, TranslatorConfig,
};
pub(crate) use config::{KIND, TranslatorModel};
pub use decode::{Hypothesis, LengthPenalty, TranslateOptions, TranslateSampling, Translation};
pub use infer::Translator;
pub use score::{PairScore, TranslationQuality, TranslationScore};

//! How a tagger is asked.

use super::Constraints;
use crate::Cancel;

/// Tokens of a batch, unless the caller asks for another number: enough that
/// the weights of a large language model are read once for many sentences.
pub(super) const BATCH_TOKENS: usize = 4096;

/// How sentences are labelled.
#[derive(Clone, Debug)]
pub struct TagOptions {
    /// Tokens of a batch at most (a longer sentence is a batch of its own): changes speed
    /// and memory, never a result.
    pub max_tokens: usize,
    /// Each layer also gets so many of its likeliest label sequences
    /// ([`Layer::sequences`](glossator_text::Layer::sequences)),
    /// the best first, with their exact posterior probabilities. Labels of spans are IOB2
    /// tags.
    pub n_best: usize,
    /// What is known of the labels. Scores are probabilities of what the constraints leave.
    pub constraints: Constraints,
    /// Ends the call from another thread, between batches.
    pub cancel: Cancel,
}

impl Default for TagOptions {
    fn default() -> Self {
        Self {
            max_tokens: BATCH_TOKENS,
            n_best: 0,
            constraints: Constraints::new(),
            cancel: Cancel::new(),
        }
    }
}

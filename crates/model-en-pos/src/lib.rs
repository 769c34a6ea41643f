//! Trained weights of the built-in model `en-pos`: English parts of speech.
//!
//! Its card, with the data, their licences and the scores, is `model/README.md`.
#![forbid(unsafe_code)]

/// Name and content of each file of the model's folder.
pub const FILES: &[(&str, &[u8])] = &[];

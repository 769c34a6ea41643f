//! Trained weights of the built-in model `en-de`: English to German.
//!
//! Its card, with the data, their licences and the scores, is `model/README.md`.
#![forbid(unsafe_code)]

/// Name and content of each file of the model's folder.
pub const FILES: &[(&str, &[u8])] = &[
    ("README.md", include_bytes!("../model/README.md")),
    ("config.json", include_bytes!("../model/config.json")),
    ("model.safetensors", include_bytes!("../model/model.safetensors")),
    ("tokenizer.json", include_bytes!("../model/tokenizer.json")),
];

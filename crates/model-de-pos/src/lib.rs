//! Trained weights of the built-in model `de-pos`: German parts of speech, UPOS.
//!
//! Its card, with the data, their licences and the scores, is `model/README.md`.
#![forbid(unsafe_code)]

/// Name and content of each file of the model's folder.
pub const FILES: &[(&str, &[u8])] = &[
    ("README.md", include_bytes!("../model/README.md")),
    ("config.json", include_bytes!("../model/config.json")),
    ("dictionary-0.json", include_bytes!("../model/dictionary-0.json")),
    ("dictionary-1.json", include_bytes!("../model/dictionary-1.json")),
    ("dictionary-2.json", include_bytes!("../model/dictionary-2.json")),
    ("model.safetensors", include_bytes!("../model/model.safetensors")),
];

//! Trained weights of the built-in models `en-lm-forward` and `en-lm-backward`:
//! English character language models, which the English taggers share.
//!
//! Their cards, with the data, their licences and the scores, are
//! `model/forward/README.md` and `model/backward/README.md`.
#![forbid(unsafe_code)]

/// Name and content of each file of the folder of `en-lm-forward`.
pub const FORWARD: &[(&str, &[u8])] = &[
    ("README.md", include_bytes!("../model/forward/README.md")),
    ("config.json", include_bytes!("../model/forward/config.json")),
    ("dictionary.json", include_bytes!("../model/forward/dictionary.json")),
    ("model.safetensors", include_bytes!("../model/forward/model.safetensors")),
];

/// Name and content of each file of the folder of `en-lm-backward`.
pub const BACKWARD: &[(&str, &[u8])] = &[
    ("README.md", include_bytes!("../model/backward/README.md")),
    ("config.json", include_bytes!("../model/backward/config.json")),
    ("dictionary.json", include_bytes!("../model/backward/dictionary.json")),
    ("model.safetensors", include_bytes!("../model/backward/model.safetensors")),
];

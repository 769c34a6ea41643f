//! Trained weights of the built-in models `en-lm-forward` and `en-lm-backward`:
//! English character language models, which the English taggers share.
//!
//! Their cards, with the data, their licences and the scores, are
//! `model/forward/README.md` and `model/backward/README.md`.
#![forbid(unsafe_code)]

/// Content hash of `en-lm-forward`, so that nobody has to compute it; a test of
/// `glossator-hub` does, and names the hash of changed files.
pub const FORWARD_HASH: &str = "dd157f6ba14d974cdbb534c8a551bce270be7da804ed6a459d620cc0e1658aae";

/// Content hash of `en-lm-backward`.
pub const BACKWARD_HASH: &str = "2723b5fd6b978744b3078ad1203d1b20ed8b3ffc4c691b301596ae6004b150e2";

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

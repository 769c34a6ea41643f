//! Trained weights of the built-in models `en-lm-forward` and `en-lm-backward`:
//! English character language models, which the English taggers share.
//!
//! Their cards, with the data, their licences and the scores, are
//! `model/forward/README.md` and `model/backward/README.md`.
#![forbid(unsafe_code)]

/// Content hash of `en-lm-forward`, so that nobody has to compute it; a test of
/// `glossator-hub` does, and names the hash of changed files.
pub const FORWARD_HASH: &str = "d7e06992fced00748181d631fb1d40d74cdaf5250611f4705db789ab5d286d26";

/// Content hash of `en-lm-backward`.
pub const BACKWARD_HASH: &str = "fa61164300b42ac40eb48b9bc5e64bb353e245a4d115adb8869185ef0f0c3e88";

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

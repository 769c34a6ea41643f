//! Trained weights of the built-in models `de-lm-forward` and `de-lm-backward`:
//! German character language models, which the German taggers share.
//!
//! Their cards, with the data, their licences and the scores, are
//! `model/forward/README.md` and `model/backward/README.md`.
#![forbid(unsafe_code)]

/// Content hash of `de-lm-forward`, so that nobody has to compute it; a test of
/// `glossator-hub` does, and names the hash of changed files.
pub const FORWARD_HASH: &str = "668effd74befdbc67485fd8eb295333aaf4f7f71ff762f753cec504b73490767";

/// Content hash of `de-lm-backward`.
pub const BACKWARD_HASH: &str = "140d3de8f80071c734d4578f31125c92ab293df7d13bc47df776f3dee72b43aa";

/// Name and content of each file of the folder of `de-lm-forward`.
pub const FORWARD: &[(&str, &[u8])] = &[
    ("README.md", include_bytes!("../model/forward/README.md")),
    ("config.json", include_bytes!("../model/forward/config.json")),
    ("dictionary.json", include_bytes!("../model/forward/dictionary.json")),
    ("model.safetensors", include_bytes!("../model/forward/model.safetensors")),
];

/// Name and content of each file of the folder of `de-lm-backward`.
pub const BACKWARD: &[(&str, &[u8])] = &[
    ("README.md", include_bytes!("../model/backward/README.md")),
    ("config.json", include_bytes!("../model/backward/config.json")),
    ("dictionary.json", include_bytes!("../model/backward/dictionary.json")),
    ("model.safetensors", include_bytes!("../model/backward/model.safetensors")),
];

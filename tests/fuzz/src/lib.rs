//! What must hold for any bytes at all, in functions that two programs drive.
//!
//! With [cargo-fuzz](https://crates.io/crates/cargo-fuzz), guided by what the inputs
//! reach:
//!
//! ```text
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz pickle CORPUS tests/fixtures/pickle
//! ```
//!
//! and with any compiler, blindly, for so many seconds and from a seed:
//!
//! ```text
//! cd tests/fuzz
//! cargo run --release --no-default-features --bin mutate -- pickle 600 1 ../fixtures/pickle
//! ```
//!
//! Files to begin with: `tests/fixtures/pickle` and `tests/fixtures/flair` for `pickle` and
//! `checkpoint`, `corpora` for `corpus` and `segment`, files of `gloss init` for
//! `configuration`, small files of vectors (text, `.bin`, `.fifu`) for `vectors`, an archive
//! (`tar`) of a small model's folder for `model`.
//!
//! Both say which input fails; it becomes a named test.
#![forbid(unsafe_code)]

mod models;
mod pickles;
mod texts;

pub use models::{configuration, model, vectors};
pub use pickles::{checkpoint, pickle};
pub use texts::{corpus, segment};

/// A function and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("pickle", pickle),
    ("checkpoint", checkpoint),
    ("vectors", vectors),
    ("corpus", corpus),
    ("segment", segment),
    ("configuration", configuration),
    ("model", model),
];

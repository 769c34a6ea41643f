//! Where models come from, and how they lie on a disk.
//!
//! The decision this crate embodies: **a model is a folder of plain files**,
//! `config.json`, `*.safetensors`, dictionaries and a card. A [`Bundle`] is such
//! a folder, whether it lies on a disk, in memory as an archive, or inside the
//! program; nothing in it is ever executed, and what is read is checked for its
//! kind, version and size; that values are finite is checked where layers take
//! them. A tagger's folder holds its language models too, each in a folder named
//! after its [content hash](Bundle::content_hash), which is checked as well.
//!
//! A model of the cache may have come from a hub (`remote`, feature `network`):
//! its [`Source`] says from where, and the hash of every file. Nothing else in
//! this crate opens a connection.
#![forbid(unsafe_code)]

mod builtin;
mod bundle;
mod cache;
mod error;
#[cfg(feature = "network")]
pub mod remote;
mod repository;
mod tensors;

pub use bundle::{Bundle, FORMAT};
pub use cache::{Source, SourceFile, SourceKind, Verified};
pub use error::Error;
pub use repository::{Entry, Origin, Repository};
pub use tensors::{
    StoredPrecision, StoredTensor, Tensor, TensorWriter, read_tensors, write_tensors,
};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

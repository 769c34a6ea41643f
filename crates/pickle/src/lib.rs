//! Python pickles and PyTorch checkpoints, read as data.
//!
//! The decision this crate embodies: **a pickle is a program, and is not run**.
//! Its instructions are followed as far as they build values; where they would
//! call something, an [object](Kind::Object) is noted with the name of what would
//! have been called and its arguments. All values of a [`Pickle`] lie in one list,
//! and refer to each other by place, so that values may be shared and may hold
//! themselves; nothing here recurses. Memory grows with what is really in the
//! file, never with what it says.
//!
//! Checkpoints are [written](write_checkpoint), too.
#![forbid(unsafe_code)]

mod checkpoint;
mod error;
mod escape;
mod input;
mod limits;
mod number;
mod read;
mod value;
mod write;

pub use checkpoint::{Array, Checkpoint, Dtype, TensorRef};
pub use error::Error;
pub use limits::Limits;
pub use value::{Kind, Pickle, Value};
pub use write::{Item, write_checkpoint};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;

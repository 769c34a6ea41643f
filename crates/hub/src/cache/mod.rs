//! What lies in the cache beside the files of models: where they came from, and
//! what is on its way.

mod place;
mod remove;
mod source;
mod verify;

#[cfg(feature = "network")]
pub(crate) use place::check_name;
pub(crate) use place::{CONVERTED, Place, is_plain, remove_all};
pub use source::{Source, SourceFile, SourceKind};
pub use verify::Verified;

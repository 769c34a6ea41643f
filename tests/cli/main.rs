//! The program as a user runs it: the binary, in an empty folder.

mod bench;
mod check;
mod convert;
mod corpus;
mod device;
mod distance;
mod embed;
mod eval;
mod failures;
#[cfg(feature = "network")]
mod fetch;
mod folder;
mod formats;
mod help;
mod init;
mod language_models;
mod models;
mod odd;
mod resume;
#[cfg(feature = "network")]
#[expect(dead_code, reason = "the tests of the library use more of it")]
#[path = "../hub/server.rs"]
mod server;
mod streams;
mod tag;
mod train;
mod translate;

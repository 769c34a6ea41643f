//! The program as a user runs it: the binary, in an empty folder.

mod bench;
mod check;
mod corpus;
mod device;
mod distance;
mod embed;
mod eval;
mod failures;
mod folder;
mod formats;
mod help;
mod init;
mod language_models;
mod models;
mod resume;
mod streams;
mod tag;
mod train;
mod translate;

//! The program as a user runs it: the binary, in an empty folder.

mod check;
mod corpus;
mod eval;
mod failures;
mod folder;
mod formats;
mod help;
mod init;
mod models;
mod resume;
mod streams;
mod tag;
mod train;

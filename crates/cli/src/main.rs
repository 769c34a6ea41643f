//! `gloss`: tags text and trains taggers.
//!
//! The decision this program embodies: **a verb parses, calls the facade and
//! prints**. It never holds a tensor; data goes to standard output, everything
//! else to standard error, and every failure has a code that a script can use.
#![forbid(unsafe_code)]

mod args;
#[cfg(not(feature = "cuda"))]
mod companion;
mod compute;
mod device;
mod exit;
mod input;
mod log;
mod output;
mod scores;
mod signals;
mod unknown;
mod verbs;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::{args::Args, log::Log};

/// Models are large.
#[global_allocator]
static ALLOCATOR: glossator::LargePages = glossator::LargePages;

fn main() -> ExitCode {
    let color = args::color_of(std::env::args_os());
    let matches = Args::command().color(color).try_get_matches();
    let args = match matches.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => args,
        Err(error) => {
            // Nobody reads the help; that is no failure.
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE } else { exit::DONE }.into();
        }
    };
    let log = match Log::new(&args.messages, std::env::var("GLOSSATOR_LOG").ok().as_deref()) {
        Ok(log) => log,
        Err(error) => return exit::report(&Log::default(), &error).into(),
    };
    let code = args.verb.run(log).unwrap_or_else(|error| exit::report(&log, &error));
    code.into()
}

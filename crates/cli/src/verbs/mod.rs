//! The verbs, one file each.

mod bench;
mod check;
mod completions;
mod convert;
mod embed;
mod eval;
#[cfg(feature = "network")]
mod fetch;
mod generate;
mod init;
mod models;
mod tag;
mod train;
mod translate;

use clap::Subcommand;

use crate::log::Log;

/// What is to be done.
#[derive(Subcommand)]
pub enum Verb {
    Tag(tag::Args),
    Embed(embed::Args),
    Train(train::Args),
    Eval(eval::Args),
    Translate(translate::Args),
    Generate(generate::Args),
    Init(init::Args),
    Check(check::Args),
    Convert(convert::Args),
    #[cfg(feature = "network")]
    Fetch(fetch::Args),
    Models(models::Args),
    Bench(bench::Args),
    Completions(completions::Args),
}

impl Verb {
    /// Does it, and returns the exit code.
    ///
    /// # Errors
    /// If it cannot be done.
    pub fn run(self, log: Log) -> anyhow::Result<u8> {
        match self {
            Verb::Tag(args) => tag::run(&args, log),
            Verb::Embed(args) => embed::run(&args, log),
            Verb::Train(args) => train::run(&args, log),
            Verb::Eval(args) => eval::run(&args, log),
            Verb::Translate(args) => translate::run(&args, log),
            Verb::Generate(args) => generate::run(&args, log),
            Verb::Init(args) => init::run(&args),
            Verb::Check(args) => check::run(&args, log),
            Verb::Convert(args) => convert::run(&args, log),
            #[cfg(feature = "network")]
            Verb::Fetch(args) => fetch::run(&args, log),
            Verb::Models(args) => models::run(&args, log),
            Verb::Bench(args) => bench::run(&args, log),
            Verb::Completions(args) => completions::run(&args),
        }
    }
}

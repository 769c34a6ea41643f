//! The verbs, one file each.

mod bench;
mod check;
mod completions;
mod embed;
mod eval;
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
            Verb::Models(args) => models::run(&args),
            Verb::Bench(args) => bench::run(&args, log),
            Verb::Completions(args) => completions::run(&args),
        }
    }
}

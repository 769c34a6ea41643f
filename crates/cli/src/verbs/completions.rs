//! `gloss completions`: completions for shells, and the manual page.

use std::io;

use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use glossator::errors::TextError;

use crate::{args, exit::DONE, output};

const EXAMPLES: &str = "\
Examples:
  gloss completions bash > ~/.local/share/bash-completion/completions/gloss
  gloss completions zsh > ~/.zfunc/_gloss
  gloss completions fish > ~/.config/fish/completions/gloss.fish
  gloss completions man > ~/.local/share/man/man1/gloss.1";

/// Print completions for a shell, or the manual page
#[derive(clap::Args)]
#[command(help_template = args::HELP, before_help = EXAMPLES)]
pub struct Args {
    /// What to print
    #[arg(value_name = "WHAT")]
    what: What,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Man,
}

pub fn run(args: &Args) -> anyhow::Result<u8> {
    let shell = match args.what {
        What::Bash => Some(Shell::Bash),
        What::Zsh => Some(Shell::Zsh),
        What::Fish => Some(Shell::Fish),
        What::PowerShell => Some(Shell::PowerShell),
        What::Man => None,
    };
    let mut command = args::Args::command();
    let mut text = Vec::new();
    match shell {
        Some(shell) => generate(shell, &mut command, "gloss", &mut text),
        None => manual(command, &mut text).map_err(|source| TextError::Write { source })?,
    }
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(DONE)
}

/// One page for the program and all its verbs.
fn manual(mut command: Command, to: &mut Vec<u8>) -> io::Result<()> {
    command.build();
    let verbs: Vec<Command> =
        command.get_subcommands().filter(|verb| verb.get_name() != "help").cloned().collect();
    let page = Man::new(command);
    page.render_title(to)?;
    page.render_name_section(to)?;
    page.render_synopsis_section(to)?;
    page.render_description_section(to)?;
    page.render_extra_section(to)?;
    for verb in verbs {
        to.extend_from_slice(format!(".SH GLOSS {}\n", verb.get_name().to_uppercase()).as_bytes());
        let page = Man::new(verb);
        page.render_description_section(to)?;
        page.render_synopsis_section(to)?;
        page.render_options_section(to)?;
    }
    Ok(())
}

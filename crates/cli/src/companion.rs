//! The program that computes on GPUs, in the place of this one.
//!
//! What is linked with CUDA cannot even start where NVIDIA's driver is missing. So
//! the program everybody has is linked without it, and hands over to one that is,
//! `gloss-cuda` in the same folder, when it is asked for a GPU.

use std::{
    env, io,
    path::PathBuf,
    process::{Command, ExitStatus},
};

use crate::exit::Usage;

const NAME: &str = "gloss-cuda";

/// Runs `gloss-cuda` with the arguments of this program, and ends with it.
///
/// # Errors
/// If there is no such program, or it cannot run here.
pub fn hand_over() -> Result<std::convert::Infallible, Usage> {
    let found = find();
    let Some(program) = found else {
        let problem = format!(
            "this program is built without CUDA, and there is no {NAME} in its folder; leave --device out, or say --device cpu"
        );
        return Err(Usage(problem));
    };
    if let Some(problem) = trouble(Command::new(&program).arg("--version").output()) {
        let program = program.display();
        return Err(Usage(format!(
            "{program} cannot run here: {problem}; it needs NVIDIA's driver and the libraries of CUDA 13; say --device cpu to do without"
        )));
    }
    let mut command = Command::new(&program);
    command.args(env::args_os().skip(1));
    let error = replace(command);
    Err(Usage(format!("{} cannot be run: {error}", program.display())))
}

/// Where the program should be.
fn find() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let path = own.with_file_name(format!("{NAME}{}", env::consts::EXE_SUFFIX));
    // Never itself, by whatever name.
    (path != own && path.is_file()).then_some(path)
}

/// Why a trial went wrong, if it did.
fn trouble(trial: io::Result<std::process::Output>) -> Option<String> {
    match trial {
        Err(error) => Some(error.to_string()),
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let line = text.lines().find(|line| !line.trim().is_empty());
            Some(line.map_or_else(|| described(output.status), str::to_owned))
        }
    }
}

fn described(status: ExitStatus) -> String {
    format!("it ends with {status}")
}

/// Runs a command in the place of this process; returns why it could not.
#[cfg(unix)]
fn replace(mut command: Command) -> io::Error {
    std::os::unix::process::CommandExt::exec(&mut command)
}

/// Runs a command and ends as it does; returns why it could not.
#[cfg(not(unix))]
fn replace(mut command: Command) -> io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

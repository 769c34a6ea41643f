//! Threads of the tensor library.

/// Starts this program once more, in the place of this process, so that Candle's
/// own threads are as many as are asked for: their number is read from the
/// environment alone. Whoever set it there decides. It never returns, unless
/// there is nothing to do or that is not possible; then training takes more
/// threads, and the same result comes of it.
#[cfg(unix)]
pub fn with_threads(threads: Option<u16>) {
    use std::{env, os::unix::process::CommandExt, process::Command};

    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    let Some(threads) = threads.filter(|_| env::var_os(VARIABLE).is_none()) else { return };
    let Ok(program) = env::current_exe() else { return };
    let mut args = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    let _ = command.args(args).env(VARIABLE, threads.to_string()).exec();
}

/// Elsewhere a process cannot be replaced.
#[cfg(not(unix))]
pub fn with_threads(_threads: Option<u16>) {}

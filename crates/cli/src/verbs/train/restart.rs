//! What libraries read from the environment alone.

/// Starts this program once more, in the place of this process, with settings
/// of libraries in its environment: the number of Candle's own threads, if one
/// is asked for, that the allocator keeps large blocks for the next step rather
/// than give them back (a sixth of the time of a training), and that it asks
/// for large pages (a tenth of the time of the products of 1024 units). Whoever
/// set one of them there decides. It never returns, unless there is nothing to do
/// or that is not possible; then training is slower, and the same result comes
/// of it.
#[cfg(unix)]
pub fn with_environment(threads: Option<u16>) {
    use std::{env, os::unix::process::CommandExt, process::Command};

    let wanted = [
        ("CANDLE_NUM_THREADS", threads.map(|threads| threads.to_string())),
        ("MALLOC_MMAP_THRESHOLD_", Some((1_u32 << 30).to_string())),
        ("MALLOC_TRIM_THRESHOLD_", Some((1_u64 << 33).to_string())),
        ("GLIBC_TUNABLES", Some("glibc.malloc.hugetlb=1".to_owned())),
    ];
    let mut missing = wanted
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .filter(|(name, _)| env::var_os(name).is_none())
        .peekable();
    if missing.peek().is_none() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut args = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    let _ = command.args(args).envs(missing).exec();
}

/// Elsewhere a process cannot be replaced.
#[cfg(not(unix))]
pub fn with_environment(_threads: Option<u16>) {}

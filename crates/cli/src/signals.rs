//! Interruption from outside: Ctrl-C, or a request to end.

/// Calls `first` at the first SIGINT or SIGTERM with the exit code that stands
/// for it, 130 or 143; the second ends the program at once.
///
/// # Errors
/// If the system refuses to tell of signals.
#[cfg(unix)]
pub fn watch(first: impl FnOnce(u8) + Send + 'static) -> std::io::Result<()> {
    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        iterator::Signals,
    };
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        let mut codes = signals.forever().map(|signal| if signal == SIGINT { 130 } else { 143 });
        if let Some(code) = codes.next() {
            first(code);
        }
        if let Some(code) = codes.next() {
            std::process::exit(code.into());
        }
    });
    Ok(())
}

/// Elsewhere an interruption ends the program at once.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn watch(_first: impl FnOnce(u8) + Send + 'static) -> std::io::Result<()> {
    Ok(())
}

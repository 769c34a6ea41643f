//! One line about the present epoch.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use super::{Event, Observer};
use crate::Result;

/// Shows how far the epoch is: on a terminal one line that is drawn anew, else
/// a line every 30 seconds. Belongs before the [`Table`](super::Table), so that
/// the line is gone when a row is printed.
#[derive(Debug)]
pub struct Progress<W> {
    to: W,
    terminal: bool,
    every: Duration,
    shown: Instant,
    drawn: bool,
}

impl Progress<io::Stderr> {
    /// Progress on standard error.
    pub fn stderr() -> Self {
        Self::new(io::stderr(), io::stderr().is_terminal())
    }
}

impl<W: Write> Progress<W> {
    /// Progress on `to`; `terminal`: whether a line can be drawn anew.
    pub fn new(to: W, terminal: bool) -> Self {
        let every = Duration::from_millis(if terminal { 100 } else { 30_000 });
        Self { to, terminal, every, shown: Instant::now(), drawn: false }
    }

    /// Writes without caring whether anybody reads.
    fn show(&mut self, line: &str) {
        let (start, end) = if self.terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        let _ = write!(self.to, "{start}{line}{end}");
        let _ = self.to.flush();
    }
}

impl<W: Write> Observer for Progress<W> {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        let Some(line) = line(event) else {
            if std::mem::take(&mut self.drawn) {
                self.show("");
            }
            return Ok(());
        };
        if self.shown.elapsed() >= self.every {
            self.shown = Instant::now();
            self.drawn = self.terminal;
            self.show(&line);
        }
        Ok(())
    }
}

fn line(event: &Event<'_>) -> Option<String> {
    let Event::Step { epoch, step, steps, loss, tokens_per_second, eta_seconds, .. } = event else {
        return None;
    };
    let left = eta_seconds.clamp(0.0, 1e9) as u64;
    let (hours, minutes, seconds) = (left / 3600, left / 60 % 60, left % 60);
    Some(format!(
        "epoch {epoch}  {step}/{steps}  loss {loss:.4}  {tokens_per_second:.0} words/s  \
         {hours}:{minutes:02}:{seconds:02} left"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Event<'static> = Event::Step {
        epoch: 2,
        step: 3,
        steps: 40,
        loss: 0.5,
        learning_rate: 0.1,
        grad_norm: 1.0,
        tokens_per_second: 99.6,
        eta_seconds: 3725.0,
    };
    const LINE: &str = "epoch 2  3/40  loss 0.5000  100 words/s  1:02:05 left";

    fn shown(terminal: bool, every: Duration) -> String {
        let mut out = Vec::new();
        let mut progress = Progress { every, ..Progress::new(&mut out, terminal) };
        progress.event(&STEP).unwrap();
        progress.event(&Event::Checkpoint { epoch: 2, step: 3 }).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_terminal_line_is_drawn_and_removed() {
        assert_eq!(shown(true, Duration::ZERO), format!("\r\x1b[K{LINE}\r\x1b[K"));
    }

    #[test]
    fn elsewhere_lines_are_whole_and_rare() {
        assert_eq!(shown(false, Duration::ZERO), format!("{LINE}\n"));
        assert_eq!(shown(false, Duration::from_secs(3600)), "");
    }
}

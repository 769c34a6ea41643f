//! How far the present epoch is.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Event, Observer};
use crate::Result;

/// Time between two lines where no bar can be drawn.
const EVERY: Duration = Duration::from_secs(30);

/// Shows how far the epoch is: a bar on a terminal, else a line every 30
/// seconds. Belongs before the [`Table`](super::Table), so that the bar is gone
/// when a row is printed.
#[derive(Debug)]
pub struct Progress<W> {
    bar: ProgressBar,
    /// Where lines go if there is no bar.
    to: W,
    every: Duration,
    shown: Instant,
    /// What the speed counts.
    unit: &'static str,
}

impl Progress<io::Stderr> {
    /// Progress on standard error.
    pub fn stderr() -> Self {
        Self::new(ProgressDrawTarget::stderr(), io::stderr(), EVERY)
    }
}

impl<W: Write> Progress<W> {
    fn new(target: ProgressDrawTarget, to: W, every: Duration) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
            bar.set_style(style);
        }
        Self { bar, to, every, shown: Instant::now(), unit: "words" }
    }
}

impl<W: Write> Observer for Progress<W> {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        if let Event::Started { unit, .. } = *event {
            self.unit = unit;
        }
        let Event::Step { step, steps, .. } = *event else {
            self.bar.finish_and_clear();
            return Ok(());
        };
        if !self.bar.is_hidden() {
            if self.bar.is_finished() {
                self.bar.reset();
            }
            self.bar.set_length(steps as u64);
            self.bar.set_position(step as u64);
            self.bar.set_message(line(event, self.unit));
        } else if self.shown.elapsed() >= self.every {
            self.shown = Instant::now();
            // Nobody may be reading.
            let _ = writeln!(self.to, "{}", line(event, self.unit));
        }
        Ok(())
    }
}

fn line(event: &Event<'_>, unit: &str) -> String {
    let Event::Step { epoch, step, steps, loss, tokens_per_second, eta_seconds, .. } = event else {
        return String::new();
    };
    let left = eta_seconds.clamp(0.0, 1e9) as u64;
    let (hours, minutes, seconds) = (left / 3600, left / 60 % 60, left % 60);
    format!(
        "epoch {epoch}  {step}/{steps}  loss {loss:.4}  {tokens_per_second:.0} {unit}/s  \
         {hours}:{minutes:02}:{seconds:02} left of the epoch"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, TermLike as _};

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
    const LINE: &str = "epoch 2  3/40  loss 0.5000  100 words/s  1:02:05 left of the epoch";

    #[test]
    fn a_terminal_shows_a_bar_and_clears_it() {
        let terminal = InMemoryTerm::new(10, 90);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let mut progress = Progress::new(target, Vec::new(), EVERY);
        progress.event(&STEP).unwrap();
        assert!(terminal.contents().ends_with(LINE), "{}", terminal.contents());
        progress.event(&Event::Checkpoint { epoch: 2, step: 3 }).unwrap();
        assert_eq!(terminal.contents(), "");
        progress.event(&STEP).unwrap();
        assert!(terminal.contents().ends_with(LINE), "{}", terminal.contents());
    }

    #[test]
    fn elsewhere_lines_are_whole_and_rare() {
        let shown = |every| {
            let mut out = Vec::new();
            let mut progress = Progress::new(ProgressDrawTarget::hidden(), &mut out, every);
            progress.event(&STEP).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(Duration::ZERO), format!("{LINE}\n"));
        assert_eq!(shown(EVERY), "");
    }

    #[test]
    fn rows_between_the_steps_of_an_epoch_stay_and_the_unit_is_the_tasks() {
        let terminal = InMemoryTerm::new(10, 90);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let mut progress = Progress::new(target, Vec::new(), EVERY);
        let config = crate::TrainingConfig::default();
        let started = Event::Started {
            parameters: 1,
            tensors: 1,
            seed: 1,
            resumed: false,
            epoch: 1,
            step: 0,
            unit: "chars",
            config: &config,
        };
        let evaluated = Event::Evaluated {
            epoch: 2,
            step: 43,
            train_loss: 0.5,
            learning_rate: 0.1,
            score: 1.0,
            loss: None,
            metrics: &[],
            sample: None,
            best: true,
            bad_epochs: 0,
            tokens_per_second: 1.0,
            seconds: 1.0,
        };
        progress.event(&started).unwrap();
        for row in ["first row", "second row"] {
            progress.event(&STEP).unwrap();
            progress.event(&evaluated).unwrap();
            assert!(!terminal.contents().contains("epoch 2"), "{}", terminal.contents());
            terminal.write_line(row).unwrap();
            progress.event(&Event::Best { epoch: 2, step: 43, score: 1.0 }).unwrap();
            progress.event(&Event::Checkpoint { epoch: 2, step: 43 }).unwrap();
        }
        progress.event(&STEP).unwrap();
        let contents = terminal.contents();
        let lines: Vec<&str> = contents.lines().collect();
        assert_eq!(lines[..2], ["first row", "second row"]);
        assert!(
            lines.len() == 3 && lines[2].ends_with(&LINE.replace("words", "chars")),
            "{lines:?}"
        );
    }
}

//! The table of a run: one row per evaluation.

use std::io::{self, Write};

use super::{Event, Observer};
use crate::Result;

/// Prints a row of fixed-width columns for each evaluation; `*` marks a new
/// best model. There is a column of steps if there are evaluations within
/// epochs. Rates (metrics with `/` in their names, as `bits/char`) have four
/// decimals, other metrics two. Where nothing can be printed, the run goes on
/// without.
#[derive(Debug)]
pub struct Table<W> {
    to: W,
    headed: bool,
    /// Whether epochs do not tell the rows apart.
    by_step: bool,
    /// What the speed counts.
    unit: &'static str,
}

impl Table<io::Stderr> {
    /// A table on standard error.
    pub fn stderr() -> Self {
        Self::new(io::stderr())
    }
}

impl<W: Write> Table<W> {
    /// A table on `to`.
    pub fn new(to: W) -> Self {
        Self { to, headed: false, by_step: false, unit: "words" }
    }
}

/// Title and text.
type Column = (String, String);

/// The columns, and whether the model is the best; of evaluations only.
fn columns(event: &Event<'_>, by_step: bool, unit: &str) -> Option<(Vec<Column>, bool)> {
    let Event::Evaluated {
        epoch,
        step,
        train_loss,
        learning_rate,
        score,
        loss,
        metrics,
        best,
        tokens_per_second,
        seconds,
        ..
    } = event
    else {
        return None;
    };
    let loss = loss.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.4}"));
    let mut columns = vec![("epoch".to_owned(), epoch.to_string())];
    if by_step {
        columns.push(("step".to_owned(), step.to_string()));
    }
    columns
        .extend([("loss".to_owned(), format!("{train_loss:.4}")), ("dev loss".to_owned(), loss)]);
    if metrics.is_empty() {
        columns.push(("score".to_owned(), format!("{score:.2}")));
    }
    let decimals = |name: &str| if name.contains('/') { 4 } else { 2 };
    let text = |name: &str, value: f64| format!("{value:.0$}", decimals(name));
    columns.extend(metrics.iter().map(|(name, value)| (name.clone(), text(name, *value))));
    columns.extend([
        ("rate".to_owned(), format!("{learning_rate:.6}")),
        (format!("{unit}/s"), format!("{tokens_per_second:.0}")),
        ("seconds".to_owned(), format!("{seconds:.0}")),
    ]);
    Some((columns, *best))
}

/// Norms at the distances 0, 1, 10, 100, … and the greatest one.
fn distances(norms: &[f64]) -> String {
    let powers = std::iter::successors(Some(1_usize), |power| power.checked_mul(10));
    let last = norms.len().saturating_sub(1);
    let shown = std::iter::once(0).chain(powers.take_while(|power| *power < last));
    let shown = shown.chain((last > 0).then_some(last));
    let text = |at: usize| Some(format!("{:.1e} at {at}", norms.get(at)?));
    shown.filter_map(text).collect::<Vec<_>>().join(", ")
}

impl<W: Write> Observer for Table<W> {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        if let Event::Started { unit, config, .. } = *event {
            (self.unit, self.by_step) = (unit, config.evaluate_every > 0);
        }
        if let Event::GradientFlow { layers, .. } = event {
            for (number, norms) in layers.iter().enumerate() {
                let _ = writeln!(self.to, "      gradient, layer {number}: {}", distances(norms));
            }
            let _ = self.to.flush();
        }
        let Some((columns, best)) = columns(event, self.by_step, self.unit) else {
            return Ok(());
        };
        let line = |part: fn(&Column) -> &str| {
            let cell =
                |column| format!("{:>1$}", part(column), column.0.chars().count().max(8) + 2);
            columns.iter().map(cell).collect::<String>()
        };
        // A closed standard error is no reason to end a run.
        if !self.headed {
            self.headed = true;
            let _ = writeln!(self.to, "{}", line(|column| &column.0));
        }
        let mark = if best { " *" } else { "" };
        let _ = writeln!(self.to, "{}{mark}", line(|column| &column.1));
        if let Event::Evaluated { sample: Some(sample), .. } = event {
            let _ = writeln!(self.to, "      {}", sample.escape_debug());
        }
        let _ = self.to.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainingConfig;

    #[test]
    fn columns_are_aligned_and_the_best_is_marked() {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out);
        let metrics = [("accuracy".to_owned(), 91.256), ("span precision".to_owned(), 8.0)];
        for (epoch, best) in [(9, true), (10, false)] {
            let event = Event::Evaluated {
                epoch,
                step: 7,
                train_loss: 1.25,
                learning_rate: 0.1,
                score: 8.0,
                loss: None,
                metrics: &metrics,
                sample: None,
                best,
                bad_epochs: 0,
                tokens_per_second: 1234.5,
                seconds: 61.0,
            };
            table.event(&event).unwrap();
        }
        table.event(&Event::Best { epoch: 9, step: 7, score: 8.0 }).unwrap();
        let want =
            "     epoch      loss  dev loss  accuracy  span precision      rate   words/s   seconds
         9    1.2500         -     91.26            8.00  0.100000      1234        61 *
        10    1.2500         -     91.26            8.00  0.100000      1234        61
";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn evaluations_within_epochs_are_told_apart_and_rates_are_exact() {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out);
        let config = TrainingConfig { evaluate_every: 500, ..TrainingConfig::default() };
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
        table.event(&started).unwrap();
        let metrics = [("bits/char".to_owned(), 1.23456), ("accuracy".to_owned(), 1.23456)];
        let event = Event::Evaluated {
            epoch: 1,
            step: 1500,
            train_loss: 1.25,
            learning_rate: 0.1,
            score: 8.0,
            loss: Some(0.855),
            metrics: &metrics,
            sample: None,
            best: true,
            bad_epochs: 0,
            tokens_per_second: 123_456.0,
            seconds: 61.0,
        };
        table.event(&event).unwrap();
        let want =
            "     epoch      step      loss  dev loss  bits/char  accuracy      rate   chars/s   seconds
         1      1500    1.2500    0.8550     1.2346      1.23  0.100000    123456        61 *
";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn gradients_are_shown_at_a_few_distances() {
        let mut out = Vec::new();
        let norms: Vec<f64> = (0..=120).map(|at| 1.0 / f64::from(1 << (at / 10))).collect();
        let layers = [norms, vec![0.5], vec![1.0, 2.0]];
        let event = Event::GradientFlow { epoch: 1, step: 7, layers: &layers };
        Table::new(&mut out).event(&event).unwrap();
        let want = "      gradient, layer 0: 1.0e0 at 0, 1.0e0 at 1, 5.0e-1 at 10, 9.8e-4 at 100, 2.4e-4 at 120
      gradient, layer 1: 5.0e-1 at 0
      gradient, layer 2: 1.0e0 at 0, 2.0e0 at 1
";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn a_sample_stands_below_its_row_on_one_line() {
        let mut out = Vec::new();
        let event = Event::Evaluated {
            epoch: 1,
            step: 7,
            train_loss: 1.25,
            learning_rate: 0.1,
            score: 8.0,
            loss: None,
            metrics: &[],
            sample: Some("once\nupon"),
            best: true,
            bad_epochs: 0,
            tokens_per_second: 1.0,
            seconds: 1.0,
        };
        Table::new(&mut out).event(&event).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.lines().last(), Some("      once\\nupon"));
    }
}

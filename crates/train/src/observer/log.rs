//! The log of a run: one JSON object per event.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;

use super::{Event, Observer};
use crate::{Error, Result};

/// Step events per epoch that are written at most.
const STEPS: usize = 100;

/// Writes events to a file as they come, one JSON object a line, with `time`:
/// seconds since the start of the run. Of the steps of an epoch, about a
/// hundred are written, evenly spread.
#[derive(Debug)]
pub struct JsonLog {
    path: PathBuf,
    file: File,
    length: u64,
    started: Instant,
    earlier: f64,
}

#[derive(Serialize)]
struct Line<'a> {
    time: f64,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

impl JsonLog {
    /// Opens the log at `path` to go on after its first `length` bytes; what
    /// follows them is removed. Of a log that has become shorter, all whole
    /// lines are kept. `earlier`: seconds that the run took so far.
    ///
    /// # Errors
    /// If the file cannot be opened, read or written.
    pub fn open(path: &Path, length: u64, earlier: f64) -> Result<Self> {
        let (file, length) = open(path, length).map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), file, length, started: Instant::now(), earlier })
    }

    /// Length of the log, in bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Waits until all is on the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io(&self.path))
    }
}

/// The file, cut, and the length that is left.
fn open(path: &Path, length: u64) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(false).read(true).write(true).open(path)?;
    let kept = match file.metadata()?.len() < length {
        true => whole_lines(&mut file)?,
        false => length,
    };
    file.set_len(kept)?;
    file.seek(SeekFrom::End(0))?;
    Ok((file, kept))
}

/// Length of all lines that have an end.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    Ok(end.map_or(0, |end| end as u64 + 1))
}

impl Observer for JsonLog {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        if let Event::Step { step, steps, .. } = event
            && step % steps.div_ceil(STEPS) != 0
        {
            return Ok(());
        }
        let time = self.earlier + self.started.elapsed().as_secs_f64();
        let time = (time * 1e3).round() / 1e3;
        let mut line = serde_json::to_vec(&Line { time, event })?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(Error::io(&self.path))?;
        self.length += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_are_objects_and_a_cut_removes_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let mut log = JsonLog::open(&path, 0, 0.0).unwrap();
        log.event(&Event::Best { epoch: 1, step: 4, score: 50.0 }).unwrap();
        let kept = log.len();
        log.event(&Event::Best { epoch: 2, step: 8, score: f64::NAN }).unwrap();

        let mut log = JsonLog::open(&path, kept, 1000.0).unwrap();
        let metrics = [("f1".to_owned(), 12.5)];
        log.event(&Event::Evaluated {
            epoch: 2,
            step: 20,
            train_loss: 0.5,
            learning_rate: 0.1,
            score: 12.5,
            loss: None,
            metrics: &metrics,
            sample: None,
            best: false,
            bad_epochs: 1,
            tokens_per_second: 10.0,
            seconds: 3.0,
        })
        .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len() as u64, log.len());
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["event"], "best");
        assert_eq!(lines[1]["metrics"]["f1"], 12.5);
        assert!(lines[1]["time"].as_f64().unwrap() >= 1000.0);
    }

    #[test]
    fn a_shortened_log_keeps_its_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        for (text, kept) in [("{}\n{\"a\":1}\n{\"cut", "{}\n{\"a\":1}\n"), ("{\"cut", ""), ("", "")]
        {
            fs::write(&path, text).unwrap();
            let mut log = JsonLog::open(&path, 1 << 20, 0.0).unwrap();
            assert_eq!(log.len(), kept.len() as u64);
            log.event(&Event::Best { epoch: 1, step: 4, score: 50.0 }).unwrap();
            let found = fs::read_to_string(&path).unwrap();
            assert!(found.starts_with(&format!("{kept}{{\"time\"")), "{found}");
        }
        fs::remove_file(&path).unwrap();
        assert!(JsonLog::open(&path, 1, 0.0).unwrap().is_empty());
    }

    #[test]
    fn steps_are_thinned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let mut log = JsonLog::open(&path, 0, 0.0).unwrap();
        for step in 1..=1000 {
            log.event(&Event::Step {
                epoch: 1,
                step,
                steps: 1000,
                loss: 1.0,
                learning_rate: 0.1,
                grad_norm: 1.0,
                tokens_per_second: 1.0,
                eta_seconds: 1.0,
            })
            .unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 100);
        assert!(text.lines().last().unwrap().contains("\"step\":1000"));
    }
}

//! Sentences of files and of standard input, read ahead by a thread.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use glossator::{
    Sentence,
    corpus::{self, ReadOptions, Warnings},
    errors::TextError,
};

use crate::{
    exit::Usage,
    log::{Log, counted},
};

/// Sentences read ahead at most.
const AHEAD: usize = 1024;
/// How long a window that is begun waits for more, so that what comes slowly
/// is labelled as it comes.
const PATIENCE: Duration = Duration::from_millis(20);
/// Bytes of text that count as one token at least: a token may be long.
const BYTES_A_TOKEN: usize = 16;

/// What the reading thread tells.
enum Item {
    Sentence(Sentence),
    EndOfFile(Warnings),
}

/// The sentences of some files, in order, in windows of bounded size.
pub struct Input {
    items: Receiver<Result<Item, TextError>>,
    reader: Option<JoinHandle<()>>,
    error: Option<TextError>,
    lossy: usize,
    forced_breaks: usize,
}

impl Input {
    /// Starts to read; no file at all, or `-`, is standard input.
    pub fn open(files: &[PathBuf], options: ReadOptions) -> Self {
        let mut files = files.to_vec();
        if files.is_empty() {
            files.push(PathBuf::from("-"));
        }
        let (sender, items) = sync_channel(AHEAD);
        let reader = Some(std::thread::spawn(move || read_all(&files, &options, &sender)));
        Self { items, reader, error: None, lossy: 0, forced_breaks: 0 }
    }

    /// The next sentences, about `tokens` of them in words, fewer if no more
    /// come soon; none at the end. What was read before an error comes before it.
    ///
    /// # Errors
    /// If a file cannot be read, or does not hold what it should.
    pub fn window(&mut self, tokens: usize) -> Result<Vec<Sentence>, TextError> {
        let mut window = Vec::new();
        let (mut size, mut deadline) = (0, None);
        while size < tokens && self.error.is_none() {
            let Some(item) = self.next(deadline) else { break };
            match item {
                Ok(Item::Sentence(sentence)) => {
                    size += sentence.len().max(sentence.text().len() / BYTES_A_TOKEN).max(1);
                    deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
                    window.push(sentence);
                }
                Ok(Item::EndOfFile(warnings)) => {
                    self.lossy += warnings.lossy;
                    self.forced_breaks += warnings.forced_breaks;
                }
                Err(error) => self.error = Some(error),
            }
        }
        match self.error.take() {
            Some(error) if window.is_empty() => Err(error),
            error => {
                self.error = error;
                Ok(window)
            }
        }
    }

    /// The next item; nothing at the end, or when the time is up.
    fn next(&mut self, deadline: Option<Instant>) -> Option<Result<Item, TextError>> {
        let item = match deadline {
            None => self.items.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => {
                self.items.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            }
        };
        if let Err(RecvTimeoutError::Disconnected) = item
            && let Some(reader) = self.reader.take()
            && let Err(panic) = reader.join()
        {
            std::panic::resume_unwind(panic);
        }
        item.ok()
    }

    /// Says what was let pass.
    pub fn warn(&self, log: Log) {
        if self.lossy > 0 {
            let places = counted(self.lossy, "place");
            log.warn(format_args!("bytes that are not UTF-8 were replaced: {places}"));
        }
        if self.forced_breaks > 0 {
            let sentences = counted(self.forced_breaks, "sentence");
            log.warn(format_args!("ended after 64 KiB without an end: {sentences}"));
        }
    }
}

/// Reads all files, and ends behind the first error.
fn read_all(files: &[PathBuf], options: &ReadOptions, to: &SyncSender<Result<Item, TextError>>) {
    for (index, file) in files.iter().enumerate() {
        if let Err(error) = read_one(file, index, options, to) {
            // If nobody listens, the command is over.
            let _ = to.send(Err(error));
            return;
        }
    }
}

fn read_one(
    file: &Path,
    index: usize,
    options: &ReadOptions,
    to: &SyncSender<Result<Item, TextError>>,
) -> Result<(), TextError> {
    let mut sentences = match is_stdin(file) {
        true => corpus::read(Box::new(io::stdin()), file, index, options)?,
        false => corpus::open(file, index, options)?,
    };
    for sentence in &mut sentences {
        if to.send(Ok(Item::Sentence(sentence?))).is_err() {
            return Ok(());
        }
    }
    let _ = to.send(Ok(Item::EndOfFile(sentences.warnings().clone())));
    Ok(())
}

/// Refuses to wait for what a user may not know to type.
///
/// # Errors
/// If no file is named and standard input is a terminal; with a short help.
pub fn expect(files: &[PathBuf], verb: &str, examples: &str) -> Result<(), Usage> {
    if !files.is_empty() || !io::stdin().is_terminal() {
        return Ok(());
    }
    let more = format!("All options: gloss {verb} --help; `-` reads the terminal.");
    Err(Usage(format!("no FILE, and nothing is piped in\n\n{examples}\n\n{more}")))
}

/// Whether the name stands for standard input.
fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_bounded_and_an_error_comes_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.tokens");
        std::fs::write(&file, b"a b\nc d\ne f\n\xFF\n").unwrap();
        let mut input = Input::open(&[file], ReadOptions::default());
        let mut read = Vec::new();
        let error = loop {
            match input.window(3) {
                Ok(window) => {
                    assert!((1..=2).contains(&window.len()));
                    read.extend(window.iter().map(|sentence| sentence.text().to_owned()));
                }
                Err(error) => break error,
            }
        };
        assert_eq!(read, ["a b", "c d", "e f"]);
        assert!(matches!(error, TextError::Utf8 { line: 4, .. }));
        assert!(input.window(3).unwrap().is_empty());
    }

    #[test]
    fn long_tokens_fill_a_window() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.tokens");
        std::fs::write(&file, ("x".repeat(1600) + "\n").repeat(9)).unwrap();
        let mut input = Input::open(&[file], ReadOptions::default());
        assert!(input.window(200).unwrap().len() <= 2);
    }
}

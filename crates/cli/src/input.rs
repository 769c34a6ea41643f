//! Sentences of files and of standard input, read ahead by a thread.

mod budget;

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use glossator::{
    Sentence,
    corpus::{self, ReadOptions, Warnings},
    errors::TextError,
};

use self::budget::Budget;
use crate::{
    exit::Usage,
    log::{Log, counted},
};

/// Sentences read ahead at most.
const AHEAD: usize = 1024;
/// And bytes of their text, if it is more than one sentence.
const AHEAD_BYTES: usize = 8 << 20;
/// How long a window that is begun waits for more, so that what comes slowly
/// is labelled as it comes.
const PATIENCE: Duration = Duration::from_millis(20);
/// Bytes of text that count as one token at least: a token may be long.
const BYTES_A_TOKEN: usize = 16;

/// What the reading thread tells.
enum Item {
    Sentence(Box<Sentence>),
    EndOfFile(Warnings),
}

/// The sentences of some files, in order, in windows of bounded size.
pub struct Input {
    items: Receiver<Result<Item, TextError>>,
    ahead: Arc<Budget>,
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
        let (items, receiver) = sync_channel(AHEAD);
        let ahead = Arc::new(Budget::new(AHEAD_BYTES));
        let to = Ahead { items, budget: ahead.clone() };
        let reader = Some(std::thread::spawn(move || read_all(&files, &options, &to)));
        Self { items: receiver, ahead, reader, error: None, lossy: 0, forced_breaks: 0 }
    }

    /// Hands on all windows of about so many tokens. In the end, and behind an
    /// error, says what was let pass.
    ///
    /// # Errors
    /// As [`window`](Self::window), and those of `each`.
    pub fn windows(
        mut self,
        tokens: usize,
        log: Log,
        mut each: impl FnMut(Vec<Sentence>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let result = loop {
            match self.window(tokens) {
                Ok(window) if window.is_empty() => break Ok(()),
                Ok(window) => {
                    if let Err(error) = each(window) {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error.into()),
            }
        };
        self.warn(log);
        result
    }

    /// The next sentences, about `tokens` of them in words, fewer if no more
    /// come soon; none at the end. What was read before an error comes before it.
    ///
    /// # Errors
    /// If a file cannot be read, or does not hold what it should.
    fn window(&mut self, tokens: usize) -> Result<Vec<Sentence>, TextError> {
        let mut window = Vec::new();
        let (mut size, mut deadline) = (0, None);
        while size < tokens && self.error.is_none() {
            let Some(item) = self.next(deadline) else { break };
            match item {
                Ok(Item::Sentence(sentence)) => {
                    self.ahead.give(sentence.text().len());
                    size += sentence.len().max(sentence.text().len() / BYTES_A_TOKEN).max(1);
                    deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
                    window.push(*sentence);
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
    fn warn(&self, log: Log) {
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

impl Drop for Input {
    fn drop(&mut self) {
        // A reader that waits for room finds that nobody listens.
        self.ahead.lift();
    }
}

/// Where sentences are read ahead to.
struct Ahead {
    items: SyncSender<Result<Item, TextError>>,
    budget: Arc<Budget>,
}

impl Ahead {
    /// Waits for room and hands an item on; false if nobody listens any more.
    fn send(&self, item: Result<Item, TextError>) -> bool {
        if let Ok(Item::Sentence(sentence)) = &item {
            self.budget.take(sentence.text().len());
        }
        self.items.send(item).is_ok()
    }
}

/// Reads all files, and ends behind the first error.
fn read_all(files: &[PathBuf], options: &ReadOptions, to: &Ahead) {
    for (index, file) in files.iter().enumerate() {
        if let Err(error) = read_one(file, index, options, to) {
            // If nobody listens, the command is over.
            let _ = to.send(Err(error));
            return;
        }
    }
}

/// Reads a file; what was let pass is told also before an error.
fn read_one(file: &Path, index: usize, options: &ReadOptions, to: &Ahead) -> Result<(), TextError> {
    let mut sentences = match is_stdin(file) {
        true => corpus::read(Box::new(io::stdin()), file, index, options)?,
        false => corpus::open(file, index, options)?,
    };
    let mut error = None;
    for sentence in &mut sentences {
        match sentence {
            Ok(sentence) => {
                if !to.send(Ok(Item::Sentence(Box::new(sentence)))) {
                    return Ok(());
                }
            }
            Err(cause) => error = Some(cause),
        }
    }
    let _ = to.send(Ok(Item::EndOfFile(sentences.warnings().clone())));
    error.map_or(Ok(()), Err)
}

/// Refuses to wait for what a user may not know to type, and to read standard
/// input twice.
///
/// # Errors
/// If no file is named and standard input is a terminal, with a short help; if
/// `-` is named twice.
pub fn expect(files: &[PathBuf], verb: &str, examples: &str) -> Result<(), Usage> {
    if files.iter().filter(|file| is_stdin(file)).count() > 1 {
        return Err(Usage("`-` is named twice, but standard input can be read once".to_owned()));
    }
    if !files.is_empty() || !io::stdin().is_terminal() {
        return Ok(());
    }
    let more = format!("All options: gloss {verb} --help; `-` reads the terminal.");
    Err(Usage(format!("no FILE, and nothing is piped in\n\n{examples}\n\n{more}")))
}

/// Names of files for a message; no file at all is `-`.
pub fn names(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
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

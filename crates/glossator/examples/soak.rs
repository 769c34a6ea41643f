//! Whether a program that runs for days stays as it is: requests of all kinds, right ones and
//! wrong ones, from several threads, and the most memory that it held in each tenth of the time.
//!
//! `cargo run --release -p glossator --example soak -- [SECONDS] [TRANSLATOR]` ends with 1 if
//! it held a tenth more in the second half than in the first tenth. Minutes are too few. The
//! allocator of glibc keeps memory for each thread: `MALLOC_ARENA_MAX=1` shows what is in use.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use glossator::{
    Cancel, Constraints, Embedder, LanguageModel, Sampling, TagOptions, TranslateOptions,
    models::Repository, prelude::*, segment,
};

const CLIENTS: usize = 3;
const PARTS: u32 = 10;
/// Time between looks at the memory.
const SAMPLE: Duration = Duration::from_millis(50);
const NEWS: &str = include_str!("../../../corpora/news.txt");
/// What texts of users are made of.
const PIECES: &[&str] = &[
    "Nora Feld visited Turin on 3 May 2021, at 10.30 a.m. ",
    "«Zürich», said Dr. Otto… ",
    "日本語の文です。 ",
    "مرحبا بالعالم. ",
    "👩‍👩‍👧 e\u{301}\u{200d}\u{fe0f} ",
    "\n\n",
    "\t\r\n",
    "http://example.org/a?b=c#d user@example.org ",
    "verylongwordwithoutanyend",
    "\u{feff}\0\u{202e}",
];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What all clients share.
struct Service {
    ner: Tagger,
    pos: Tagger,
    archive: Vec<u8>,
    embedder: Embedder,
    language_model: std::sync::Arc<LanguageModel>,
    translator: Option<Translator>,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(60), |n| n.parse())?;
    let translator = arguments.next().map(|name| Translator::load(&name)).transpose()?;
    let service = Service {
        ner: Tagger::load("en-ner")?,
        pos: Tagger::load("en-pos")?,
        archive: Repository::from_env().find("en-ner")?.to_bytes()?,
        embedder: Embedder::load("en-lm-forward")?,
        language_model: LanguageModel::load("en-lm-backward")?,
        translator,
    };
    let part = Duration::from_secs(seconds) / PARTS;
    let (start, requests) = (Instant::now(), AtomicU64::new(0));
    let failure = Mutex::new(None);
    let held = std::thread::scope(|scope| {
        for client in 0..CLIENTS as u64 {
            let (service, requests, failure) = (&service, &requests, &failure);
            scope.spawn(move || {
                let mut chance = Chance(client);
                while start.elapsed() < part * PARTS {
                    if let Err(error) = service.request(&mut chance) {
                        *failure.lock().expect("nobody panics with it") = Some(error);
                        return;
                    }
                    requests.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut held = Vec::new();
        for end in 1..=PARTS {
            let mut most: f64 = 0.0;
            while start.elapsed() < part * end {
                most = most.max(resident_megabytes());
                std::thread::sleep(SAMPLE.min(part));
            }
            held.push(most);
            let (seconds, requests) = (start.elapsed().as_secs(), requests.load(Ordering::Relaxed));
            println!("{seconds} s  {requests} requests  {:.1} MB", held[held.len() - 1]);
        }
        held
    });
    if let Some(error) = failure.into_inner().expect("nobody panics with it") {
        return Err(error);
    }
    let later = held[held.len() / 2..].iter().copied().fold(0.0, f64::max);
    if later > 1.1 * held[0] {
        return Err(
            format!("{later:.1} MB are held, {:.1} MB were in the beginning", held[0]).into()
        );
    }
    Ok(())
}

impl Service {
    /// One request of some kind.
    fn request(&self, chance: &mut Chance) -> Result<(), Failure> {
        let text = chance.text();
        match chance.below(10) {
            0 | 1 => {
                let document = self.ner.tag(&text)?;
                for span in document.spans() {
                    let place = span.start().bytes..span.end().bytes;
                    assert_eq!(document.text().get(place), Some(span.text()));
                }
            }
            2 => drop(self.pos.tag_tokens(&text.split_whitespace().collect::<Vec<_>>())?),
            3 => {
                let constraints = Constraints::new().forbid("LOC");
                let options = TagOptions { n_best: 3, constraints, ..TagOptions::default() };
                let mut sentences = segment::document(&text, Default::default());
                Tagger::tag_with(&[&self.ner, &self.pos], &mut sentences, &options)?;
            }
            4 => {
                let cancel = Cancel::new();
                let options = TagOptions { cancel: cancel.clone(), ..TagOptions::default() };
                let mut sentences = segment::document(&text, Default::default());
                let ended = std::thread::scope(|scope| {
                    scope.spawn(|| cancel.cancel());
                    Tagger::tag_with(&[&self.pos], &mut sentences, &options)
                });
                if !matches!(ended, Ok(()) | Err(Error::Cancelled)) {
                    ended?;
                }
            }
            5 => {
                let sentences = segment::document(&text, Default::default());
                self.embedder.embed(&sentences, 1024)?;
            }
            6 => drop(self.language_model.score(&text)?),
            7 => {
                let seed = chance.below(u64::MAX);
                let sampling = Sampling { characters: 50, seed, ..Sampling::default() };
                self.language_model.generate(&sampling, |_| Ok(()))?;
            }
            8 => match &self.translator {
                Some(translator) => {
                    let options = TranslateOptions { beam: 2, ..TranslateOptions::default() };
                    translator.translate_lines(&[&text], &options)?;
                }
                None => drop(self.ner.tag(&text)?),
            },
            // Now and then a model comes and goes, whole or broken.
            _ if chance.below(20) == 0 => {
                let end = match chance.below(2) {
                    0 => self.archive.len(),
                    _ => chance.below(self.archive.len() as u64) as usize,
                };
                match Tagger::from_bytes(&self.archive[..end]) {
                    Ok(tagger) => drop(tagger.tag(&text)?),
                    Err(error) if end == self.archive.len() => return Err(error.into()),
                    Err(_) => {}
                }
            }
            _ => assert!(Tagger::load("./no-such-model").is_err()),
        }
        Ok(())
    }
}

/// A generator of numbers that look drawn.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        // Constants of Knuth's MMIX.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 16) % limit
    }

    /// Some text, rarely a long one.
    fn text(&mut self) -> String {
        let pieces = if self.below(100) == 0 { 300 } else { 1 + self.below(30) };
        let mut text = String::new();
        for _ in 0..pieces {
            match self.below(3) {
                0 => text.push_str(PIECES[self.below(PIECES.len() as u64) as usize]),
                _ => {
                    let lines: Vec<&str> = NEWS.lines().collect();
                    text.push_str(lines[self.below(lines.len() as u64) as usize]);
                    text.push(' ');
                }
            }
        }
        text
    }
}

/// What the process holds in memory, where the system tells (Linux).
fn resident_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}

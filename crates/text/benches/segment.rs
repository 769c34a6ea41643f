//! How fast raw text is split into sentences and tokens, on one core: megabytes a
//! second, the median of nine runs.
//!
//! `cargo bench -p glossator-text --bench segment -- [FILE]`; without a file, the
//! news of `corpora` again and again.

use std::{error::Error, hint::black_box, time::Instant};

use glossator_text::{Position, segment::document};

const RUNS: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let text = match &file {
        Some(file) => std::fs::read_to_string(file)?,
        None => include_str!("../../../corpora/news.txt").repeat(2000),
    };
    let mut speeds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            black_box(document(&text, Position::default()));
            text.len() as f64 / 1e6 / start.elapsed().as_secs_f64()
        })
        .collect();
    speeds.sort_by(f64::total_cmp);
    let sentences = document(&text, Position::default());
    let tokens: usize = sentences.iter().map(|sentence| sentence.len()).sum();
    println!("{:.1} MB/s ({} sentences, {tokens} tokens)", speeds[RUNS / 2], sentences.len());
    Ok(())
}

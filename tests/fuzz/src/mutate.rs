//! Drives a target with changed files, for so many seconds, without a fuzzer.
#![forbid(unsafe_code)]

use std::{
    env, fs, panic,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use glossator_fuzz::TARGETS;

/// Where the input that fails is put.
const FOUND: &str = "mutate-found";

/// Bytes and lengths that mean something to readers.
const MEANINGFUL: [&[u8]; 14] = [
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x00\x00\x00\x00\x00\x00\x00\x40",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"cnumpy\ndtype\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_parameter\n",
    b"cbuiltins\nbytes\n",
];
/// Instructions of pickles.
const CODES: &[u8] = b"()]}.012abcdeghijlopqrstuBCFGIJKLMNPQRSTUVX\
    \x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98";

/// Numbers of a linear congruence, the low bits dropped.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    /// Changes some bytes in one of several ways.
    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let rest = bytes.len() - at;
        match self.below(7) {
            0 if rest > 0 => bytes[at] = self.below(256) as u8,
            1 if rest > 0 => bytes[at] ^= 1 << self.below(8),
            2 => bytes.insert(at, CODES[self.below(CODES.len())]),
            3 => {
                let len = self.below(rest.min(64) + 1);
                bytes.drain(at..at + len);
            }
            4 => {
                let new = MEANINGFUL[self.below(MEANINGFUL.len())];
                let over = if self.below(2) == 0 { 0 } else { new.len().min(rest) };
                bytes.splice(at..at + over, new.iter().copied());
            }
            5 => {
                let from = self.below(other.len() + 1);
                let len = self.below((other.len() - from).min(200) + 1);
                bytes.splice(at..at, other[from..from + len].iter().copied());
            }
            _ => {
                let len = self.below(rest.min(200) + 1);
                let again = bytes[at..at + len].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}

fn files(folders: impl Iterator<Item = String>) -> std::io::Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for folder in folders {
        let mut paths = Vec::new();
        for entry in fs::read_dir(Path::new(&folder))? {
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_none_or(|ext| ext != "json")) {
            files.push(fs::read(path)?);
        }
    }
    Ok(files)
}

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let usage = "usage: mutate TARGET SECONDS SEED FOLDER...";
    let target = args.next().and_then(|name| TARGETS.iter().find(|(known, _)| *known == name));
    let seconds = args.next().and_then(|seconds| seconds.parse().ok());
    let seed = args.next().and_then(|seed| seed.parse().ok());
    let (Some((name, target)), Some(seconds), Some(seed)) = (target, seconds, seed) else {
        eprintln!("{usage}");
        return ExitCode::from(2);
    };
    let files = match files(args) {
        Ok(files) if !files.is_empty() => files,
        Ok(_) => {
            eprintln!("no files to begin with; {usage}");
            return ExitCode::from(2);
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let (mut random, start, mut count) = (Random(seed), Instant::now(), 0_u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        let mut bytes = files[random.below(files.len())].clone();
        for _ in 0..=random.below(4) {
            let other = random.below(files.len());
            random.change(&mut bytes, &files[other]);
        }
        if panic::catch_unwind(|| target(&bytes)).is_err() {
            let _ = fs::write(FOUND, &bytes);
            eprintln!("{name}: an input fails; it is in the file {FOUND}");
            return ExitCode::FAILURE;
        }
        count += 1;
    }
    println!("{name}: {count} inputs in {seconds} s, none fails");
    ExitCode::SUCCESS
}

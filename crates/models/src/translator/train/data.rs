//! Corpora of sentence pairs.

use std::path::Path;

use glossator_nn::Rng;
use glossator_text::corpus::text_lines;

use crate::{Error, Result, TranslatorRunConfig};

/// Pairs held out for development at most, if no files are named.
const MAX_HELD_OUT: usize = 1000;
/// One pair in so many is held out.
const HELD_OUT: usize = 20;

/// Sentences and their translations.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pairs {
    pub(crate) source: Vec<String>,
    pub(crate) target: Vec<String>,
    /// Lines left out, for one of the two was empty.
    pub(crate) empty: usize,
}

impl Pairs {
    /// Reads two files with as many lines; pairs with an empty side are left out.
    ///
    /// # Errors
    /// If a file cannot be read, or has fewer lines than the other.
    pub(crate) fn read(source: &Path, target: &Path) -> Result<Self> {
        let (mut sources, mut targets) = (text_lines(source)?, text_lines(target)?);
        let mut pairs = Self::default();
        for line in 1.. {
            let (source_text, target_text) =
                (sources.next().transpose()?, targets.next().transpose()?);
            match (source_text, target_text) {
                (Some(a), Some(b)) if a.trim().is_empty() || b.trim().is_empty() => {
                    pairs.empty += 1;
                }
                (Some(a), Some(b)) => {
                    pairs.source.push(a);
                    pairs.target.push(b);
                }
                (None, None) => break,
                (None, Some(_)) => return Err(ends(source, target, line)),
                (Some(_), None) => return Err(ends(target, source, line)),
            }
        }
        match pairs.len() {
            0 => {
                let problem = "no pair of sentences, both of which have text".to_owned();
                Err(Error::Data { path: source.to_owned(), line: None, problem })
            }
            _ => Ok(pairs),
        }
    }

    /// Number of pairs.
    pub(crate) fn len(&self) -> usize {
        self.source.len()
    }

    /// The pairs.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let sides = self.source.iter().zip(&self.target);
        sides.map(|(source, target)| (source.as_str(), target.as_str()))
    }

    /// Takes some pairs out, drawn by the seed.
    fn hold_out(&mut self, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        Rng::new(seed, "dev", 0).shuffle(&mut order);
        order.truncate((self.len() / HELD_OUT).clamp(1, MAX_HELD_OUT));
        let mut taken = vec![false; self.len()];
        order.into_iter().for_each(|pair| taken[pair] = true);
        let part = |side: &mut Vec<String>| {
            let mut taken = taken.iter();
            let all = std::mem::take(side).into_iter();
            let (held, rest) = all.partition(|_| taken.next().is_some_and(|taken| *taken));
            *side = rest;
            held
        };
        let source = part(&mut self.source);
        Self { source, target: part(&mut self.target), empty: 0 }
    }
}

fn ends(short: &Path, long: &Path, line: usize) -> Error {
    let problem = format!(
        "the file ends before this line, which {} still has: both need as many lines",
        long.display()
    );
    Error::Data { path: short.to_owned(), line: Some(line), problem }
}

/// The corpora of a run.
pub(crate) struct Corpora {
    pub(crate) train: Pairs,
    pub(crate) dev: Pairs,
    pub(crate) test: Option<Pairs>,
}

impl Corpora {
    /// Reads all corpora; without development files a part of the training pairs
    /// becomes the development data.
    ///
    /// # Errors
    /// If a file cannot be opened or read, or the two of a pair do not fit.
    pub(crate) fn read(config: &TranslatorRunConfig) -> Result<Self> {
        for (key, path) in config.data.files() {
            let missing =
                |source| Error::ConfigFile { key: key.to_owned(), path: path.to_owned(), source };
            std::fs::File::open(path).map_err(missing)?;
        }
        let data = &config.data;
        let mut train = Pairs::read(&data.train_source, &data.train_target)?;
        let dev = match data.dev() {
            Some((source, target)) => Pairs::read(source, target)?,
            None if train.len() < 2 => {
                let problem = "one pair is too little to train on and to develop with";
                let path = data.train_source.clone();
                return Err(Error::Data { path, line: None, problem: problem.to_owned() });
            }
            None => train.hold_out(config.seed),
        };
        let test = data.test().map(|(source, target)| Pairs::read(source, target)).transpose()?;
        Ok(Self { train, dev, test })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str, target: &str) -> Result<Pairs> {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a.txt", "b.txt"].map(|name| folder.path().join(name));
        std::fs::write(&a, source).unwrap();
        std::fs::write(&b, target).unwrap();
        Pairs::read(&a, &b)
    }

    #[test]
    fn lines_are_paired_and_empty_ones_left_out() {
        let pairs = read("a\r\n\nb \nc", "x\ny\n z\n \n").unwrap();
        assert_eq!(pairs.iter().collect::<Vec<_>>(), [("a", "x"), ("b ", " z")]);
        assert_eq!(pairs.empty, 2);
        assert!(read("\n", "x\n").is_err());
    }

    #[test]
    fn unequal_files_are_refused_with_the_line() {
        for (source, target, name) in [("a\nb\n", "x\n", "b.txt"), ("a", "x\n\n", "a.txt")] {
            let Err(Error::Data { path, line, problem }) = read(source, target) else {
                panic!("{source:?}")
            };
            assert_eq!((path.file_name().unwrap().to_str(), line), (Some(name), Some(2)));
            assert!(problem.contains("as many lines"), "{problem}");
        }
    }

    #[test]
    fn what_is_held_out_is_drawn_by_the_seed() {
        let names = |side: &str| (0..60).map(|n| format!("{side}{n}")).collect::<Vec<_>>();
        let all = Pairs { source: names("s"), target: names("t"), empty: 0 };
        let draw = |seed| {
            let mut train = all.clone();
            let dev = train.hold_out(seed);
            assert_eq!((train.len(), dev.len()), (57, 3));
            assert!(dev.iter().chain(train.iter()).all(|(s, t)| s[1..] == t[1..]));
            dev
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}

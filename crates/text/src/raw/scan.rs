use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::counts::{Counter, Tally};
use super::held_out::Plan;
use super::walk::{Step, Walk};
use super::{HeldOut, Scanned, Split, TextOptions, files};
use crate::{Error, Result};

/// Characters a text must have for a part of it to be held out.
const MIN_CHARS: usize = 400;

pub(super) fn scan(path: &Path, options: &TextOptions) -> Result<Scanned> {
    let files: Arc<[PathBuf]> = files::list(path)?.into();
    // What is read again must be a file; a pipe would have nothing more to give.
    for file in files.iter() {
        let metadata = fs::metadata(file).map_err(|source| Error::read(file, source))?;
        if !metadata.is_file() {
            let problem = "not a file that can be read several times";
            return Err(Error::NoText { path: file.clone(), problem });
        }
    }
    let found = match options.held_out {
        None => Pass::run(&files, None, options.split_chars)?,
        Some(held_out) => hold_out(path, &files, held_out, options.split_chars)?,
    };
    if found.splits.is_empty() {
        return Err(empty(path));
    }
    Ok(found.finish(files))
}

fn empty(path: &Path) -> Error {
    Error::NoText { path: path.to_path_buf(), problem: "there is no text in it" }
}

/// Counts the text, and reads it again to hold out a part.
fn hold_out(
    path: &Path,
    files: &Arc<[PathBuf]>,
    held_out: HeldOut,
    split_chars: usize,
) -> Result<Pass> {
    let total = count(files)?;
    let Tally { n_documents, n_chars, .. } = total;
    let too_short = || Error::TooShort { path: path.to_path_buf(), n_chars, n_documents };
    if n_chars == 0 {
        return Err(empty(path));
    } else if n_chars < MIN_CHARS || n_documents < 2 {
        return Err(too_short());
    }
    let plan = Plan::new(held_out, n_chars);
    let mut found = Pass::run(files, Some(plan), split_chars)?;
    if found.held_out.is_empty() && found.n_blocks > 1 {
        let plan = plan.among(found.n_blocks, held_out);
        found = Pass::run(files, Some(plan), split_chars)?;
    }
    match found.held_out.is_empty() || found.splits.is_empty() {
        true => Err(too_short()),
        false => Ok(found),
    }
}

fn count(files: &Arc<[PathBuf]>) -> Result<Tally> {
    let mut walk = Walk::new(files.clone(), None);
    let mut total = Tally::default();
    loop {
        match walk.step()? {
            Step::Document(..) => {}
            Step::FileEnd(_, tally) => total += tally,
            Step::End => return Ok(total),
        }
    }
}

/// What is found when the text is read from end to end.
struct Pass {
    plan: Option<Plan>,
    tallies: Vec<Tally>,
    counts: BTreeMap<char, usize>,
    splits: Vec<Split>,
    held_out: Vec<String>,
    n_blocks: usize,
    /// Of all documents.
    hash: Sha256,
}

impl Pass {
    fn run(files: &Arc<[PathBuf]>, plan: Option<Plan>, split_chars: usize) -> Result<Pass> {
        let mut walk = Walk::new(files.clone(), plan);
        let mut counter = Counter::new();
        let (mut tallies, mut splits, mut held_out) = (Vec::new(), Vec::new(), Vec::new());
        let mut hash = Sha256::new();
        loop {
            let (tally, held) = match walk.step()? {
                Step::Document(tally, held) => (tally, held),
                Step::FileEnd(_, tally) => {
                    tallies.push(tally);
                    continue;
                }
                Step::End => break,
            };
            let Some(line) = walk.line() else { continue };
            hash.update(line.text);
            hash.update(if line.ended { "\n" } else { "" });
            if held {
                held_out.push(line.document());
            } else {
                counter.add(line);
                add(&mut splits, tally, walk.file(), split_chars);
            }
        }
        join_last(&mut splits, split_chars);
        let (counts, n_blocks) = (counter.finish(), walk.n_blocks());
        Ok(Pass { plan, tallies, counts, splits, held_out, n_blocks, hash })
    }

    fn finish(self, files: Arc<[PathBuf]>) -> Scanned {
        let Pass { plan, tallies, counts, splits, held_out, mut hash, .. } = self;
        if let Some(Plan { block_chars, period, offset, max_chars }) = plan {
            hash.update(format!("\nheld out {block_chars} {period} {offset} {max_chars}"));
        }
        for Split { n_chars, n_documents, first_file, .. } in &splits {
            hash.update(format!("\nsplit {n_chars} {n_documents} {first_file}"));
        }
        let fingerprint = format!("{:x}", hash.finalize());
        Scanned { files, tallies, plan, counts, splits, held_out, fingerprint }
    }
}

/// Adds a document to the last split, or to a new one if that has enough.
fn add(splits: &mut Vec<Split>, document: Tally, file: usize, split_chars: usize) {
    match splits.last_mut() {
        Some(open) if open.n_chars < split_chars => open.add(document),
        _ => {
            let mut split = Split { first_file: file, ..Split::default() };
            split.add(document);
            splits.push(split);
        }
    }
}

/// Joins the last split to the one before if it is short.
fn join_last(splits: &mut Vec<Split>, split_chars: usize) {
    if let [.., before, last] = &mut splits[..]
        && last.n_chars < split_chars / 4
    {
        before.add(last.tally());
        splits.pop();
    }
}

impl Split {
    pub(super) fn tally(&self) -> Tally {
        let Split { n_chars, n_documents, checksum, .. } = *self;
        Tally { n_documents, n_chars, checksum }
    }

    fn add(&mut self, more: Tally) {
        let mut tally = self.tally();
        tally += more;
        Tally { n_documents: self.n_documents, n_chars: self.n_chars, checksum: self.checksum } =
            tally;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(documents: &[usize], split_chars: usize) -> Vec<usize> {
        let mut splits = Vec::new();
        for &n_chars in documents {
            let document = Tally { n_documents: 1, n_chars, checksum: 0 };
            add(&mut splits, document, 0, split_chars);
        }
        join_last(&mut splits, split_chars);
        splits.iter().map(|split| split.n_chars).collect()
    }

    #[test]
    fn splits_are_long_enough() {
        assert_eq!(sizes(&[30, 30, 60, 10, 5, 100, 30], 40), [60, 60, 115, 30]);
        assert_eq!(sizes(&[40, 40, 9], 40), [40, 49]);
        assert_eq!(sizes(&[40, 40, 10], 40), [40, 40, 10]);
        assert_eq!(sizes(&[3], 40), [3]);
        assert_eq!(sizes(&[3, 4], 0), [3, 4]);
        assert!(sizes(&[], 40).is_empty());
    }
}

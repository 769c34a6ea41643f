use std::fmt;
use std::sync::Arc;

use super::Scanned;
use super::counts::Tally;
use super::lines::Line;
use super::walk::{Step, Walk};
use crate::{Error, Result};

/// Reads the splits of a text.
pub struct SplitReader {
    text: Arc<Scanned>,
    walk: Walk,
    /// The split the walk stands before.
    next: usize,
}

impl SplitReader {
    pub(super) fn new(text: Arc<Scanned>) -> SplitReader {
        let walk = Walk::new(text.files.clone(), text.plan);
        SplitReader { text, walk, next: 0 }
    }

    /// The documents of a split, in the order of the text.
    ///
    /// Splits asked for in order are read on from where the last one ended; for one
    /// before it, the text is read from its start again.
    ///
    /// # Errors
    /// If a file cannot be read, or has changed since the scan. The text is then
    /// read from its start by the next call.
    ///
    /// # Panics
    /// If there is no such split.
    pub fn read(&mut self, split: usize) -> Result<Vec<String>> {
        assert!(split < self.text.splits.len(), "the text has no split {split}");
        if split < self.next {
            *self = SplitReader::new(self.text.clone());
        }
        let documents = self.read_on(split);
        if documents.is_err() {
            *self = SplitReader::new(self.text.clone());
        }
        documents
    }

    fn read_on(&mut self, split: usize) -> Result<Vec<String>> {
        while self.next < split {
            self.pass(|_| {})?;
        }
        let mut documents = Vec::with_capacity(self.text.splits[split].n_documents);
        self.pass(|document| documents.push(document.document()))?;
        if self.next == self.text.splits.len() && self.advance()?.is_some() {
            return Err(self.changed());
        }
        Ok(documents)
    }

    /// Goes over the next split.
    fn pass(&mut self, mut take: impl FnMut(Line<'_>)) -> Result<()> {
        let want = self.text.splits[self.next].tally();
        let mut found = Tally::default();
        while found.n_documents < want.n_documents {
            found += self.advance()?.ok_or_else(|| self.changed())?;
            self.walk.line().into_iter().for_each(&mut take);
        }
        if found != want {
            return Err(self.changed());
        }
        self.next += 1;
        Ok(())
    }

    /// Goes to the next document that is not held out.
    fn advance(&mut self) -> Result<Option<Tally>> {
        loop {
            match self.walk.step()? {
                Step::Document(tally, false) => return Ok(Some(tally)),
                Step::Document(_, true) => {}
                Step::FileEnd(file, tally) if self.text.tallies[file] == tally => {}
                Step::FileEnd(file, _) => {
                    return Err(Error::Changed { path: self.text.files[file].clone() });
                }
                Step::End => return Ok(None),
            }
        }
    }

    fn changed(&self) -> Error {
        Error::Changed { path: self.walk.path().to_path_buf() }
    }
}

impl fmt::Debug for SplitReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitReader").field("next", &self.next).finish_non_exhaustive()
    }
}

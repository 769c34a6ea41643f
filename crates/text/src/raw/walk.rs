use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::counts::Tally;
use super::held_out::{Plan, Selection};
use super::lines::{FileLines, Line};
use crate::Result;

/// Goes over the documents of all files, one after another.
pub(super) struct Walk {
    files: Arc<[PathBuf]>,
    /// The present file, and its lines if it is open.
    file: usize,
    lines: Option<FileLines>,
    /// Of the present file.
    tally: Tally,
    selection: Option<Selection>,
}

/// What a walk came to.
pub(super) enum Step {
    /// A document, and whether it is held out.
    Document(Tally, bool),
    /// The end of a file, which had so much.
    FileEnd(usize, Tally),
    /// The end of the last file.
    End,
}

impl Walk {
    pub fn new(files: Arc<[PathBuf]>, plan: Option<Plan>) -> Walk {
        let selection = plan.map(Selection::new);
        Walk { files, file: 0, lines: None, tally: Tally::default(), selection }
    }

    pub fn step(&mut self) -> Result<Step> {
        let Some(path) = self.files.get(self.file) else {
            return Ok(Step::End);
        };
        let lines = match &mut self.lines {
            Some(lines) => lines,
            closed => closed.insert(FileLines::open(path)?),
        };
        if !lines.advance()? {
            let (file, tally) = (self.file, std::mem::take(&mut self.tally));
            (self.file, self.lines) = (file + 1, None);
            return Ok(Step::FileEnd(file, tally));
        }
        let tally = Tally::of(lines.line());
        self.tally += tally;
        let held = self.selection.as_mut().is_some_and(|select| select.next(tally.n_chars));
        Ok(Step::Document(tally, held))
    }

    /// The document last come to; nothing if the last step led to none.
    pub fn line(&self) -> Option<Line<'_>> {
        self.lines.as_ref().map(FileLines::line)
    }

    /// Index of the present file.
    pub fn file(&self) -> usize {
        self.file
    }

    /// Path of the present file, or of the last.
    pub fn path(&self) -> &Path {
        let last = self.files.len().saturating_sub(1);
        self.files.get(self.file.min(last)).map_or(Path::new(""), PathBuf::as_path)
    }

    /// Blocks seen until now, if a part is held out.
    pub fn n_blocks(&self) -> usize {
        self.selection.as_ref().map_or(0, Selection::n_blocks)
    }
}

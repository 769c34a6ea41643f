use std::ops::Range;
use std::sync::Arc;

use super::broken::Broken;
use super::columns::BOUNDARY;
use super::input::{Input, chomp};
use crate::source::Layout;
use crate::{Error, Result, Rows, Sentence, Source};

/// What a line of a file of columns is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// White space only: ends a sentence.
    Blank,
    /// A comment.
    Comment,
    /// A mark between documents: ends a sentence, too.
    Boundary,
    /// A row that is no token: a range, an empty node.
    Row,
    /// The row of a token.
    Word,
    /// A row that is passed over.
    Broken,
}

/// Bytes of lines without a row after which these are given out as a block.
const LONG: usize = 64 << 10;

/// The lines from the end of one sentence to the end of the next; without a row,
/// if they are too many or there is no next sentence.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub raw: String,
    /// The rows of tokens in `raw`, without line ends.
    pub words: Vec<Range<usize>>,
    /// The first line, and that of the first row; 0 if there is none.
    pub start: usize,
    pub line: usize,
    /// Whether no blank line stands before the first line, but another.
    pub continues: bool,
    closed: bool,
}

impl Block {
    /// The sentence with these lines as its source.
    pub fn give(self, sentence: Sentence, layout: Arc<Layout>) -> Sentence {
        let Block { raw, words, start, continues, .. } = self;
        sentence.with_source(Source::Rows(Rows { raw, words, line: start, continues, layout }))
    }

    fn has_rows(&self) -> bool {
        self.line > 0
    }

    /// The block if its sentence has ended, or nothing of it.
    fn if_closed(self) -> Block {
        if self.closed { self } else { Block::default() }
    }

    fn add(&mut self, line: &str, number: usize, kind: Kind) {
        if self.start == 0 {
            self.start = number;
        }
        if matches!(kind, Kind::Row | Kind::Word) && !self.has_rows() {
            self.line = number;
        }
        if kind == Kind::Word {
            let start = self.raw.len();
            self.words.push(start..start + chomp(line).len());
        }
        self.closed |= kind == Kind::Blank && self.has_rows();
        self.raw.push_str(line);
    }
}

/// A line of a file of columns, without its line end.
pub(super) struct Line<'a> {
    pub text: &'a str,
    /// From 1.
    pub number: usize,
    /// Whether it starts as a mark between documents does, and no row is before
    /// or behind it.
    pub alone: bool,
}

/// Cuts a file of columns into blocks that hold every byte of it. Lines behind
/// the last sentence belong to its block, so a block is given out when a row of
/// the next is seen.
pub(super) struct Blocks {
    pub input: Input,
    line: String,
    block: Block,
    before: Option<Block>,
    /// Whether the last line, if there is one, was blank.
    after_blank: bool,
    /// An error that comes behind the blocks before it.
    failed: Option<Error>,
    /// Where rows that cannot be are put, if they are to be passed over.
    broken: Option<Broken>,
    ended: bool,
}

impl Blocks {
    pub fn new(input: Input) -> Blocks {
        let mut block = Block::default();
        if input.marked() {
            block.raw.push('\u{feff}');
        }
        Blocks {
            input,
            line: String::new(),
            block,
            before: None,
            after_blank: true,
            failed: None,
            broken: None,
            ended: false,
        }
    }

    /// Passes over rows that cannot be.
    pub fn skip_broken(&mut self) {
        self.broken.get_or_insert_default();
    }

    /// What was passed over.
    pub fn broken(&mut self) -> Vec<Error> {
        self.broken.as_mut().map(Broken::take).unwrap_or_default()
    }

    /// Keeps an error in the data, if what is wrong is passed over.
    pub fn keep(&mut self, error: Error) -> Result<()> {
        match &mut self.broken {
            Some(broken) => broken.add(error),
            None => Err(error),
        }
    }

    /// Whether the input has ended well, so that the block given out was the
    /// last.
    pub fn ended(&self) -> bool {
        self.ended && self.failed.is_none()
    }

    /// The next block; `kind` says what a line is.
    pub fn next(
        &mut self,
        mut kind: impl FnMut(Line<'_>) -> Result<Kind>,
    ) -> Result<Option<Block>> {
        loop {
            if let Some(block) = self.ready() {
                return Ok(Some(block));
            } else if let Some(error) = self.failed.take() {
                return Err(error);
            } else if self.ended {
                return Ok(None);
            }
            if let Err(error) = self.read(&mut kind) {
                (self.failed, self.ended) = (Some(error), true);
                self.block = std::mem::take(&mut self.block).if_closed();
            }
        }
    }

    /// A block that is complete.
    fn ready(&mut self) -> Option<Block> {
        let long = !self.block.has_rows() && self.block.raw.len() >= LONG;
        if !(self.block.has_rows() || long || self.ended) {
            return None;
        }
        match self.before.take() {
            Some(mut before) => {
                if !self.block.has_rows() {
                    before.raw.push_str(&std::mem::take(&mut self.block).raw);
                }
                Some(before)
            }
            None if self.ended || long => {
                Some(std::mem::take(&mut self.block)).filter(|block| !block.raw.is_empty())
            }
            None => None,
        }
    }

    /// Reads a line.
    fn read(&mut self, kind: &mut impl FnMut(Line<'_>) -> Result<Kind>) -> Result<()> {
        let number = self.input.line();
        self.line.clear();
        if !self.input.read_line(&mut self.line)? {
            self.ended = true;
            return Ok(());
        }
        let inside = self.block.has_rows() && !self.block.closed;
        let alone = self.line.starts_with(BOUNDARY) && !inside && self.input.blank_follows()?;
        let kind = match kind(Line { text: chomp(&self.line), number, alone }) {
            Ok(kind) => kind,
            Err(error) => {
                self.keep(error)?;
                Kind::Broken
            }
        };
        if kind == Kind::Broken {
            return Ok(());
        }
        if self.block.has_rows()
            && (kind == Kind::Boundary || (self.block.closed && kind != Kind::Blank))
        {
            self.before = Some(std::mem::take(&mut self.block));
        }
        if self.block.start == 0 {
            self.block.continues = !self.after_blank;
        }
        self.block.add(&self.line, number, kind);
        self.after_blank = kind == Kind::Blank;
        Ok(())
    }
}

/// Whether a line holds nothing but spaces and tabs.
pub(super) fn is_blank(line: &str) -> bool {
    line.bytes().all(|byte| matches!(byte, b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn blocks(text: &str) -> Vec<(String, usize, usize)> {
        let input =
            Input::new(Box::new(std::io::Cursor::new(text.to_owned())), Path::new("f"), false);
        let mut blocks = Blocks::new(input.expect("input"));
        let mut kind = |line: Line<'_>| {
            Ok(match line.text.chars().next() {
                _ if is_blank(line.text) => Kind::Blank,
                Some('#') => Kind::Comment,
                Some('-') => Kind::Boundary,
                Some('r') => Kind::Row,
                _ => Kind::Word,
            })
        };
        let mut out = Vec::new();
        while let Some(block) = blocks.next(&mut kind).expect("lines") {
            out.push((block.raw, block.words.len(), block.line));
        }
        out
    }

    #[test]
    fn blocks_hold_every_byte() {
        let text = "\u{feff}\n# a\nr\nw\r\nw\n \n\n# b\n\n-\nw\n-\nw\n\n# end\n \n#";
        let found = blocks(text);
        assert_eq!(found.iter().map(|block| block.0.as_str()).collect::<String>(), text);
        let shapes: Vec<_> = found.iter().map(|block| (block.1, block.2)).collect();
        assert_eq!(shapes, [(2, 3), (1, 11), (1, 13)]);
        assert!(found[2].0.ends_with("w\n\n# end\n \n#"));
    }

    #[test]
    fn a_file_without_rows_keeps_its_bytes() {
        assert!(blocks("").is_empty());
        assert_eq!(blocks("\n# a\n\n"), [("\n# a\n\n".to_owned(), 0, 0)]);
    }

    #[test]
    fn many_lines_without_rows_come_in_pieces() {
        let run = "# a comment\n".repeat(20_000);
        for text in [run.clone(), format!("{run}w\n\n"), format!("w\n\n{run}")] {
            let found = blocks(&text);
            assert!(found.iter().all(|block| block.0.len() < 2 * LONG), "{}", found.len());
            assert_eq!(found.iter().map(|block| block.0.as_str()).collect::<String>(), text);
        }
    }
}

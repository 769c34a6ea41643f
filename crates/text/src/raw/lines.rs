use std::fs::File;
use std::ops::Range;
use std::path::Path;

use crate::corpus::Input;
use crate::{Error, Result};

/// Characters of a line, without its line end, that are given out in one piece.
pub const MAX_CHARS: usize = 64 << 10;

/// Characters at the end of a piece among which a white space is looked for.
const MARGIN: usize = 1 << 10;

/// So many bytes have more than [`MAX_CHARS`] characters even if the last is the
/// first half of a CRLF.
const LONG: usize = 4 * MAX_CHARS + 2;

/// A line that is not empty, or a piece of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The text without the line end.
    pub text: &'a str,
    /// Whether the line ends here, so a line feed belongs to the document.
    pub ended: bool,
    /// Number of the line, from 1.
    pub number: usize,
}

impl Line<'_> {
    /// The text with the line feed.
    pub fn document(self) -> String {
        let mut document = String::with_capacity(self.text.len() + 1);
        document.push_str(self.text);
        document.extend(self.ended.then_some('\n'));
        document
    }
}

/// The lines of a file, of which a bounded part is in memory.
pub(super) struct FileLines {
    input: Input,
    /// What was read; the line that follows starts at `next`.
    text: String,
    next: usize,
    number: usize,
    current: Current,
}

/// The line that was found last.
#[derive(Default)]
struct Current {
    range: Range<usize>,
    ended: bool,
    number: usize,
}

/// What stands behind the text found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Newline,
    File,
    /// More of the same line.
    More,
}

impl FileLines {
    pub fn open(path: &Path) -> Result<FileLines> {
        let file = File::open(path).map_err(|source| Error::read(path, source))?;
        let input = Input::new(Box::new(file), path, false)?;
        Ok(FileLines {
            input,
            text: String::new(),
            next: 0,
            number: 1,
            current: Current::default(),
        })
    }

    /// Goes to the next line; false at the end.
    pub fn advance(&mut self) -> Result<bool> {
        loop {
            let (len, end) = self.look_ahead()?;
            let text = &self.text[self.next..self.next + len];
            let text = text.strip_suffix('\r').unwrap_or(text);
            let cut = cut(text);
            let range = self.next..self.next + cut.unwrap_or(text.len());
            self.current = Current { range, ended: cut.is_none(), number: self.number };
            if let Some(cut) = cut {
                self.next += cut;
                return Ok(true);
            }
            let newline = usize::from(end == End::Newline);
            self.next += len + newline;
            self.number += newline;
            if !self.current.range.is_empty() {
                return Ok(true);
            } else if end == End::File {
                return Ok(false);
            }
        }
    }

    /// The line gone to.
    pub fn line(&self) -> Line<'_> {
        let Current { range, ended, number } = &self.current;
        Line { text: &self.text[range.clone()], ended: *ended, number: *number }
    }

    /// Length of the line that follows, or of as much of it as decides where to cut.
    fn look_ahead(&mut self) -> Result<(usize, End)> {
        let mut searched = 0;
        loop {
            let ahead = &self.text.as_bytes()[self.next..];
            if let Some(at) = memchr::memchr(b'\n', &ahead[searched..]) {
                return Ok((searched + at, End::Newline));
            }
            searched = ahead.len();
            if searched >= LONG {
                return Ok((searched, End::More));
            }
            self.text.drain(..self.next);
            self.next = 0;
            if !self.input.read_text(&mut self.text)? {
                return Ok((searched, End::File));
            }
        }
    }
}

/// Where to cut a line that is too long: behind a white space if possible.
fn cut(line: &str) -> Option<usize> {
    if line.len() <= MAX_CHARS {
        return None;
    }
    let (limit, _) = line.char_indices().nth(MAX_CHARS)?;
    let mut margin = line[..limit].char_indices().rev().take(MARGIN);
    let space = margin.find(|(_, char)| char.is_whitespace());
    Some(space.map_or(limit, |(at, char)| at + char.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(content: &[u8]) -> Result<Vec<(String, usize)>> {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), content).expect("file");
        let (mut lines, mut found) = (FileLines::open(file.path())?, Vec::new());
        while lines.advance()? {
            found.push((lines.line().document(), lines.line().number));
        }
        assert!(!lines.advance()?, "the end stays the end");
        Ok(found)
    }

    fn texts(content: &str) -> Vec<String> {
        lines(content.as_bytes()).expect("text").into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn line_ends_and_empty_lines_go_and_a_newline_comes() {
        let found = lines("\u{feff}Ada\r\n\r\n\n b\r\r\n中".as_bytes()).expect("text");
        let want = [("Ada\n", 1), (" b\r\n", 4), ("中\n", 5)];
        assert_eq!(found, want.map(|(text, line)| (text.to_owned(), line)));
        assert!(texts("").is_empty() && texts("\n\r\n\r").is_empty());
        assert_eq!(texts("last\r"), ["last\n"]);
    }

    #[test]
    fn long_lines_are_cut_behind_a_white_space() {
        let word = "grün ";
        let line = word.repeat(50_000);
        let found = texts(&format!("{line}\nb\n"));
        assert_eq!(found.concat(), format!("{line}\nb\n"));
        let (last, pieces) = found[..found.len() - 1].split_last().expect("pieces");
        assert_eq!((found.len(), found[found.len() - 1].as_str()), (5, "b\n"));
        for piece in pieces {
            assert!(piece.ends_with(' ') && piece.chars().count() <= MAX_CHARS);
            assert!(piece.chars().count() > MAX_CHARS - 5);
        }
        assert!(last.ends_with(" \n"));
    }

    #[test]
    fn long_lines_without_white_space_are_cut_between_characters() {
        for unit in ["x", "é", "中", "𝄞"] {
            let line = format!("{}end", unit.repeat(2 * MAX_CHARS));
            for end in ["\n", "\r\n", ""] {
                let found = texts(&format!("{line}{end}"));
                assert_eq!(found.concat(), format!("{line}\n"));
                let lens: Vec<_> = found.iter().map(|piece| piece.chars().count()).collect();
                assert_eq!(lens, [MAX_CHARS, MAX_CHARS, 4]);
            }
        }
    }

    #[test]
    fn a_line_of_just_the_limit_is_not_cut() {
        for unit in ["x", "𝄞"] {
            for end in ["\n", "\r\n", "\r", ""] {
                let line = unit.repeat(MAX_CHARS);
                assert_eq!(texts(&format!("a\n{line}{end}")), ["a\n".into(), format!("{line}\n")]);
            }
        }
    }

    #[test]
    fn bad_bytes_and_utf16_are_refused() {
        let error = lines(b"a\n\nb\xFF\n").expect_err("not UTF-8");
        assert!(matches!(error, Error::Utf8 { line: 3, offset: 4, byte: 0xFF, .. }), "{error:?}");
        assert!(matches!(lines(b"\xFF\xFEa\0"), Err(Error::Utf16 { .. })));
    }
}

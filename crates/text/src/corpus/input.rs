use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::Warnings;
use super::compressed::{Bytes, decompressed};
use crate::{Error, Position, Result};

/// Bytes read at a time, and bytes looked at to guess a format.
const CHUNK: usize = 64 << 10;

/// A decompressed UTF-8 input, read by lines or as it comes.
pub(crate) struct Input {
    bytes: Bytes,
    path: Arc<Path>,
    lossy: bool,
    /// What was read ahead starts at `from`.
    buffer: Vec<u8>,
    from: usize,
    ended: bool,
    /// Bytes and newlines decoded.
    offset: usize,
    newlines: usize,
    /// Whether a byte order mark opened the file.
    marked: bool,
    /// What was let pass.
    pub warnings: Warnings,
}

impl Input {
    pub fn new(input: Bytes, path: &Path, lossy: bool) -> Result<Input> {
        let bytes = decompressed(input, path).map_err(|source| Error::read(path, source))?;
        let mut input = Input {
            bytes,
            path: path.into(),
            lossy,
            buffer: Vec::new(),
            from: 0,
            ended: false,
            offset: 0,
            newlines: 0,
            marked: false,
            warnings: Warnings::default(),
        };
        if input.starts_with(&[0xFF, 0xFE])? || input.starts_with(&[0xFE, 0xFF])? {
            return Err(Error::Utf16 { path: path.to_path_buf() });
        }
        if input.starts_with(b"\xEF\xBB\xBF")? {
            (input.from, input.offset, input.marked) = (3, 3, true);
        }
        Ok(input)
    }

    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Whether a byte order mark, which is not given out, opened the file.
    pub fn marked(&self) -> bool {
        self.marked
    }

    /// Where the text starts in the file: behind a byte order mark, if one opened
    /// it.
    pub fn start(&self) -> Position {
        match self.marked {
            true => Position::default().after("\u{feff}"),
            false => Position::default(),
        }
    }

    /// The line the next byte is on, from 1.
    pub fn line(&self) -> usize {
        self.newlines + 1
    }

    /// The first 64 KiB that were not yet given out, or all there are.
    pub fn window(&mut self) -> Result<&[u8]> {
        while self.ahead().len() < CHUNK && self.read_more()? {}
        let ahead = self.ahead();
        Ok(&ahead[..ahead.len().min(CHUNK)])
    }

    /// The line that starts `at` bytes ahead, with its line end, without giving it
    /// out. None at the end, and none that ends behind the first 64 KiB, but of
    /// a first line these.
    pub fn peek_line(&mut self, at: usize) -> Result<Option<&[u8]>> {
        let mut searched = at;
        let end = loop {
            let ahead = self.ahead();
            let ahead = &ahead[..ahead.len().min(CHUNK)];
            match memchr::memchr(b'\n', ahead.get(searched..).unwrap_or_default()) {
                Some(newline) => break searched + newline + 1,
                None => searched = ahead.len(),
            }
            if searched == CHUNK {
                break if at == 0 { CHUNK } else { at };
            } else if !self.read_more()? {
                break searched;
            }
        };
        Ok((end > at).then(|| &self.ahead()[at..end]))
    }

    /// Whether the next line is blank, or there is none.
    pub fn blank_follows(&mut self) -> Result<bool> {
        loop {
            let mut ahead = self.ahead().iter().copied();
            match ahead.find(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) {
                Some(byte) => return Ok(byte == b'\n'),
                None if !self.read_more()? => return Ok(true),
                None => {}
            }
        }
    }

    /// Appends the next line with its line end to `out`; false at the end.
    pub fn read_line(&mut self, out: &mut String) -> Result<bool> {
        let mut searched = 0;
        let end = loop {
            match memchr::memchr(b'\n', &self.ahead()[searched..]) {
                Some(at) => break searched + at + 1,
                None => searched = self.ahead().len(),
            }
            if !self.read_more()? {
                break searched;
            }
        };
        let decoded = self.decode(end, true, out)?;
        Ok(decoded > 0)
    }

    /// Appends some more text to `out`; false at the end.
    pub fn read_text(&mut self, out: &mut String) -> Result<bool> {
        // What was looked at before, unless it is a part of a character.
        let ahead = self.ahead().len();
        if ahead > 0 && self.decode(ahead, self.ended, out)? > 0 {
            return Ok(true);
        }
        let more = self.read_more()?;
        let decoded = self.decode(self.ahead().len(), !more, out)?;
        Ok(more || decoded > 0)
    }

    /// Decodes `len` bytes; a character that is cut at their end is left for
    /// later unless they are `complete`. Returns the bytes decoded.
    fn decode(&mut self, len: usize, complete: bool, out: &mut String) -> Result<usize> {
        let mut bytes = &self.buffer[self.from..self.from + len];
        loop {
            let error = match str::from_utf8(bytes) {
                Ok(text) => {
                    push(text, out, &mut self.newlines);
                    bytes = &[];
                    break;
                }
                Err(error) => error,
            };
            let (valid, rest) = bytes.split_at(error.valid_up_to());
            push(str::from_utf8(valid).unwrap_or_default(), out, &mut self.newlines);
            bytes = rest;
            if error.error_len().is_none() && !complete {
                break;
            }
            if !self.lossy {
                let offset = self.offset + len - bytes.len();
                let (path, line) = (self.path.to_path_buf(), self.newlines + 1);
                return Err(Error::Utf8 { path, line, offset, byte: bytes[0] });
            }
            out.push(char::REPLACEMENT_CHARACTER);
            self.warnings.lossy += 1;
            bytes = &bytes[error.error_len().unwrap_or(bytes.len())..];
        }
        let decoded = len - bytes.len();
        self.from += decoded;
        self.offset += decoded;
        Ok(decoded)
    }

    fn ahead(&self) -> &[u8] {
        &self.buffer[self.from..]
    }

    /// Whether the input starts with `mark`; reads no more than it takes.
    fn starts_with(&mut self, mark: &[u8]) -> Result<bool> {
        while self.buffer.len() < mark.len()
            && mark.starts_with(&self.buffer)
            && self.read_more()?
        {}
        Ok(self.buffer.starts_with(mark))
    }

    /// Reads once; false at the end.
    fn read_more(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.from);
        self.from = 0;
        let len = self.buffer.len();
        self.buffer.resize(len + CHUNK, 0);
        let read = loop {
            match self.bytes.read(&mut self.buffer[len..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.buffer.truncate(len + *read.as_ref().unwrap_or(&0));
        let read = read.map_err(|source| Error::read(&self.path, source))?;
        self.ended = read == 0;
        Ok(read > 0)
    }
}

fn push(text: &str, out: &mut String, newlines: &mut usize) {
    out.push_str(text);
    *newlines += memchr::memchr_iter(b'\n', text.as_bytes()).count();
}

/// A line without its line end, LF or CRLF.
pub(super) fn chomp(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(bytes: &[u8], lossy: bool) -> Result<Input> {
        Input::new(Box::new(io::Cursor::new(bytes.to_vec())), Path::new("f"), lossy)
    }

    fn lines(bytes: &[u8], lossy: bool) -> Result<Vec<String>> {
        let (mut input, mut lines) = (input(bytes, lossy)?, Vec::new());
        let mut line = String::new();
        while input.read_line(&mut line)? {
            lines.push(std::mem::take(&mut line));
        }
        Ok(lines)
    }

    #[test]
    fn lines_keep_their_ends_and_lose_the_mark() {
        let read = lines(b"\xEF\xBB\xBFa\r\n\nb", false).expect("text");
        assert_eq!(read, ["a\r\n", "\n", "b"]);
        assert_eq!(read.iter().map(|line| chomp(line)).collect::<String>(), "ab");
        assert!(lines(b"", false).is_ok_and(|lines| lines.is_empty()));
    }

    #[test]
    fn bad_bytes_have_line_and_offset() {
        let error = lines("\u{feff}a\nbé".as_bytes().strip_suffix(b"\xA9").expect("cut"), false)
            .expect_err("cut");
        assert!(matches!(error, Error::Utf8 { line: 2, offset: 6, byte: 0xC3, .. }), "{error:?}");
        assert!(error.to_string().starts_with("f:2: byte 6 (0xC3) is not UTF-8"), "{error}");
    }

    #[test]
    fn bad_bytes_are_replaced_and_counted() {
        let mut input = input(b"a\xFF\xFEb\nc\xE2\x82", true).expect("input");
        let mut text = String::new();
        while input.read_text(&mut text).expect("lossy") {}
        assert_eq!(text, "a\u{fffd}\u{fffd}b\nc\u{fffd}");
        assert_eq!(input.warnings.lossy, 3);
    }

    #[test]
    fn utf16_is_named() {
        for bytes in [b"\xFF\xFEa\0", b"\xFE\xFF\0a"] {
            assert!(matches!(input(bytes, true), Err(Error::Utf16 { .. })));
        }
    }
}

//! Bytes of a pickle, kept as they come.

use std::{io::Read, ops::Range};

use crate::{Error, Result};

/// Bytes that are asked for at once at most, so that no claim of a length
/// reserves memory.
const PIECE: usize = 1 << 16;

/// A pickle's bytes as far as it was read.
pub(crate) struct Input<R> {
    source: R,
    data: Vec<u8>,
    /// Most bytes.
    limit: usize,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(source: R, limit: usize) -> Self {
        Self { source, data: Vec::new(), limit }
    }

    /// All that was read.
    pub(crate) fn into_data(self) -> Vec<u8> {
        self.data
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.data[range]
    }

    pub(crate) fn problem(&self, problem: impl Into<String>) -> Error {
        Error::Pickle { offset: self.data.len() as u64, problem: problem.into() }
    }

    /// The next so many bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<Range<usize>> {
        let start = self.data.len();
        if len > self.limit - start {
            return Err(self.problem(format!("it has more than {} bytes, the limit", self.limit)));
        }
        let mut rest = len;
        while rest > 0 {
            let piece = rest.min(PIECE);
            let before = self.data.len();
            self.data.resize(before + piece, 0);
            if let Err(error) = self.source.read_exact(&mut self.data[before..]) {
                self.data.truncate(before);
                return Err(match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => {
                        self.problem("it ends in the middle of a value")
                    }
                    _ => error.into(),
                });
            }
            rest -= piece;
        }
        Ok(start..start + len)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let range = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(&self.data[range]);
        Ok(array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// A length of four bytes.
    pub(crate) fn len4(&mut self) -> Result<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    /// A length of eight bytes.
    pub(crate) fn len8(&mut self) -> Result<usize> {
        let len = u64::from_le_bytes(self.array()?);
        usize::try_from(len).map_err(|_| self.problem("it holds more than can be addressed"))
    }

    /// The rest of a line, without its end.
    pub(crate) fn line(&mut self) -> Result<Range<usize>> {
        let start = self.data.len();
        while self.byte()? != b'\n' {}
        Ok(start..self.data.len() - 1)
    }

    /// A line that is text.
    pub(crate) fn text_line(&mut self) -> Result<Range<usize>> {
        let line = self.line()?;
        match std::str::from_utf8(&self.data[line.clone()]) {
            Ok(text) => Ok(line.start..line.start + text.trim_end_matches('\r').len()),
            Err(_) => Err(Error::Pickle {
                offset: line.start as u64,
                problem: "a line is not UTF-8".to_owned(),
            }),
        }
    }

    /// A line that was found to be text.
    pub(crate) fn text(&self, line: Range<usize>) -> &str {
        std::str::from_utf8(&self.data[line]).unwrap_or_default()
    }
}

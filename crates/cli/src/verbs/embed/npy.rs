//! An array of NumPy, format version 1.0.

use std::{
    io::{self, Write},
    path::Path,
};

use glossator::Sentence;

use super::{Writer, spool::Spool};

/// What stands before the length of the header: magic string and version.
const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// What comes behind the header is at a multiple of so many bytes.
const ALIGNMENT: usize = 64;

pub struct Npy {
    out: Box<dyn Write>,
    vectors: Spool,
    tokens: usize,
    dim: usize,
}

impl Npy {
    pub fn new(out: Box<dyn Write>, path: Option<&Path>, dim: usize) -> io::Result<Self> {
        Ok(Self { out, vectors: Spool::new(path)?, tokens: 0, dim })
    }
}

impl Writer for Npy {
    fn write(&mut self, sentence: &Sentence, rows: &[f32]) -> io::Result<()> {
        self.tokens += sentence.len();
        self.vectors.floats(rows)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.write_all(&header(self.tokens, self.dim))?;
        self.vectors.copy_to(&mut self.out)
    }
}

/// What stands before the values of an array `[tokens, dim]`.
fn header(tokens: usize, dim: usize) -> Vec<u8> {
    let mut text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({tokens}, {dim}), }}");
    let start = MAGIC.len() + size_of::<u16>();
    let end = (start + text.len() + 1).next_multiple_of(ALIGNMENT);
    text.extend(std::iter::repeat_n(' ', end - start - text.len() - 1));
    text.push('\n');
    let length = (text.len() as u16).to_le_bytes();
    [MAGIC, &length[..], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_its_length_and_is_aligned() {
        for (tokens, dim) in [(0, 1), (3, 4), (123_456, 2048), (usize::MAX, usize::MAX)] {
            let header = header(tokens, dim);
            assert_eq!(header.len() % ALIGNMENT, 0);
            assert_eq!(usize::from(header[8]) + 256 * usize::from(header[9]) + 10, header.len());
            let text = String::from_utf8_lossy(&header[10..]);
            assert!(text.contains(&format!("({tokens}, {dim})")) && text.ends_with('\n'), "{text}");
        }
    }
}

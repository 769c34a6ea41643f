//! Two tensors: `vectors [all tokens, dim]`, and `offsets [sentences + 1]`, the
//! first token of each sentence and, in the end, the number of all tokens.

use std::{
    io::{self, Write},
    path::Path,
};

use glossator::Sentence;
use serde_json::json;

use super::{Writer, spool::Spool};

pub struct Safetensors {
    out: Box<dyn Write>,
    offsets: Spool,
    vectors: Spool,
    sentences: usize,
    tokens: usize,
    dim: usize,
}

impl Safetensors {
    pub fn new(out: Box<dyn Write>, path: Option<&Path>, dim: usize) -> io::Result<Self> {
        let mut offsets = Spool::new(path)?;
        offsets.integer(0)?;
        Ok(Self { out, offsets, vectors: Spool::new(path)?, sentences: 0, tokens: 0, dim })
    }
}

impl Writer for Safetensors {
    fn write(&mut self, sentence: &Sentence, rows: &[f32]) -> io::Result<()> {
        self.sentences += 1;
        self.tokens += sentence.len();
        self.offsets.integer(self.tokens as i64)?;
        self.vectors.floats(rows)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.write_all(&header(self.sentences, self.tokens, self.dim))?;
        self.offsets.copy_to(&mut self.out)?;
        self.vectors.copy_to(&mut self.out)
    }
}

/// Length of the header, and the header. The offsets come first, so that both
/// tensors stand where their numbers may: at multiples of eight and four bytes.
fn header(sentences: usize, tokens: usize, dim: usize) -> Vec<u8> {
    let offsets = (sentences + 1) * size_of::<i64>();
    let end = offsets + tokens * dim * size_of::<f32>();
    let header = json!({
        "offsets": { "dtype": "I64", "shape": [sentences + 1], "data_offsets": [0, offsets] },
        "vectors": { "dtype": "F32", "shape": [tokens, dim], "data_offsets": [offsets, end] },
    });
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(size_of::<i64>()), b' ');
    [&(header.len() as u64).to_le_bytes()[..], &header].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_shapes_and_places() {
        let bytes = header(2, 5, 3);
        let (length, json) = bytes.split_at(8);
        assert_eq!(length, (json.len() as u64).to_le_bytes());
        assert_eq!(json.len() % 8, 0);
        let json: serde_json::Value = serde_json::from_slice(json).unwrap();
        assert_eq!(json["offsets"]["data_offsets"], json!([0, 24]));
        assert_eq!(json["vectors"]["data_offsets"], json!([24, 84]));
        assert_eq!(json["vectors"]["shape"], json!([5, 3]));
    }
}

//! Binary files of word2vec: a line "words dimensions", then each word, a space,
//! and its numbers.

use std::{path::Path, sync::Arc};

use glossator_text::Dictionary;

use super::{
    Rows, WordVectors, add_word, damaged,
    data::{Data, Reader},
};
use crate::{Result, limits::MAX_DIM};

/// Longest first line, in bytes.
const MAX_HEADER: usize = 64;
/// Bytes behind the first word that tell numbers from text.
const SAMPLE: usize = 256;

/// Whether a file begins as one of word2vec does, and what follows the first word
/// is no text: bytes that are no UTF-8, or control characters.
pub(super) fn is_one(data: &[u8]) -> bool {
    let Some((_, dim, start)) = header(data) else { return false };
    let rest = &data[start..];
    let Some(space) = rest.iter().position(|byte| *byte == b' ') else { return false };
    let numbers = &rest[space..];
    let numbers = &numbers[..numbers.len().min(SAMPLE.min(dim.saturating_mul(4)) + 1)];
    let (text, is_cut) = match std::str::from_utf8(numbers) {
        Ok(text) => (text, true),
        // A character that the sample ends in is no fault.
        Err(error) => {
            let (valid, _) = numbers.split_at(error.valid_up_to());
            (std::str::from_utf8(valid).unwrap_or_default(), error.error_len().is_none())
        }
    };
    !is_cut || text.chars().any(|c| c.is_control() && !c.is_whitespace())
}

/// Words, dimensions, and where the first word begins.
fn header(data: &[u8]) -> Option<(usize, usize, usize)> {
    let end = data.iter().take(MAX_HEADER).position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&data[..end]).ok()?;
    let (words, dim) = line.trim().split_once(' ')?;
    let dim = dim.trim().parse().ok().filter(|dim| *dim > 0)?;
    Some((words.parse().ok()?, dim, end + 1))
}

pub(super) fn read(path: &Path, data: Data, max: usize) -> Result<WordVectors> {
    let (words, dim, start) = header(&data).unwrap_or_default();
    if dim == 0 || dim > MAX_DIM {
        let problem = format!("{dim} dimensions, at most {MAX_DIM} are read");
        return Err(damaged(path, 0, problem));
    }
    let mut reader = Reader::new(&data);
    reader.take(start);
    let (mut dictionary, mut places) = (Dictionary::with_unknown(), Vec::new());
    for number in 0..words.min(max) {
        let place = reader.place();
        let row = reader.until(b' ').and_then(|word| {
            let at = reader.place();
            let row = reader.take(dim * 4)?;
            Some((word, at, row))
        });
        let Some((word, at, row)) = row else {
            let problem = format!("it ends in word {} of {words}: is it cut?", number + 1);
            return Err(damaged(path, place, problem));
        };
        if row.as_chunks::<4>().0.iter().any(|value| !f32::from_le_bytes(*value).is_finite()) {
            return Err(damaged(
                path,
                at,
                format!("the vector of word {} is not finite", number + 1),
            ));
        }
        // Some programs end each row with a line break.
        let word = word.strip_prefix(b"\n").unwrap_or(word);
        add_word(&mut dictionary, word);
        places.push(at);
    }
    if places.is_empty() {
        return Err(damaged(path, start, "the file holds no vectors"));
    }
    let rows = Rows::Scattered { data: Arc::new(data), places: places.into() };
    Ok(WordVectors::new(dictionary, rows, dim, None))
}

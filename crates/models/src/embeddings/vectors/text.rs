//! Word vectors in text files: word2vec (a first line "words dimensions") and
//! GloVe (without it).

use std::path::Path;

use glossator_text::{Dictionary, corpus};

use super::WordVectors;
use crate::{Error, Result, limits::MAX_DIM};

/// Rows as they are read: row 0 is zero and stands for unknown words.
struct Table {
    dictionary: Dictionary,
    /// `[words + 1, dim]`
    values: Vec<f32>,
    dim: usize,
}

impl From<Table> for WordVectors {
    fn from(table: Table) -> Self {
        Self::of_values(table.dictionary, table.values.into(), table.dim, None)
    }
}

/// Reads a file of text, at most `max` words of it.
pub(super) fn read(path: &Path, max: usize) -> Result<WordVectors> {
    let problem = |line: usize, problem: String| Error::Data {
        path: path.to_owned(),
        line: Some(line),
        problem,
    };
    let mut vectors = Table { dictionary: Dictionary::with_unknown(), values: Vec::new(), dim: 0 };
    let mut promised = None;
    let mut rows = 0;
    for (number, line) in corpus::text_lines(path)?.enumerate() {
        let line = line?;
        let (number, line) = (number + 1, line.trim_end());
        if line.is_empty() {
            continue;
        }
        if number == 1
            && let Some(header) = header(line)
        {
            if header.1 > MAX_DIM {
                let found = header.1;
                return Err(problem(1, format!("{found} dimensions, at most {MAX_DIM} are read")));
            }
            (promised, vectors.dim) = (Some(header.0), header.1);
            continue;
        }
        if rows >= max {
            return Ok(vectors.into());
        }
        if vectors.dim == 0 {
            vectors.dim = line.split(' ').count() - 1;
        }
        if vectors.values.is_empty() {
            vectors.values = vec![0.0; vectors.dim];
        }
        let (word, row) = split_row(line, vectors.dim).map_err(|reason| problem(number, reason))?;
        rows += 1;
        // A word that stands twice keeps its first vector.
        if vectors.dictionary.get(word).is_none() {
            vectors.dictionary.add(word);
            vectors.values.extend(row);
        }
    }
    match promised {
        Some(words) if words > rows => Err(problem(
            1,
            format!("the first line promises {words} words, the file has {rows}: is it cut?"),
        )),
        _ if rows == 0 => Err(problem(1, "the file holds no vectors".to_owned())),
        _ => Ok(vectors.into()),
    }
}

/// Words and dimensions, if this is a first line that tells them.
fn header(line: &str) -> Option<(usize, usize)> {
    let (words, dim) = line.split_once(' ')?;
    Some((words.parse().ok()?, dim.parse().ok().filter(|dim| *dim > 0)?))
}

/// A word, which may hold spaces, and its `dim` numbers.
fn split_row(line: &str, dim: usize) -> Result<(&str, Vec<f32>), String> {
    let mut fields: Vec<&str> = line.rsplitn(dim + 1, ' ').collect();
    if dim == 0 || fields.len() != dim + 1 {
        return Err(format!("expected {dim} numbers, found {}", fields.len() - 1));
    }
    let word = fields.pop().unwrap_or_default();
    let numbers = fields.iter().rev().map(|field| field.parse());
    let numbers = numbers
        .collect::<Result<Vec<f32>, _>>()
        .map_err(|_| format!("the vector of `{word}` holds something that is no number"))?;
    match numbers.iter().all(|number| number.is_finite()) {
        true => Ok((word, numbers)),
        false => Err(format!("the vector of `{word}` is not finite")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, max: usize) -> Result<WordVectors> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.vec");
        std::fs::write(&path, text).unwrap();
        read(&path, max)
    }

    #[test]
    fn both_forms_give_the_same_rows() {
        for text in ["2 3\na 1 2 3\nb 4 5 6\n", "a 1 2 3\nb 4 5 6"] {
            let vectors = read_text(text, usize::MAX).unwrap();
            assert_eq!(vectors.dim, 3);
            assert_eq!(vectors.values(), [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            assert_eq!(vectors.dictionary.id("b"), 2);
        }
        assert_eq!(read_text("2 3\na 1 2 3\nb 4 5 6\n", 1).unwrap().dictionary.len(), 2);
    }

    #[test]
    fn words_with_spaces_repeated_words_and_blank_lines_are_read() {
        let vectors = read_text("4 2\na 1 2\n. . . 3 4\na 5 6\n<unk> 7 8\n\n", usize::MAX).unwrap();
        assert_eq!(vectors.dictionary.iter().collect::<Vec<_>>(), ["<unk>", "a", ". . ."]);
        assert_eq!(vectors.values(), [0.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn damaged_files_are_refused_with_their_line() {
        for (text, place) in [
            ("3 2\na 1 2\nb 3 4\n", "v.vec:1: the first line promises 3 words"),
            ("a 1 2\nb 3\n", "v.vec:2: expected 2 numbers, found 1"),
            ("a 1 nan\n", "v.vec:1: the vector of `a` is not finite"),
            ("a 1 x\n", "v.vec:1: the vector of `a` holds"),
            ("", "v.vec:1: the file holds no vectors"),
            ("2 18446744073709551615\na 1 2\n", "v.vec:1: 18446744073709551615 dimensions"),
        ] {
            let Err(error) = read_text(text, usize::MAX) else { panic!("{text} was read") };
            assert!(error.to_string().contains(place), "{error}");
        }
    }
}

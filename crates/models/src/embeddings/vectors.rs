//! Word vectors in text files: word2vec (a first line "words dimensions") and
//! GloVe (without it).

use std::path::Path;

use glossator_text::{Dictionary, corpus};

use crate::{Error, Result};

/// Given vectors: row 0 is zero and stands for unknown words.
pub(crate) struct WordVectors {
    pub(crate) dictionary: Dictionary,
    /// `[words + 1, dim]`
    pub(crate) values: Vec<f32>,
    pub(crate) dim: usize,
}

/// Reads a file of vectors, plain or compressed, at most `max` words of it.
pub(crate) fn read(path: &Path, max: Option<usize>) -> Result<WordVectors> {
    let problem = |line: usize, problem: String| Error::Data {
        path: path.to_owned(),
        line: Some(line),
        problem,
    };
    let mut vectors =
        WordVectors { dictionary: Dictionary::with_unknown(), values: Vec::new(), dim: 0 };
    let mut promised = None;
    for (number, line) in corpus::text_lines(path)?.enumerate() {
        let line = line?;
        let number = number + 1;
        let mut fields = line.trim_end().split(' ');
        let word = fields.next().unwrap_or_default();
        let numbers = fields.map(str::parse).collect::<Result<Vec<f32>, _>>();
        let numbers = numbers.map_err(|_| {
            problem(number, format!("the vector of `{word}` holds something that is no number"))
        })?;
        if number == 1 && numbers.len() == 1 {
            promised = word.parse::<usize>().ok();
            continue;
        }
        if max.is_some_and(|max| vectors.dictionary.len() > max) {
            return Ok(vectors);
        }
        if vectors.dim == 0 {
            vectors.dim = numbers.len();
            vectors.values = vec![0.0; vectors.dim];
        }
        if numbers.len() != vectors.dim || numbers.is_empty() {
            let (want, found) = (vectors.dim, numbers.len());
            return Err(problem(number, format!("expected {want} numbers, found {found}")));
        }
        if !numbers.iter().all(|v| v.is_finite()) {
            return Err(problem(number, format!("the vector of `{word}` is not finite")));
        }
        // A word that stands twice keeps its first vector.
        if vectors.dictionary.get(word).is_none() {
            vectors.dictionary.add(word);
            vectors.values.extend(numbers);
        }
    }
    let found = vectors.dictionary.len() - 1;
    match promised {
        Some(words) if words > found => Err(problem(
            1,
            format!("the first line promises {words} words, the file has {found}: is it cut?"),
        )),
        _ if found == 0 => Err(problem(1, "the file holds no vectors".to_owned())),
        _ => Ok(vectors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, max: Option<usize>) -> Result<WordVectors> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.vec");
        std::fs::write(&path, text).unwrap();
        read(&path, max)
    }

    #[test]
    fn both_forms_give_the_same_rows() {
        for text in ["2 3\na 1 2 3\nb 4 5 6\n", "a 1 2 3\nb 4 5 6"] {
            let vectors = read_text(text, None).unwrap();
            assert_eq!(vectors.dim, 3);
            assert_eq!(vectors.values, [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            assert_eq!(vectors.dictionary.id("b"), 2);
        }
        assert_eq!(read_text("2 3\na 1 2 3\nb 4 5 6\n", Some(1)).unwrap().dictionary.len(), 2);
    }

    #[test]
    fn damaged_files_are_refused_with_their_line() {
        for (text, place) in [
            ("3 2\na 1 2\nb 3 4\n", "v.vec:1: the first line promises 3 words"),
            ("a 1 2\nb 3\n", "v.vec:2: expected 2 numbers, found 1"),
            ("a 1 nan\n", "v.vec:1: the vector of `a` is not finite"),
            ("a 1 x\n", "v.vec:1: the vector of `a` holds"),
            ("", "v.vec:1: the file holds no vectors"),
        ] {
            let Err(error) = read_text(text, None) else { panic!("{text} was read") };
            assert!(error.to_string().contains(place), "{error}");
        }
    }
}

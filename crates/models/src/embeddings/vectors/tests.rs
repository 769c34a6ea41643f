use std::path::PathBuf;

use super::*;

/// A file in a folder that is removed with the guard.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn vector(vectors: &WordVectors, word: &str) -> Vec<f32> {
    let mut vector = vec![9.0; vectors.dim];
    vectors.write(word, &mut vector);
    vector
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A file of fastText with the words "ab" and "c" and four buckets of n-grams of
/// one and two characters; row `r` is `[r, 10 r]`.
fn fasttext() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut ints = |values: &[i32]| values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    // Magic, version, dim, window, epochs, least count, negatives, n-grams of words, loss, model,
    // buckets, shortest and longest n-gram, rate of updates.
    ints(&[793_712_314, 12, 2, 5, 5, 1, 5, 1, 1, 2, 4, 1, 2, 100]);
    bytes.extend(1e-4_f64.to_le_bytes());
    [3_i32, 2, 1].iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    [7_i64, 0].iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    for (word, kind) in [("ab", 0), ("c", 0), ("__label__x", 1)] {
        bytes.extend(word.as_bytes());
        bytes.push(0);
        bytes.extend(3_i64.to_le_bytes());
        bytes.push(kind);
    }
    bytes.push(0);
    [6_i64, 2].iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    bytes.extend((0..6).flat_map(|row| floats(&[row as f32, 10.0 * row as f32])));
    bytes
}

/// Row of an n-gram, behind the two words.
fn bucket(ngram: &str) -> usize {
    let fnv = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(16_777_619);
    2 + ngram.as_bytes().iter().fold(2_166_136_261, fnv) as usize % 4
}

#[test]
fn words_of_fasttext_are_made_of_their_ngrams_known_or_not() {
    let (_folder, path) = file("v.bin", &fasttext());
    let vectors = read(&path, None).unwrap();
    let mean = |rows: &[usize]| {
        let mean = rows.iter().sum::<usize>() as f32 / rows.len() as f32;
        vec![mean, 10.0 * mean]
    };
    let near = |got: Vec<f32>, want: Vec<f32>| {
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4), "{got:?} {want:?}");
    };
    let rows = |ngrams: &[&str]| ngrams.iter().map(|n| bucket(n)).collect::<Vec<_>>();
    near(vector(&vectors, "b"), mean(&rows(&["<b", "b", "b>"])));
    let own = [vec![0], rows(&["<a", "a", "ab", "b", "b>"])].concat();
    near(vector(&vectors, "ab"), mean(&own));
    // In another case it is another word.
    near(vector(&vectors, "C"), mean(&rows(&["<C", "C", "C>"])));
    // A model holds the same, in memory.
    let subwords = vectors.subwords.clone().map(|subwords| subwords.in_memory(2));
    let stored = WordVectors::of_values(
        vectors.dictionary.clone(),
        vectors.values().into(),
        vectors.dim,
        subwords,
    );
    for word in ["ab", "c", "b", "x", "ü", "</s>"] {
        near(vector(&stored, word), vector(&vectors, word));
    }
    let few = read(&path, Some(1)).unwrap();
    assert_eq!(few.dictionary.len(), 2);
    near(vector(&few, "c"), mean(&rows(&["<c", "c", "c>"])));
}

#[test]
fn binary_files_of_word2vec_are_read_with_line_breaks_and_without() {
    for end in ["", "\n"] {
        let mut bytes = b"3 2\n".to_vec();
        for (word, row) in
            [(&b"berlin"[..], [1.0, -2.0]), (b"b\xff", [3.0, 4.0]), (b"##", [5.0, 6.0])]
        {
            bytes.extend(word);
            bytes.push(b' ');
            bytes.extend(floats(&row));
            bytes.extend(end.as_bytes());
        }
        let (_folder, path) = file("v.bin", &bytes);
        let vectors = read(&path, None).unwrap();
        assert_eq!(vector(&vectors, "Berlin"), [1.0, -2.0]);
        assert_eq!(vector(&vectors, "42"), [5.0, 6.0]);
        assert_eq!(vector(&vectors, "unknown"), [0.0, 0.0]);
        assert_eq!(vectors.values()[..4], [0.0, 0.0, 1.0, -2.0]);
        assert_eq!(read(&path, Some(1)).unwrap().dictionary.len(), 2);
        for len in 5..bytes.len() - end.len() {
            let (_folder, path) = file("v.bin", &bytes[..len]);
            assert!(read(&path, None).is_err(), "{len} bytes");
        }
    }
}

#[test]
fn text_in_any_script_is_not_taken_for_numbers() {
    // The sample of its first row ends within a character, whatever is before it.
    for padding in 0..8 {
        let word = format!("{}ü日本", "a".repeat(padding));
        let text = format!("3 2\n{word} 1 2\nü日本語🦊 3 4\n語語語 5 6\n");
        let (_folder, path) = file("v.vec", text.as_bytes());
        let vectors = read(&path, None).unwrap_or_else(|error| panic!("{padding}: {error}"));
        assert_eq!(vector(&vectors, "語語語"), [5.0, 6.0]);
    }
}

#[test]
fn a_file_of_fasttext_cut_or_changed_anywhere_is_an_error_or_vectors() {
    let bytes = fasttext();
    for len in 0..bytes.len() {
        let (_folder, path) = file("v.bin", &bytes[..len]);
        assert!(read(&path, None).is_err(), "{len} bytes");
    }
    for place in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut changed = bytes.clone();
            changed[place] = value;
            let (_folder, path) = file("v.bin", &changed);
            if let Ok(vectors) = read(&path, None) {
                vector(&vectors, "ab");
                vector(&vectors, "neu");
            }
        }
    }
}

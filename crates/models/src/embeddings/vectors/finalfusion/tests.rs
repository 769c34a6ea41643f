use std::path::PathBuf;

use ::finalfusion::{
    compat::fasttext::FastTextIndexer,
    io::WriteEmbeddings,
    metadata::Metadata,
    subword::{BucketIndexer, ExplicitIndexer, FinalfusionHashIndexer},
    vocab::{BucketSubwordVocab, ExplicitSubwordVocab, FastTextSubwordVocab, SimpleVocab},
};
use ndarray::Array2;

use super::{super::read, *};
use crate::limits::MAX_DIM;

type Crate = Embeddings<VocabWrap, NdArray>;

const DIM: usize = 3;
const WORDS: [&str; 3] = ["ab", "c", "Über"];
/// Known words, unknown ones, and such as have no n-gram in a list.
const ASKED: [&str; 9] = ["ab", "c", "Über", "abx", "b", "x", "", "日本語", "</s>"];

fn vocabularies() -> [VocabWrap; 4] {
    let words = WORDS.map(str::to_owned);
    // Two n-grams share a vector, and the numbers are not in order.
    let ngrams = [("<a", 5), ("ab", 3), ("b>", 5), ("x", 9)];
    let ngrams = ngrams.map(|(ngram, number)| (ngram.to_owned(), number));
    let (explicit, _) = ExplicitIndexer::new_with_indices(ngrams);
    [
        SimpleVocab::new(words.clone()).into(),
        FastTextSubwordVocab::new(words.clone(), 1, 3, FastTextIndexer::new(5)).into(),
        BucketSubwordVocab::new(words.clone(), 2, 4, FinalfusionHashIndexer::new(2)).into(),
        ExplicitSubwordVocab::new(words, 1, 2, explicit).into(),
    ]
}

/// Vectors of no common direction; those of words have the length 1.
fn matrix(vocabulary: &VocabWrap) -> Array2<f32> {
    let value = |(row, column)| ((7 * row + 4 * column * column) % 11) as f32 / 4.0 - 1.0;
    let mut matrix = Array2::from_shape_fn((vocabulary.vocab_len(), DIM), value);
    for mut row in matrix.outer_iter_mut().take(WORDS.len()) {
        let norm = row.dot(&row).sqrt();
        row /= norm;
    }
    matrix
}

fn embeddings(vocabulary: VocabWrap) -> Crate {
    let (matrix, norms) = (matrix(&vocabulary), vec![2.0_f32, 0.5, 3.25]);
    Embeddings::new(None, vocabulary, NdArray::new(matrix), NdNorms::new(norms))
}

fn bytes(embeddings: &Crate) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    embeddings.write_embeddings(&mut bytes).unwrap();
    bytes.into_inner()
}

/// Files of every vocabulary, with norms and without.
fn files() -> Vec<Vec<u8>> {
    let files = vocabularies().map(|vocabulary| bytes(&embeddings(vocabulary)));
    files.iter().flat_map(|bytes| [bytes.clone(), without_norms(bytes)]).collect()
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from_le_bytes(bytes[place..place + 4].try_into().unwrap())
}

/// Where each chunk begins, and the end of the file.
fn chunks(bytes: &[u8]) -> Vec<usize> {
    let mut places = vec![12 + 4 * u32_at(bytes, 8) as usize];
    while let Some(place) = places.last().copied().filter(|place| *place < bytes.len()) {
        places.push(place + 12 + u32_at(bytes, place + 4) as usize);
    }
    places
}

/// A file of vocabulary, matrix and norms without these.
fn without_norms(bytes: &[u8]) -> Vec<u8> {
    let mut less = bytes[..chunks(bytes)[2]].to_vec();
    less[8] = 2;
    less.drain(20..24);
    less
}

/// A file with the last place of some bytes changed.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let place = bytes.windows(from.len()).rposition(|window| window == from).unwrap();
    [&bytes[..place], to, &bytes[place + from.len()..]].concat()
}

/// A file in a folder that is removed with the guard.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.fifu");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn load(bytes: &[u8], max: Option<usize>) -> Result<WordVectors> {
    // Without a file, which takes longer.
    if is_one(bytes) {
        return super::read(Path::new("v.fifu"), bytes, max.unwrap_or(usize::MAX));
    }
    let (_folder, path) = file(bytes);
    read(&path, max)
}

/// What is said of a file that is refused.
fn problem(bytes: &[u8]) -> String {
    let Err(error) = load(bytes, None) else { panic!("it was read") };
    let text = error.to_string();
    assert!(text.contains("v.fifu: byte "), "{text}");
    text
}

fn vector(vectors: &WordVectors, word: &str) -> Vec<f32> {
    let mut vector = vec![9.0; vectors.dim];
    vectors.write(word, &mut vector);
    vector
}

/// The crate's answer for a word: with norms of the length of training, which the
/// crate takes for that of the sum of n-grams, else as it is stored.
fn answer(embeddings: &Crate, word: &str) -> Vec<f32> {
    let Some(found) = embeddings.embedding_with_norm(word) else { return vec![0.0; DIM] };
    if embeddings.norms().is_none() {
        return embeddings.embedding(word).unwrap().to_vec();
    }
    let vector = found.into_unnormalized();
    let ngrams = embeddings.vocab().idx(word).unwrap().subword().map_or(1, <[usize]>::len);
    (vector / ngrams as f32).to_vec()
}

#[track_caller]
fn near(got: &[f32], want: &[f32], what: &str) {
    let is_near = got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(got.len() == want.len() && is_near, "{what}: {got:?}, expected {want:?}");
}

#[test]
fn vectors_are_those_of_the_crate_with_norms_and_without() {
    for bytes in files() {
        let embeddings = Crate::read_embeddings(&mut Cursor::new(&bytes)).unwrap();
        let (_folder, path) = file(&bytes);
        let vectors = read(&path, None).unwrap();
        let mut unknown = 0;
        for word in ASKED {
            let want = answer(&embeddings, word);
            near(&vector(&vectors, word), &want, word);
            unknown += usize::from(!WORDS.contains(&word) && want != [0.0; DIM]);
        }
        let has_ngrams = !matches!(embeddings.vocab(), VocabWrap::SimpleVocab(_));
        assert_eq!((unknown > 0, vectors.subwords.is_some()), (has_ngrams, has_ngrams));
        // Their length is that of training, or one.
        let length = |word| vector(&vectors, word).iter().map(|v| v * v).sum::<f32>().sqrt();
        let want = if embeddings.norms().is_some() { [2.0, 0.5, 3.25] } else { [1.0; 3] };
        near(&WORDS.map(length), &want, "lengths");
        assert_eq!(vectors.values().len(), (WORDS.len() + 1) * DIM);
        let rows = [vec![0.0; DIM], vector(&vectors, "ab")].concat();
        assert_eq!(vectors.values()[..2 * DIM], rows);
    }
}

#[test]
fn words_beyond_the_first_ones_are_made_of_their_ngrams() {
    let few = load(&files()[2], Some(1)).unwrap();
    let all = load(&files()[2], None).unwrap();
    assert_eq!(few.dictionary.len(), 2);
    assert_eq!(vector(&few, "ab"), vector(&all, "ab"));
    assert_ne!(vector(&few, "c"), vector(&all, "c"));
    assert_eq!(vector(&few, "abx"), vector(&all, "abx"));
}

#[test]
fn a_file_of_fasttext_without_ngrams_has_none() {
    let words = WORDS.map(str::to_owned);
    let vocabulary = FastTextSubwordVocab::new(words, 0, 0, FastTextIndexer::new(0));
    let vectors = load(&bytes(&embeddings(vocabulary.into())), None).unwrap();
    assert!(vectors.subwords.is_none());
    assert_eq!(vector(&vectors, "unknown"), [0.0; DIM]);
}

#[test]
fn metadata_are_passed_over() {
    let [simple, ..] = vocabularies();
    let mut embeddings = embeddings(simple);
    embeddings.set_metadata(Some(Metadata::new("key = 1".parse().unwrap())));
    let bytes = bytes(&embeddings);
    assert_eq!(vector(&load(&bytes, None).unwrap(), "c"), answer(&embeddings, "c"));
    assert!(problem(&replaced(&bytes, b"key = 1", b"key = =")).contains("TOML"));
    assert!(problem(&replaced(&bytes, b"key = 1", b"key\xff= 1")).contains("not UTF-8"));
    // In multiples of four bytes, so that all else stays where it is.
    let other = |text: &str| {
        let mut bytes = replaced(&bytes, b"key = 1\n", text.as_bytes());
        bytes[32..36].copy_from_slice(&(text.len() as u32).to_le_bytes());
        bytes
    };
    assert!(load(&other("key = [0, 1]"), None).is_ok());
    assert!(problem(&other(&format!("key = {}", "[".repeat((1 << 18) + 2)))).contains("TOML"));
    let long = other(&format!("# {}", " ".repeat((1 << 20) + 2)));
    assert!(problem(&long).contains("bytes of metadata"));
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    for bytes in files() {
        for len in 0..bytes.len() {
            assert!(load(&bytes[..len], None).is_err(), "{len} bytes");
        }
        problem(&[&bytes[..], b"\0"].concat());
    }
}

/// Places and widths of all counts, sizes and kinds of a file, but for the lengths
/// of n-grams.
fn counts(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (places, chunks) = (chunks(bytes), u32_at(bytes, 8) as usize);
    let mut counts = vec![(4, 4), (8, 4)];
    counts.extend((0..chunks).map(|number| (12 + 4 * number, 4)));
    // Kind and length of each; words, vectors, norms.
    for place in &places[..chunks] {
        counts.extend([(*place, 4), (place + 4, 8), (place + 12, 8)]);
    }
    // N-grams or buckets; bytes of the first word.
    let more = places[0] + 20;
    match u32_at(bytes, places[0]) {
        1 => counts.push((more, 4)),
        8 => counts.extend([(more, 8), (more + 16, 4)]),
        _ => counts.extend([(more + 8, 4), (more + 12, 4)]),
    }
    // Columns, and types of numbers.
    counts.extend([(places[1] + 20, 4), (places[1] + 24, 4)]);
    counts.extend(places[..chunks].get(2).map(|place| (place + 20, 4)));
    counts
}

#[test]
fn counts_that_are_not_those_of_the_file_are_refused() {
    for bytes in files() {
        for (place, width) in counts(&bytes) {
            let more = u64::from(u32_at(&bytes, place)) + 1;
            for value in [0, more, 0x7fff_ffff, 0xffff_ffff, 1 << 40, 1 << 61, u64::MAX] {
                let value = &value.to_le_bytes()[..width];
                let mut changed = bytes.clone();
                changed[place..place + width].copy_from_slice(value);
                if changed != bytes {
                    assert!(load(&changed, None).is_err(), "{place}: {value:?}");
                }
            }
        }
    }
}

#[test]
fn lengths_of_ngrams_that_cannot_be_are_refused() {
    for bytes in &files()[2..] {
        let min = chunks(bytes)[0] + if u32_at(bytes, chunks(bytes)[0]) == 8 { 28 } else { 20 };
        for (min_n, max_n) in [(0, 3_u32), (3, 2), (1, 101), (1, u32::MAX), (u32::MAX, u32::MAX)] {
            let mut changed = bytes.clone();
            changed[min..min + 4].copy_from_slice(&u32::to_le_bytes(min_n));
            changed[min + 4..min + 8].copy_from_slice(&max_n.to_le_bytes());
            assert!(problem(&changed).contains("characters cannot be"));
        }
    }
}

#[test]
fn a_file_that_is_changed_anywhere_is_an_error_or_vectors() {
    for bytes in files() {
        for place in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[place] = value;
                if let Ok(vectors) = load(&changed, None) {
                    let all = ASKED.map(|word| vector(&vectors, word));
                    assert!(all.iter().flatten().all(|value| !value.is_nan()), "{place}: {value}");
                }
            }
        }
    }
}

#[test]
fn what_the_crate_would_panic_at_is_refused_by_name() {
    let [simple, _, _, explicit] = vocabularies();
    let simple = bytes(&embeddings(simple));
    let explicit = bytes(&embeddings(explicit));
    let kind = |from: u8, to: u8| replaced(&simple[..20], &[from, 0, 0, 0], &[to, 0, 0, 0]);
    let with = |head: Vec<u8>| [head, simple[20..].to_vec()].concat();
    for (bytes, what) in [
        (replaced(&simple, b"\x01\0\0\0c", b"\x01\0\0\0\xff"), "not UTF-8"),
        (replaced(&explicit, b"b>", b"ab"), "`ab` stands twice"),
        (with(kind(2, 4)), "quantised"),
        (with(kind(1, 9)), "floret"),
        (with(kind(1, 6)), "are not vocabulary, vectors and norms"),
        (replaced(&simple, b"FiFu\0", b"FiFu\x01"), "version 1"),
    ] {
        assert!(problem(&bytes).contains(what), "{what}: {}", problem(&bytes));
    }
    let words = ["ab", "cd"].map(str::to_owned);
    let matrix = NdArray::new(Array2::ones((2, DIM)));
    let twice = Embeddings::new(None, SimpleVocab::new(words).into(), matrix, vec![1.0; 2].into());
    assert!(problem(&replaced(&bytes(&twice), b"cd", b"ab")).contains("`ab` stands twice"));
    assert!(load(&replaced(&simple, b"FiFu", b"FiFx"), None).is_err());
}

#[test]
fn dimensions_that_cannot_be_are_refused() {
    for (dim, is_read) in [(0, false), (MAX_DIM, true), (MAX_DIM + 1, false)] {
        let (words, norms) = (["ab".to_owned()], vec![1.0_f32]);
        let matrix = NdArray::new(Array2::ones((1, dim)));
        let embeddings =
            Embeddings::new(None, SimpleVocab::new(words).into(), matrix, norms.into());
        assert_eq!(load(&bytes(&embeddings), None).is_ok(), is_read, "{dim}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let [_, _, vocabulary, _] = vocabularies();
    for (row, norm, value) in [
        (0, 1.0, f32::NAN),
        (5, 1.0, f32::NEG_INFINITY),
        (0, f32::INFINITY, 1.0),
        (1, f32::NAN, 0.0),
        // Only the product is not.
        (2, 1e20, 1e20),
    ] {
        let mut matrix = matrix(&vocabulary);
        matrix[(row, 1)] = value;
        let norms = vec![norm; WORDS.len()];
        let matrix = NdArray::new(matrix);
        let bytes = bytes(&Embeddings::new(None, vocabulary.clone(), matrix, norms.into()));
        assert!(problem(&bytes).contains("is not finite"), "{row} {norm} {value}");
    }
}

#[test]
fn a_model_of_before_says_nothing_of_indexers() {
    let old = r#"{"min":3,"max":6,"buckets":10}"#;
    let shape: SubwordsShape = serde_json::from_str(old).unwrap();
    assert_eq!(shape.indexer, SubwordsIndexer::Fasttext);
    assert_eq!(serde_json::to_string(&shape).unwrap(), old);
    let indexer = SubwordsIndexer::Finalfusion;
    assert!(SubwordsShape { indexer, ..shape }.problem().is_some(), "no power of two");
}

#[cfg(feature = "train")]
#[test]
fn a_model_keeps_vectors_and_ngrams() {
    use std::sync::Arc;

    use glossator_hub::Bundle;
    use glossator_nn::{Device, Precision, Weights};
    use glossator_text::Sentence;

    use crate::embeddings::{
        Columns, EmbeddingConfig, LanguageModels, TokenBatch, WordsConfig, cache::VectorCache,
    };

    for bytes in files() {
        let (folder, path) = file(&bytes);
        let vectors = read(&path, None).unwrap();
        let config = WordsConfig { vectors: Some(path), ..WordsConfig::default() };
        let config = EmbeddingConfig::Words(config);
        let cache = Arc::new(VectorCache::new(0));
        let prepared = config.prepare(&[], &cache, &Device::cpu()).unwrap();
        prepared.save(0, folder.path()).unwrap();
        let mut weights = Weights::new();
        prepared.add_frozen(0, &mut weights);
        let kept = serde_json::to_string(&prepared.config).unwrap();
        let kept: EmbeddingConfig = serde_json::from_str(&kept).unwrap();
        let vocabulary = kept.vocabulary(0, &Bundle::folder(folder.path())).unwrap();
        let (models, quirks) = (LanguageModels::new(), Default::default());
        let kept =
            kept.build(0, vocabulary, &models, &mut weights, Precision::F32, &quirks).unwrap();
        let asked: Vec<&str> = ASKED.into_iter().filter(|word| !word.is_empty()).collect();
        let sentence = Sentence::from_tokens(&asked);
        let mut rows = vec![0.0; asked.len() * DIM];
        let columns = Columns::side_by_side(&mut rows, &[DIM]).remove(0);
        kept.write(&TokenBatch::new([&sentence]), columns).unwrap();
        for (word, row) in asked.iter().zip(rows.chunks_exact(DIM)) {
            near(row, &vector(&vectors, word), word);
        }
    }
}

//! What the crate takes for granted in a file: it makes room for whatever number
//! stands there, and panics where a word stands twice or a matrix has other rows
//! than its vocabulary. A file that passes is read by it in memory of a small
//! multiple of the file's size.
//!
//! ```text
//! file:  "FiFu", version, number of chunks, kind of each chunk; then the chunks
//! chunk: kind, length of the rest, the rest
//! ```

use std::collections::HashSet;

use crate::{
    embeddings::vectors::{
        data::Reader,
        fasttext::not_finite,
        subwords::{MAX_BUCKETS, MAX_NGRAM},
    },
    limits::MAX_DIM,
};

/// First bytes.
const MAGIC: &[u8] = b"FiFu";
/// The only version.
const VERSION: u32 = 0;

const SIMPLE: u32 = 1;
const MATRIX: u32 = 2;
const BUCKETS: u32 = 3;
const QUANTIZED: u32 = 4;
const METADATA: u32 = 5;
const NORMS: u32 = 6;
const FASTTEXT: u32 = 7;
const EXPLICIT: u32 = 8;
const FLORET: u32 = 9;
/// A type of numbers.
const F32: u32 = 10;

/// Most chunks: metadata, vocabulary, matrix, norms.
const MAX_CHUNKS: u32 = 4;
/// Longest metadata, in bytes: they are parsed.
const MAX_METADATA: usize = 1 << 20;

/// A byte, and what is wrong there.
type Problem = (usize, String);
type Result<T> = std::result::Result<T, Problem>;

/// Whether a file begins as one of finalfusion: no text has bytes of zero.
pub(in crate::embeddings::vectors) fn is_one(data: &[u8]) -> bool {
    let version = data.get(MAGIC.len()..MAGIC.len() + 4);
    data.starts_with(MAGIC) && version.is_none_or(|version| version.contains(&0))
}

/// Looks at everything that stands in a file, but for what its metadata say.
pub(super) fn check(data: &[u8]) -> Result<()> {
    let mut file = Reader::new(data);
    let all = header(&mut file)?;
    let mut kinds = &all[..];
    if let [METADATA, others @ ..] = kinds {
        metadata(&mut chunk(&mut file, METADATA)?)?;
        kinds = others;
    }
    let (vocabulary, has_norms) = match *kinds {
        [FLORET, _] | [FLORET, _, NORMS] => {
            return refuse(&file, "it has a vocabulary of floret, which is not read");
        }
        [_, QUANTIZED] | [_, QUANTIZED, NORMS] => {
            let problem = "its vectors are quantised; give those from before, or what \
                           `finalfusion reconstruct` makes of them";
            return refuse(&file, problem);
        }
        [kind @ (SIMPLE | BUCKETS | FASTTEXT | EXPLICIT), MATRIX] => (kind, false),
        [kind @ (SIMPLE | BUCKETS | FASTTEXT | EXPLICIT), MATRIX, NORMS] => (kind, true),
        _ => {
            let problem = format!("its parts {kinds:?} are not vocabulary, vectors and norms");
            return refuse(&file, problem);
        }
    };
    let (words, rows) = self::vocabulary(&mut chunk(&mut file, vocabulary)?, vocabulary)?;
    let (dim, matrix) = self::matrix(&mut chunk(&mut file, MATRIX)?, rows)?;
    if has_norms {
        let norms = norms(&mut chunk(&mut file, NORMS)?, words)?;
        products(&norms, &matrix, dim)?;
    }
    // The crate would look for norms there.
    ended(&mut file, "behind the last part")
}

fn refuse<T>(at: &Reader<'_>, problem: impl Into<String>) -> Result<T> {
    Err((at.place(), problem.into()))
}

/// What was read, if it was there.
fn there<T>(found: Option<T>, at: &Reader<'_>) -> Result<T> {
    found.ok_or_else(|| (at.place(), "it ends here: is it cut?".to_owned()))
}

fn ended(reader: &mut Reader<'_>, place: &str) -> Result<()> {
    let at = reader.place();
    match reader.rest().len() {
        0 => Ok(()),
        left => Err((at, format!("{left} bytes are left {place}"))),
    }
}

/// The kinds of the chunks.
fn header(file: &mut Reader<'_>) -> Result<Vec<u32>> {
    let magic = file.take(MAGIC.len());
    if there(magic, file)? != MAGIC {
        return Err((0, "it is no file of finalfusion".to_owned()));
    }
    let version = there(file.u32(), file)?;
    if version != VERSION {
        let problem = format!("version {version} of finalfusion's format; known is {VERSION}");
        return refuse(file, problem);
    }
    let count = there(file.u32(), file)?;
    if count > MAX_CHUNKS {
        return refuse(file, format!("{count} parts, at most {MAX_CHUNKS} are read"));
    }
    (0..count).map(|_| there(file.u32(), file)).collect()
}

/// The inside of the next chunk.
fn chunk<'d>(file: &mut Reader<'d>, kind: u32) -> Result<Reader<'d>> {
    let found = there(file.u32(), file)?;
    if found != kind {
        return refuse(file, format!("a part of kind {found}, not {kind} as announced"));
    }
    let len = there(file.u64(), file)?;
    let inside = usize::try_from(len).ok().and_then(|len| file.part(len));
    let problem = || format!("its part of {len} bytes goes beyond its end: is it cut?");
    inside.ok_or_else(|| (file.place(), problem()))
}

fn metadata(chunk: &mut Reader<'_>) -> Result<()> {
    let place = chunk.place();
    let text = chunk.rest();
    if text.len() > MAX_METADATA {
        let problem = format!("{} bytes of metadata, at most {MAX_METADATA} are read", text.len());
        return Err((place, problem));
    }
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(error) => Err((place + error.valid_up_to(), "its metadata are not UTF-8".to_owned())),
    }
}

/// Words, and rows that the matrix must have.
fn vocabulary(chunk: &mut Reader<'_>, kind: u32) -> Result<(usize, usize)> {
    let count = |chunk: &mut Reader<'_>| there(chunk.u64(), chunk);
    let words = count(chunk)?;
    let ngrams = if kind == EXPLICIT { count(chunk)? } else { 0 };
    let mut buckets = if kind == SIMPLE { 0 } else { self::buckets(chunk, kind, ngrams)? };
    let mut known = HashSet::new();
    for _ in 0..words {
        distinct(chunk, &mut known)?;
    }
    // As many as the words that were there.
    let words = known.len();
    if kind == EXPLICIT {
        let (mut known, mut numbers) = (HashSet::new(), HashSet::new());
        for _ in 0..ngrams {
            distinct(chunk, &mut known)?;
            numbers.insert(there(chunk.u64(), chunk)?);
        }
        // N-grams may share a vector.
        buckets = numbers.len();
    }
    ended(chunk, "in its vocabulary")?;
    if words == 0 {
        return refuse(chunk, "the file holds no vectors");
    }
    Ok((words, words + buckets))
}

/// Vectors of n-grams; as many as n-grams, where these are listed.
fn buckets(chunk: &mut Reader<'_>, kind: u32, ngrams: u64) -> Result<usize> {
    let at = chunk.place();
    let lengths = chunk.u32().zip(chunk.u32());
    let (min, max) = there(lengths, chunk)?;
    let buckets = match kind {
        EXPLICIT => Some(ngrams),
        BUCKETS => 1_u64.checked_shl(there(chunk.u32(), chunk)?),
        _ => Some(there(chunk.u32(), chunk)?.into()),
    };
    let buckets = buckets.and_then(|buckets| usize::try_from(buckets).ok());
    let Some(buckets) = buckets.filter(|buckets| *buckets <= MAX_BUCKETS) else {
        return Err((at, format!("more than {MAX_BUCKETS} vectors of n-grams")));
    };
    // Where there are none, their lengths do not matter.
    if buckets > 0 && (min == 0 || min > max || max as usize > MAX_NGRAM) {
        return Err((at, format!("its n-grams of {min} to {max} characters cannot be")));
    }
    Ok(buckets)
}

/// A string that none of the others equals.
fn distinct<'d>(chunk: &mut Reader<'d>, others: &mut HashSet<&'d str>) -> Result<()> {
    let place = chunk.place();
    let len = there(chunk.u32(), chunk)?;
    let bytes = there(chunk.take(len as usize), chunk)?;
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err((place, "a word or n-gram is not UTF-8".to_owned()));
    };
    match others.insert(text) {
        true => Ok(()),
        false => Err((place, format!("`{text}` stands twice"))),
    }
}

/// Numbers, and where they begin.
struct Numbers<'d> {
    place: usize,
    bytes: &'d [u8],
}

/// Columns and numbers of the matrix.
fn matrix<'d>(chunk: &mut Reader<'d>, want: usize) -> Result<(usize, Numbers<'d>)> {
    let shape = chunk.u64().zip(chunk.u32());
    let (rows, dim) = there(shape, chunk)?;
    if rows != want as u64 {
        let problem = format!("{rows} vectors, but {want} of words and n-grams are expected");
        return refuse(chunk, problem);
    }
    let dim = dim as usize;
    if dim == 0 || dim > MAX_DIM {
        return refuse(chunk, format!("{dim} dimensions, at most {MAX_DIM} are read"));
    }
    let len = want.checked_mul(dim);
    Ok((dim, numbers(chunk, len)?))
}

fn norms<'d>(chunk: &mut Reader<'d>, words: usize) -> Result<Numbers<'d>> {
    let len = there(chunk.u64(), chunk)?;
    if len != words as u64 {
        return refuse(chunk, format!("{len} norms of {words} words"));
    }
    numbers(chunk, Some(words))
}

/// The rest of a chunk: a type, padding, and so many finite numbers.
fn numbers<'d>(chunk: &mut Reader<'d>, len: Option<usize>) -> Result<Numbers<'d>> {
    let kind = there(chunk.u32(), chunk)?;
    if kind != F32 {
        return refuse(chunk, format!("numbers of type {kind}; known is {F32}"));
    }
    // To the next multiple of four, by at least one byte.
    let padding = chunk.take(4 - chunk.place() % 4);
    there(padding, chunk)?;
    let place = chunk.place();
    let bytes = chunk.rest();
    if Some(bytes.len()) != len.and_then(|len| len.checked_mul(4)) {
        let problem = format!("{} bytes of numbers are not those of its size", bytes.len());
        return Err((place, problem));
    }
    match not_finite(bytes) {
        Some(at) => Err((place + at, "a number is not finite".to_owned())),
        None => Ok(Numbers { place, bytes }),
    }
}

/// Checks that words have finite vectors with their norms, too.
fn products(norms: &Numbers<'_>, matrix: &Numbers<'_>, dim: usize) -> Result<()> {
    let rows = matrix.bytes.chunks_exact(4 * dim);
    for (number, (norm, row)) in floats(norms.bytes).zip(rows).enumerate() {
        if floats(row).any(|value| !(norm * value).is_finite()) {
            let problem = format!("the vector of word {} is not finite", number + 1);
            return Err((matrix.place + 4 * dim * number, problem));
        }
    }
    Ok(())
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value))
}

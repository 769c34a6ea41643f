//! Subwords: the units that a translator reads and writes.
//!
//! Raw text goes in and raw text comes out: a space is the character `▁` at the
//! beginning of a word, a text begins with one that is taken away again, and
//! what the vocabulary lacks is written byte by byte. So every text comes back
//! as it was. The file is that of the `tokenizers` library.

#[cfg(feature = "train")]
mod chance;
#[cfg(feature = "train")]
mod learn;

#[cfg(feature = "train")]
pub(crate) use chance::Merges;
use tokenizers::{
    Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer, Tokenizer,
};

/// File of a model's subwords.
pub(crate) const TOKENIZER: &str = "tokenizer.json";

/// Stands for what is unknown; never made of text.
pub(crate) const UNKNOWN: u32 = 0;
/// Stands before the first subword of a translation.
pub(crate) const BEGIN: u32 = 1;
/// Stands behind the last subword of a sentence.
pub(crate) const END: u32 = 2;
/// The units that stand for no text, in order of their ids.
const SPECIAL: [&str; 3] = ["<unk>", "<s>", "</s>"];
/// Id of the first byte; the others follow.
const FIRST_BYTE: usize = SPECIAL.len();
/// Units that every vocabulary has.
const LEAST: usize = FIRST_BYTE + 256;
/// A space, as it stands in subwords.
const SPACE: char = '▁';

/// A trained vocabulary of subwords.
#[derive(Clone, Debug)]
pub(crate) struct Subwords {
    tokenizer: Tokenizer,
    /// The text of each unit; none of the special ones.
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Special,
    Byte(u8),
    Text(String),
}

impl Subwords {
    /// Reads the file of a vocabulary.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        Self::new(Tokenizer::from_bytes(bytes).map_err(|error| error.to_string())?)
    }

    fn new(tokenizer: Tokenizer) -> Result<Self, String> {
        let size = tokenizer.get_vocab_size(true);
        if size < LEAST {
            return Err("it lacks units for single bytes".to_owned());
        }
        let name = |id: usize| {
            let name = u32::try_from(id).ok().and_then(|id| tokenizer.id_to_token(id));
            name.ok_or_else(|| format!("there is no unit {id} of {size}"))
        };
        let mut pieces = Vec::with_capacity(size);
        for (id, special) in SPECIAL.iter().enumerate() {
            if name(id)? != *special {
                return Err(format!("unit {id} is not {special}"));
            }
            pieces.push(Piece::Special);
        }
        for byte in 0..=u8::MAX {
            let id = FIRST_BYTE + usize::from(byte);
            if name(id)? != byte_name(byte) {
                return Err(format!("unit {id} is not a byte"));
            }
            pieces.push(Piece::Byte(byte));
        }
        for id in LEAST..size {
            pieces.push(Piece::Text(name(id)?.replace(SPACE, " ")));
        }
        Ok(Self { tokenizer, pieces })
    }

    /// The file of the vocabulary.
    ///
    /// # Errors
    /// If it has no form in JSON.
    #[cfg(feature = "train")]
    pub(crate) fn to_json(&self) -> Result<String, String> {
        self.tokenizer.to_string(true).map_err(|error| error.to_string())
    }

    /// Number of units.
    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Ids of a text; none of [`SPECIAL`].
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        self.encode_by(text, |word, ids| self.merge_all(word, ids))
    }

    /// Units of a word by the model itself.
    fn merge_all(&self, word: &str, ids: &mut Vec<u32>) {
        match self.tokenizer.get_model().tokenize(word) {
            Ok(tokens) => ids.extend(tokens.into_iter().map(|token| token.id)),
            // The bytes are always there.
            Err(_) => ids.extend(bytes(word)),
        }
    }

    /// Splits a text into words as the vocabulary was trained on them.
    fn encode_by(&self, text: &str, mut each: impl FnMut(&str, &mut Vec<u32>)) -> Vec<u32> {
        let mut ids = Vec::new();
        // A `▁` of the text itself is no space: it is written as bytes.
        for (number, part) in text.split(SPACE).enumerate() {
            if number > 0 {
                ids.extend(bytes(&SPACE.to_string()));
            }
            for word in words(&self.tokenizer, part, number == 0) {
                each(&word, &mut ids);
            }
        }
        ids
    }

    /// The text of ids; special ones have none.
    pub(crate) fn decode(&self, ids: &[u32]) -> String {
        let mut text = Vec::new();
        for &id in ids {
            match self.pieces.get(id as usize) {
                Some(Piece::Byte(byte)) => text.push(*byte),
                Some(Piece::Text(piece)) => text.extend_from_slice(piece.as_bytes()),
                Some(Piece::Special) | None => {}
            }
        }
        let text = String::from_utf8_lossy(&text);
        text.strip_prefix(' ').unwrap_or(&text).to_owned()
    }

    /// A unit as it is shown: its text with `▁` for spaces, or its name.
    pub(crate) fn piece(&self, id: u32) -> String {
        self.tokenizer.id_to_token(id).unwrap_or_default()
    }
}

/// The words of a text; the first one begins with a space.
fn words(tokenizer: &Tokenizer, text: &str, is_first: bool) -> Vec<String> {
    let mut normalized = NormalizedString::from(text);
    let split = || -> tokenizers::Result<PreTokenizedString> {
        if let Some(normalizer) = tokenizer.get_normalizer() {
            normalizer.normalize(&mut normalized)?;
        }
        let mut split = PreTokenizedString::from(normalized);
        if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut split)?;
        }
        Ok(split)
    };
    // Nothing in our own files can fail; a foreign one may leave the text whole.
    let split = split().unwrap_or_else(|_| PreTokenizedString::from(text));
    let splits = split.get_splits(OffsetReferential::Normalized, OffsetType::None);
    let mut words: Vec<String> = splits.into_iter().map(|(word, ..)| word.to_owned()).collect();
    if let (false, Some(first)) = (is_first, words.first_mut()) {
        *first = first.strip_prefix(SPACE).unwrap_or(first).to_owned();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Ids of the bytes of a text.
fn bytes(text: &str) -> impl Iterator<Item = u32> {
    text.bytes().map(|byte| FIRST_BYTE as u32 + u32::from(byte))
}

/// Name of the unit of a byte, as `tokenizers` falls back to it.
fn byte_name(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

#[cfg(all(test, feature = "train"))]
mod tests;

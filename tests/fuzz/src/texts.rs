//! Corpora, and raw text that is split.

use std::{
    io::{self, Cursor, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use glossator_text::{
    Layer, Position, Sentence,
    corpus::{Format, OutputFormat, ReadOptions, WriteOptions, read, writer},
    segment::document,
};

const FORMATS: [Format; 7] = [
    Format::Auto,
    Format::Text,
    Format::Lines,
    Format::Tokens,
    Format::Conll,
    Format::Conllu,
    Format::Jsonl,
];
const OUTPUTS: [OutputFormat; 9] = [
    OutputFormat::Inline,
    OutputFormat::Jsonl,
    OutputFormat::Conll,
    OutputFormat::Conllu,
    OutputFormat::Html,
    OutputFormat::Brat,
    OutputFormat::Text,
    OutputFormat::Lines,
    OutputFormat::Tokens,
];

/// Bytes that may be shared.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Any bytes are a corpus or an error in every format, offsets lead to the tokens, and
/// what was read can be labelled and written in every format.
///
/// # Panics
/// If that does not hold.
pub fn corpus(bytes: &[u8]) {
    for format in FORMATS {
        let options = ReadOptions { format, lossy: bytes.len() % 2 == 0, ..ReadOptions::default() };
        let input = Box::new(Cursor::new(bytes.to_vec()));
        let Ok(sentences) = read(input, Path::new("-"), 0, &options) else { continue };
        let mut read: Vec<Sentence> = sentences.map_while(Result::ok).collect();
        for sentence in &mut read {
            let mut end = 0;
            for (token, (start, _)) in sentence.token_positions().into_iter().enumerate() {
                let range = sentence.token_range(token);
                assert!(!range.is_empty() && range.start >= end, "tokens are in order");
                assert_eq!(sentence.position(range.start), start, "one place of a token");
                end = range.end;
            }
            let tags = vec!["B-X"; sentence.len()];
            sentence.set_layer(Layer::from_tags("ner", &tags));
            sentence.set_layer(Layer::from_labels("upos", &vec!["NOUN"; sentence.len()]));
        }
        for output in OUTPUTS {
            let out = Shared::default();
            let mut to = writer(output, Box::new(out.clone()), WriteOptions::default());
            // A sentence may be refused, as one in CoNLL-U among columns.
            let _ = read.iter().try_for_each(|sentence| to.write(sentence));
            let _ = to.finish();
            let written = out.0.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(std::str::from_utf8(&written).is_ok(), "what is written is UTF-8");
        }
    }
}

/// Sentences, tokens and the gaps between them are the text, in all three units.
///
/// # Panics
/// If that does not hold.
pub fn segment(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (chars, utf16): (Vec<char>, Vec<u16>) =
        (text.chars().collect(), text.encode_utf16().collect());
    let mut end = 0;
    for sentence in document(&text, Position::default()) {
        let gap = &text[end..sentence.start().bytes];
        assert!(gap.chars().all(char::is_whitespace), "only space is between sentences");
        end = sentence.end().bytes;
        assert_eq!(&text[sentence.start().bytes..end], sentence.text());
        let mut inner = 0;
        for (number, (start, stop)) in sentence.token_positions().into_iter().enumerate() {
            let (token, range) = (sentence.token(number), sentence.token_range(number));
            assert!(!range.is_empty(), "no token is empty");
            assert!(sentence.text()[inner..range.start].chars().all(char::is_whitespace));
            assert_eq!(&text[start.bytes..stop.bytes], token);
            assert!(chars[start.chars..stop.chars].iter().copied().eq(token.chars()));
            assert!(utf16[start.utf16..stop.utf16].iter().copied().eq(token.encode_utf16()));
            inner = range.end;
        }
        assert_eq!(inner, sentence.text().len(), "the last token ends the sentence");
    }
    assert!(text[end..].chars().all(char::is_whitespace), "nothing is left out");
}

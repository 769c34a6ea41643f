//! Files of models, word vectors and configurations.

use std::{cell::RefCell, io::Write, path::Path};

use glossator_models::{Embedder, RunConfig, Tagger, Translator};
use glossator_text::Sentence;

thread_local! {
    /// A file that each input is written into.
    static FILE: RefCell<Option<tempfile::NamedTempFile>> = const { RefCell::new(None) };
}

/// What files of finalfusion begin with: bytes that mean its version.
const FINALFUSION: &[u8] = b"FiFu\0\0\0\0";

/// Any bytes are a file of word vectors or an error, and give vectors; so are they
/// behind the beginning of a file of finalfusion.
///
/// # Panics
/// If that does not hold.
pub fn vectors(bytes: &[u8]) {
    file_of_vectors(bytes);
    if !bytes.starts_with(FINALFUSION) {
        file_of_vectors(&[FINALFUSION, bytes].concat());
    }
}

fn file_of_vectors(bytes: &[u8]) {
    FILE.with_borrow_mut(|file| {
        // A new one each time: the one before may be mapped still.
        let file = file.insert(tempfile::NamedTempFile::new().expect("a temporary file"));
        file.write_all(bytes).expect("room for the input");
        let Ok(embedder) = Embedder::load(&file.path().to_string_lossy()) else { return };
        let sentence = Sentence::from_tokens(&["the", "Berlin", "12", "unseenword", "é"]);
        let vectors = embedder.embed(&[sentence], 100).expect("vectors of a sentence");
        assert_eq!(vectors.len(), 5 * embedder.dim());
        assert!(vectors.iter().all(|value| !value.is_nan()), "values are checked");
    });
}

/// Any text is a configuration or an error.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(config) = RunConfig::parse(&text, Path::new("/x/c.toml"), &[]) else { return };
    let again = config.to_toml().expect("what was read can be written");
    let again = RunConfig::parse(&again, Path::new("/x/c.toml"), &[]);
    assert_eq!(again.expect("what was written can be read"), config);
}

/// Any bytes are a model or an error, and a model labels.
pub fn model(bytes: &[u8]) {
    if let Ok(tagger) = Tagger::from_bytes(bytes) {
        let mut sentences = [Sentence::from_tokens(&["The", "grass", "is", "green"])];
        let _ = tagger.tag_sentences(&mut sentences);
    }
    if let Ok(translator) = Translator::from_bytes(bytes) {
        let _ = translator.translate("The grass is green.");
    }
}

use std::sync::Arc;

use crate::{Sentence, SpanRef};

/// A whole text with its sentences.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    text: Arc<str>,
    sentences: Vec<Sentence>,
}

impl Document {
    /// A text and its sentences, whose positions count from its start.
    pub fn new(text: Arc<str>, sentences: Vec<Sentence>) -> Document {
        Document { text, sentences }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The sentences in order.
    pub fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    /// The sentences, to set layers.
    pub fn sentences_mut(&mut self) -> &mut [Sentence] {
        &mut self.sentences
    }

    /// The spans of all layers of all sentences.
    pub fn spans(&self) -> impl Iterator<Item = SpanRef<'_>> {
        self.sentences.iter().flat_map(Sentence::spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Position, segment};

    #[test]
    fn spans_of_all_sentences_point_into_the_text() {
        let text: Arc<str> = "Ada slept. Zoë woke.".into();
        let mut document =
            Document::new(text.clone(), segment::document(&text, Position::default()));
        for sentence in document.sentences_mut() {
            sentence.set_layer(Layer::from_tags("ner", &["B-PER", "O", "O"]));
        }
        let spans: Vec<_> =
            document.spans().map(|span| &text[span.start().bytes..span.end().bytes]).collect();
        assert_eq!(spans, ["Ada", "Zoë"]);
    }
}

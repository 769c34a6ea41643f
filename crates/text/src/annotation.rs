use std::ops::Range;
use std::sync::Arc;

use crate::tags::{self, Scheme};
use crate::{Position, Sentence};

/// The label of one token.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The label, such as "NOUN".
    pub value: Arc<str>,
    /// Its probability, 0 to 1.
    pub score: f32,
}

/// Tokens that carry one label together.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The tokens, as indices into the sentence.
    pub tokens: Range<usize>,
    /// The label, such as "PER".
    pub label: Arc<str>,
    /// Its probability, 0 to 1.
    pub score: f32,
}

/// What a layer says of a sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum Annotation {
    /// One label for each token.
    Tokens(Vec<Label>),
    /// Disjoint spans in order.
    Spans(Vec<Span>),
}

/// One whole labelling of a sentence among the n best.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Posterior probability of the whole sequence, 0 to 1.
    pub score: f64,
    /// One label for each token.
    pub labels: Vec<Arc<str>>,
}

/// A named annotation of a sentence, such as "upos" or "ner".
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name, unique in a sentence.
    pub name: String,
    /// The best labelling.
    pub annotation: Annotation,
    /// The n best labellings, best first; empty if they were not asked for.
    pub sequences: Vec<Sequence>,
}

impl Layer {
    /// A layer without n-best sequences.
    pub fn new(name: impl Into<String>, annotation: Annotation) -> Layer {
        Layer { name: name.into(), annotation, sequences: Vec::new() }
    }

    /// A layer of one label a token, each of score 1.
    pub fn from_labels<S: AsRef<str>>(name: impl Into<String>, labels: &[S]) -> Layer {
        let label = |value: &S| Label { value: value.as_ref().into(), score: 1.0 };
        Layer::new(name, Annotation::Tokens(labels.iter().map(label).collect()))
    }

    /// A layer of the spans that `tags` hold (any scheme), each of score 1.
    pub fn from_tags<S: AsRef<str>>(name: impl Into<String>, tags: &[S]) -> Layer {
        let span = |span: tags::TagSpan<'_>| Span {
            tokens: span.tokens,
            label: span.label.into(),
            score: 1.0,
        };
        let spans = tags::spans(tags).into_iter().map(span).collect();
        Layer::new(name, Annotation::Spans(spans))
    }

    /// The spans, if this is a layer of spans.
    pub fn spans(&self) -> Option<&[Span]> {
        match &self.annotation {
            Annotation::Spans(spans) => Some(spans),
            Annotation::Tokens(_) => None,
        }
    }

    /// The labels of the tokens, if this is a layer of labels.
    pub fn labels(&self) -> Option<&[Label]> {
        match &self.annotation {
            Annotation::Tokens(labels) => Some(labels),
            Annotation::Spans(_) => None,
        }
    }

    /// The score of each label or span, and whether the gold column, of labels or of tags in
    /// any scheme, has the same one.
    pub fn judged(&self, gold: &[&str]) -> Vec<(f64, bool)> {
        match &self.annotation {
            Annotation::Tokens(labels) => {
                let right = labels.iter().zip(gold);
                right.map(|(label, gold)| (label.score.into(), *label.value == **gold)).collect()
            }
            Annotation::Spans(spans) => {
                let gold = tags::spans(gold);
                let is_gold = |span: &Span| {
                    gold.iter().any(|own| own.tokens == span.tokens && own.label == &*span.label)
                };
                spans.iter().map(|span| (span.score.into(), is_gold(span))).collect()
            }
        }
    }

    /// The layer as a column of `len` values: labels as they are ("_" where one
    /// is missing), spans as tags of `scheme`.
    pub fn column(&self, len: usize, scheme: Scheme) -> Vec<String> {
        match &self.annotation {
            Annotation::Tokens(labels) => {
                let value = |i| labels.get(i).map_or("_", |label: &Label| &label.value).to_owned();
                (0..len).map(value).collect()
            }
            Annotation::Spans(spans) => tags::encode(
                spans.iter().map(|span| (span.tokens.clone(), &span.label)),
                len,
                scheme,
            ),
        }
    }
}

/// A span together with the sentence and the layer it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct SpanRef<'a> {
    sentence: &'a Sentence,
    layer: &'a Layer,
    span: &'a Span,
}

impl<'a> SpanRef<'a> {
    pub(crate) fn all(sentence: &'a Sentence) -> impl Iterator<Item = SpanRef<'a>> {
        let of_layer = move |layer: &'a Layer| {
            layer.spans().unwrap_or_default().iter().map(move |span| SpanRef {
                sentence,
                layer,
                span,
            })
        };
        sentence.layers().iter().flat_map(of_layer)
    }

    /// The text from the first token's start to the last token's end.
    pub fn text(&self) -> &'a str {
        self.sentence.text().get(self.bytes()).unwrap_or_default()
    }

    /// The label, such as "PER".
    pub fn label(&self) -> &'a str {
        &self.span.label
    }

    /// Probability of the span, 0 to 1.
    pub fn score(&self) -> f32 {
        self.span.score
    }

    /// The layer's name.
    pub fn layer(&self) -> &'a str {
        &self.layer.name
    }

    /// The tokens, as indices into the sentence.
    pub fn tokens(&self) -> Range<usize> {
        self.span.tokens.clone()
    }

    /// The sentence.
    pub fn sentence(&self) -> &'a Sentence {
        self.sentence
    }

    /// Where the span starts in the document.
    pub fn start(&self) -> Position {
        self.sentence.position(self.bytes().start)
    }

    /// Where the span ends in the document.
    pub fn end(&self) -> Position {
        self.sentence.position(self.bytes().end)
    }

    fn bytes(&self) -> Range<usize> {
        self.sentence.bytes_of(&self.span.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_know_text_and_place() {
        let mut sentence = Sentence::from_tokens(&["Zoë", "Lund", "left"]);
        sentence.set_layer(Layer::from_tags("ner", &["B-PER", "I-PER", "O"]));
        let span = sentence.spans().next().expect("one span");
        assert_eq!((span.text(), span.label(), span.layer()), ("Zoë Lund", "PER", "ner"));
        assert_eq!((span.start().chars, span.end().chars, span.end().bytes), (0, 8, 9));
    }

    #[test]
    fn a_layer_is_a_column() {
        let layer = Layer::from_tags("ner", &["I-PER", "I-PER", "O"]);
        assert_eq!(layer.column(3, Scheme::Bioes), ["B-PER", "E-PER", "O"]);
        assert_eq!(Layer::from_labels("pos", &["N"]).column(2, Scheme::Iob2), ["N", "_"]);
    }
}

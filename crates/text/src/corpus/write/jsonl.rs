use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::{Offsets, Render};
use crate::{Layer, Position, Sentence, Source};

/// One object a sentence.
pub(super) struct Jsonl {
    pub scores: bool,
    pub offsets: Offsets,
}

#[derive(Serialize)]
struct Object<'a> {
    doc: Doc<'a>,
    text: &'a str,
    start: usize,
    end: usize,
    tokens: Vec<Token<'a>>,
    spans: Vec<Span<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sequences: Vec<Sequence<'a>>,
    meta: Meta<'a>,
}

/// The input line, or the file; as it was, if an output was read back.
#[derive(Serialize)]
#[serde(untagged)]
enum Doc<'a> {
    Line(usize),
    File(std::borrow::Cow<'a, str>),
    Kept(&'a RawValue),
}

#[derive(Serialize)]
struct Token<'a> {
    text: &'a str,
    start: usize,
    end: usize,
    labels: BTreeMap<&'a str, Label<'a>>,
}

#[derive(Serialize)]
struct Label<'a> {
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

#[derive(Serialize)]
struct Span<'a> {
    layer: &'a str,
    text: &'a str,
    start: usize,
    end: usize,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

#[derive(Serialize)]
struct Sequence<'a> {
    layer: &'a str,
    score: f64,
    labels: &'a [std::sync::Arc<str>],
}

struct Meta<'a>(&'a [(String, Box<RawValue>)]);

impl Serialize for Meta<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Render for Jsonl {
    fn render(&mut self, sentence: &Sentence, out: &mut String) -> io::Result<()> {
        let places = sentence.token_positions();
        let sequences = sentence.layers().iter().flat_map(|layer| {
            let name = layer.name.as_str();
            layer.sequences.iter().map(move |sequence| (name, sequence))
        });
        let object = Object {
            doc: doc(sentence),
            text: sentence.text(),
            start: self.offsets.of(sentence.start()),
            end: self.offsets.of(sentence.end()),
            tokens: places
                .iter()
                .enumerate()
                .map(|(i, place)| self.token(sentence, i, place))
                .collect(),
            spans: self.spans(sentence, &places),
            sequences: sequences
                .map(|(layer, sequence)| Sequence {
                    layer,
                    score: sequence.score,
                    labels: &sequence.labels,
                })
                .collect(),
            meta: Meta(match sentence.source() {
                Source::Json(meta) => &meta.fields,
                _ => &[],
            }),
        };
        out.push_str(&serde_json::to_string(&object)?);
        out.push('\n');
        Ok(())
    }
}

impl Jsonl {
    fn token<'a>(
        &self,
        sentence: &'a Sentence,
        i: usize,
        (start, end): &(Position, Position),
    ) -> Token<'a> {
        let label = |layer: &'a Layer| {
            let label = layer.labels()?.get(i)?;
            Some((
                layer.name.as_str(),
                Label { label: &label.value, score: self.score(label.score) },
            ))
        };
        Token {
            text: sentence.token(i),
            start: self.offsets.of(*start),
            end: self.offsets.of(*end),
            labels: sentence.layers().iter().filter_map(label).collect(),
        }
    }

    fn spans<'a>(&self, sentence: &'a Sentence, places: &[(Position, Position)]) -> Vec<Span<'a>> {
        let place = |token: Option<&(Position, Position)>| token.copied().unwrap_or_default();
        let span = |span: crate::SpanRef<'a>| Span {
            layer: span.layer(),
            text: span.text(),
            start: self.offsets.of(place(places.get(span.tokens().start)).0),
            end: self.offsets.of(place(places.get(span.tokens().end.saturating_sub(1))).1),
            label: span.label(),
            score: self.score(span.score()),
        };
        sentence.spans().map(span).collect()
    }

    /// A score of four decimals, if scores are asked for.
    fn score(&self, score: f32) -> Option<f64> {
        self.scores.then(|| (f64::from(score) * 1e4).round() / 1e4)
    }
}

fn doc(sentence: &Sentence) -> Doc<'_> {
    if let Source::Json(meta) = sentence.source()
        && let Some(doc) = &meta.doc
    {
        return Doc::Kept(doc);
    }
    match (sentence.source(), sentence.place()) {
        (Source::Line(_) | Source::Json(_), Some((_, line))) => Doc::Line(line),
        (_, Some((path, _))) => Doc::File(path.to_string_lossy()),
        (_, None) => Doc::Line(sentence.document() + 1),
    }
}

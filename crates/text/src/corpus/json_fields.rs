use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Annotation, Label, Layer};

/// A JSON object whose values are kept as they are written.
#[derive(Debug, Default)]
pub(super) struct Object(pub Vec<(String, Box<RawValue>)>);

impl Object {
    /// Takes a field out; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.0.iter().position(|(field, _)| field == name)?;
        Some(self.0.remove(at).1).filter(|value| value.get() != "null")
    }

    /// Takes a field out if it is what an output has there.
    pub fn take_if<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let at = self.0.iter().position(|(field, _)| field == name)?;
        let value = serde_json::from_str(self.0[at].1.get()).ok()?;
        self.0.remove(at);
        Some(value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A token: a string, or an object as `jsonl` output has it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Token {
    Word(String),
    Labelled(Labelled),
}

#[derive(Debug, Deserialize)]
pub(super) struct Labelled {
    text: String,
    start: Option<usize>,
    end: Option<usize>,
    #[serde(default)]
    labels: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Value {
    label: String,
    score: Option<f32>,
}

/// A span of `jsonl` output.
#[derive(Debug, Deserialize)]
pub(super) struct Span {
    layer: String,
    start: usize,
    end: usize,
    label: String,
    score: Option<f32>,
}

/// A sequence of `jsonl` output.
#[derive(Debug, Deserialize)]
pub(super) struct Sequence {
    layer: String,
    score: f64,
    labels: Vec<String>,
}

/// The document of `jsonl` output.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Doc {
    Line(usize),
    File(String),
}

impl Token {
    pub fn text(&self) -> &str {
        match self {
            Token::Word(text) => text,
            Token::Labelled(token) => &token.text,
        }
    }

    /// Where the token is, if that was told.
    pub fn range(&self) -> Option<Range<usize>> {
        self.labelled().and_then(|token| Some(token.start?..token.end?))
    }

    pub fn labelled(&self) -> Option<&Labelled> {
        match self {
            Token::Word(_) => None,
            Token::Labelled(token) => Some(token),
        }
    }
}

/// The layers of the tokens' labels, then those of the spans. A score that is not
/// there is 1.
pub(super) fn layers(
    tokens: &[Token],
    spans: &[Span],
    sequences: Vec<Sequence>,
) -> Result<Vec<Layer>, String> {
    let mut layers = label_layers(tokens);
    for (name, spans) in span_layers(tokens, spans)? {
        if layers.iter().any(|layer| layer.name == name) {
            return Err(format!("layer {name:?} has both labels and spans"));
        }
        layers.push(Layer::new(name, Annotation::Spans(spans)));
    }
    for Sequence { layer, score, labels } in sequences {
        if let Some(layer) = layers.iter_mut().find(|known| known.name == layer) {
            let labels = labels.into_iter().map(Arc::from).collect();
            layer.sequences.push(crate::Sequence { score, labels });
        }
    }
    Ok(layers)
}

fn label_layers(tokens: &[Token]) -> Vec<Layer> {
    let mut names: Vec<&str> = Vec::new();
    for name in tokens.iter().filter_map(Token::labelled).flat_map(|token| token.labels.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let label = |token: &Token, name: &str| {
        let value = token.labelled().and_then(|token| token.labels.get(name));
        Label {
            value: value.map_or("_", |value| &value.label).into(),
            score: value.and_then(|value| value.score).unwrap_or(1.0),
        }
    };
    let layer = |name: &str| {
        let labels = tokens.iter().map(|token| label(token, name)).collect();
        Layer::new(name, Annotation::Tokens(labels))
    };
    names.into_iter().map(layer).collect()
}

/// The spans of each layer, in order. Their tokens are found by the offsets,
/// whatever the unit of these.
fn span_layers(
    tokens: &[Token],
    spans: &[Span],
) -> Result<Vec<(String, Vec<crate::Span>)>, String> {
    let ranges = || tokens.iter().enumerate().filter_map(|(i, token)| Some((i, token.range()?)));
    let starts: HashMap<usize, usize> = ranges().map(|(i, range)| (range.start, i)).collect();
    let ends: HashMap<usize, usize> = ranges().map(|(i, range)| (range.end, i + 1)).collect();
    let mut layers: Vec<(String, Vec<crate::Span>)> = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        let tokens = match (starts.get(&span.start), ends.get(&span.end)) {
            (Some(start), Some(end)) if start < end => *start..*end,
            _ => return Err(format!("span {index} of \"spans\" does not fit the tokens")),
        };
        let (label, score) = (span.label.as_str().into(), span.score.unwrap_or(1.0));
        let span_of = crate::Span { tokens, label, score };
        match layers.iter_mut().find(|(name, _)| *name == span.layer) {
            Some((_, spans)) => spans.push(span_of),
            None => layers.push((span.layer.clone(), vec![span_of])),
        }
    }
    for (name, spans) in &mut layers {
        spans.sort_by_key(|span| span.tokens.start);
        if spans.windows(2).any(|pair| pair[0].tokens.end > pair[1].tokens.start) {
            return Err(format!("spans of layer {name:?} overlap"));
        }
    }
    Ok(layers)
}

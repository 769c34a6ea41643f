use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::tags::{self, Scheme};

/// A JSON object whose values are kept as they are written.
#[derive(Debug, Default)]
pub(super) struct Object(pub Vec<(String, Box<RawValue>)>);

impl Object {
    /// Takes a field out; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.0.iter().position(|(field, _)| field == name)?;
        Some(self.0.remove(at).1).filter(|value| value.get() != "null")
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
}

/// A span of `jsonl` output.
#[derive(Debug, Deserialize)]
pub(super) struct Span {
    layer: String,
    start: usize,
    end: usize,
    label: String,
}

impl Token {
    pub fn text(&self) -> &str {
        match self {
            Token::Word(text) => text,
            Token::Labelled(token) => &token.text,
        }
    }

    fn labelled(&self) -> Option<&Labelled> {
        match self {
            Token::Word(_) => None,
            Token::Labelled(token) => Some(token),
        }
    }
}

/// The labels of tokens and spans as columns, spans in IOB2.
pub(super) fn columns(tokens: &[Token], spans: &[Span]) -> Vec<(String, Vec<String>)> {
    let mut names: Vec<&str> = Vec::new();
    for name in tokens.iter().filter_map(Token::labelled).flat_map(|token| token.labels.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let label = |token: &Token, name: &str| {
        let value = token.labelled().and_then(|token| token.labels.get(name));
        value.map_or("_", |value| &value.label).to_owned()
    };
    let column =
        |name: &str| (name.to_owned(), tokens.iter().map(|token| label(token, name)).collect());
    let mut columns: Vec<_> = names.into_iter().map(column).collect();
    let mut layers: Vec<&str> = Vec::new();
    for span in spans {
        if !layers.contains(&span.layer.as_str()) {
            layers.push(&span.layer);
        }
    }
    for layer in layers {
        let of_layer = spans.iter().filter(|span| span.layer == layer);
        let placed = of_layer.filter_map(|span| Some((tokens_of(tokens, span)?, &span.label)));
        columns.push((layer.to_owned(), tags::encode(placed, tokens.len(), Scheme::Iob2)));
    }
    columns
}

/// The tokens of a span, found by the offsets, whatever their unit.
fn tokens_of(tokens: &[Token], span: &Span) -> Option<Range<usize>> {
    let find = |edge: fn(&Labelled) -> Option<usize>, at: usize| {
        tokens.iter().position(|token| token.labelled().and_then(edge) == Some(at))
    };
    Some(find(|token| token.start, span.start)?..find(|token| token.end, span.end)? + 1)
}

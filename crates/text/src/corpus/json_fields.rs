use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Annotation, Label, Layer};

/// Layers of an object at most. Each has a label for every token, named there or not.
const MAX_LAYERS: usize = 64;

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
    check_number_of_layers(tokens, spans)?;
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

/// Refuses more than [`MAX_LAYERS`] names of layers.
fn check_number_of_layers(tokens: &[Token], spans: &[Span]) -> Result<(), String> {
    let names = label_names(tokens).chain(spans.iter().map(|span| &span.layer));
    if names.collect::<HashSet<_>>().len() > MAX_LAYERS {
        return Err(format!("there are more than {MAX_LAYERS} layers"));
    }
    Ok(())
}

/// The names of the layers of all labels, again and again.
fn label_names(tokens: &[Token]) -> impl Iterator<Item = &String> {
    tokens.iter().filter_map(Token::labelled).flat_map(|token| token.labels.keys())
}

fn label_layers(tokens: &[Token]) -> Vec<Layer> {
    let mut names: Vec<&str> = Vec::new();
    for name in label_names(tokens) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let blank: Arc<str> = "_".into();
    let label = |token: &Token, name: &str| {
        let value = token.labelled().and_then(|token| token.labels.get(name));
        Label {
            value: value.map_or_else(|| blank.clone(), |value| value.label.as_str().into()),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As many tokens, each with a label of a layer of its own.
    fn tokens(len: usize) -> Vec<Token> {
        let token = |i: usize| {
            format!(r#"{{"text":"a","start":{i},"end":{i}1,"labels":{{"{i}":{{"label":"X"}}}}}}"#)
        };
        let list: Vec<String> = (1..=len).map(token).collect();
        serde_json::from_str(&format!("[{}]", list.join(","))).expect("tokens")
    }

    #[test]
    fn too_many_layers_are_refused() {
        let found = layers(&tokens(MAX_LAYERS), &[], Vec::new()).expect("as many as may be");
        assert_eq!(found.len(), MAX_LAYERS);
        let refused: Result<Vec<Layer>, String> = Err("there are more than 64 layers".to_owned());
        assert_eq!(layers(&tokens(MAX_LAYERS + 1), &[], Vec::new()), refused);
        let span = r#"[{"layer":"x","start":1,"end":11,"label":"X"}]"#;
        let spans: Vec<Span> = serde_json::from_str(span).expect("spans");
        assert_eq!(layers(&tokens(MAX_LAYERS), &spans, Vec::new()), refused);
        assert!(layers(&tokens(MAX_LAYERS - 1), &spans, Vec::new()).is_ok());
    }

    #[test]
    fn tokens_without_a_label_share_one_blank() {
        let layers = layers(&tokens(3), &[], Vec::new()).expect("layers");
        let labels = layers[0].labels().expect("labels");
        let values: Vec<&str> = labels.iter().map(|label| &*label.value).collect();
        assert_eq!(values, ["X", "_", "_"]);
        assert!(Arc::ptr_eq(&labels[1].value, &labels[2].value));
        assert!(Arc::ptr_eq(&labels[1].value, &layers[1].labels().expect("labels")[0].value));
    }
}

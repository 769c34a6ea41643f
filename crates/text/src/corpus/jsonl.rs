use std::collections::VecDeque;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::align::{self, Unit};
use super::input::{Input, chomp};
use super::json_fields::{Object, Span, Token, columns};
use super::{Reader, Warnings};
use crate::source::Meta;
use crate::{Error, Position, Result, Sentence, Source, segment};

/// A reader of JSON objects, one a line, each a document: `{"text": …}`, which
/// is split here, or `{"tokens": […]}`. Other fields are kept. Tokens may be
/// objects, as the output of `jsonl` has them; its labels and spans are columns
/// then. Blank lines are passed over.
pub(super) struct JsonlReader {
    input: Input,
    document: usize,
    line: String,
    ready: VecDeque<Sentence>,
}

impl JsonlReader {
    pub fn new(input: Input, document: usize) -> JsonlReader {
        JsonlReader { input, document, line: String::new(), ready: VecDeque::new() }
    }

    /// Reads one line; false at the end.
    fn read(&mut self) -> Result<bool> {
        let number = self.input.line();
        self.line.clear();
        if !self.input.read_line(&mut self.line)? {
            return Ok(false);
        }
        let line = chomp(&self.line);
        if line.trim().is_empty() {
            return Ok(true);
        }
        let path = self.input.path();
        let sentences = sentences(line).map_err(|problem| match problem {
            Problem::Json(source) => Error::Json { path: path.to_path_buf(), line: number, source },
            Problem::Field(problem) => {
                Error::Field { path: path.to_path_buf(), line: number, problem }
            }
        })?;
        let document = self.document + number - 1;
        self.ready
            .extend(sentences.into_iter().map(|sentence| sentence.located(document, path, number)));
        Ok(true)
    }
}

impl Reader for JsonlReader {
    fn next(&mut self) -> Result<Option<Sentence>> {
        while self.ready.is_empty() && self.read()? {}
        Ok(self.ready.pop_front())
    }

    fn warnings(&self) -> &Warnings {
        &self.input.warnings
    }
}

enum Problem {
    Json(serde_json::Error),
    Field(String),
}

/// The sentences of one object.
fn sentences(line: &str) -> Result<Vec<Sentence>, Problem> {
    let mut object: Object = serde_json::from_str(line).map_err(Problem::Json)?;
    let text: Option<String> = field(&mut object, "text", "a string")?;
    let tokens: Option<Vec<Token>> = field(&mut object, "tokens", "a list of strings")?;
    match (text, tokens) {
        (text, Some(tokens)) => of_tokens(text, &tokens, object).map(|sentence| vec![sentence]),
        (Some(text), None) => Ok(of_text(&text, object)),
        (None, None) => Err(Problem::Field("neither \"text\" nor \"tokens\" is there".to_owned())),
    }
}

fn field<T: DeserializeOwned>(
    object: &mut Object,
    name: &str,
    want: &str,
) -> Result<Option<T>, Problem> {
    let parse = |value: Box<RawValue>| serde_json::from_str(value.get());
    let value = object.take(name).map(parse).transpose();
    value.map_err(|error| Problem::Field(format!("{name:?} is not {want}: {error}")))
}

/// The sentences of a text; one without tokens if there is nothing in it.
fn of_text(text: &str, object: Object) -> Vec<Sentence> {
    let mut sentences = segment::document(text, Position::default());
    if sentences.is_empty() {
        sentences.push(Sentence::default());
    }
    let meta = Arc::new(Meta { fields: object.0, columns: Vec::new() });
    sentences.into_iter().map(|sentence| sentence.with_source(Source::Json(meta.clone()))).collect()
}

/// A sentence of tokens, in the text if one is given and they stand in it.
fn of_tokens(
    text: Option<String>,
    tokens: &[Token],
    mut object: Object,
) -> Result<Sentence, Problem> {
    let words: Vec<&str> = tokens.iter().map(Token::text).collect();
    if let Some(index) = words.iter().position(|word| word.is_empty()) {
        return Err(Problem::Field(format!("token {index} of \"tokens\" is empty")));
    }
    let units: Vec<_> = words
        .iter()
        .enumerate()
        .map(|(i, form)| Unit { form, words: i..i + 1, space: true })
        .collect();
    let placed =
        text.and_then(|text| align::find(&text, &units, &words).map(|ranges| (text, ranges)));
    let sentence = match placed {
        Some((text, ranges)) => Sentence::of_parts(text, ranges, Position::default()),
        None => Sentence::from_tokens(&words),
    };
    let meta = match tokens.iter().any(|token| matches!(token, Token::Labelled(_))) {
        true => meta_of_output(tokens, &mut object)?,
        false => meta_of_lists(words.len(), object),
    };
    Ok(sentence.with_source(Source::Json(Arc::new(meta))))
}

/// Every field; those that are lists of one string a token are columns, too.
fn meta_of_lists(len: usize, object: Object) -> Meta {
    let list = |value: &RawValue| {
        serde_json::from_str::<Vec<String>>(value.get()).ok().filter(|list| list.len() == len)
    };
    let columns =
        object.0.iter().filter_map(|(name, value)| Some((name.clone(), list(value)?))).collect();
    Meta { fields: object.0, columns }
}

/// The "meta" of an output that is read back, its labels and spans as columns.
fn meta_of_output(tokens: &[Token], object: &mut Object) -> Result<Meta, Problem> {
    let spans: Vec<Span> = field(object, "spans", "a list of spans")?.unwrap_or_default();
    let meta: Object = field(object, "meta", "an object")?.unwrap_or_default();
    Ok(Meta { fields: meta.0, columns: columns(tokens, &spans) })
}

#[cfg(test)]
mod tests {
    use crate::corpus::Format;
    use crate::corpus::tests::{all, error, texts};
    use crate::{Error, Source};

    #[test]
    fn texts_are_split_and_fields_kept() {
        let sentences = all(
            Format::Jsonl,
            "\n{\"id\": 1.50, \"text\": \"Zoë ran. He sat.\", \"x\": {\"b\":1}}\r\n{\"text\":\"\"}",
        );
        assert_eq!(texts(&sentences), ["Zoë|ran|.", "He|sat|.", ""]);
        let places: Vec<_> = sentences.iter().map(|s| (s.document(), s.start().chars)).collect();
        assert_eq!(places, [(1, 0), (1, 9), (2, 0)]);
        let Source::Json(meta) = sentences[1].source() else { panic!("fields") };
        assert_eq!(meta.fields().collect::<Vec<_>>(), [("id", "1.50"), ("x", "{\"b\":1}")]);
    }

    #[test]
    fn tokens_have_columns() {
        let sentences = all(
            Format::Jsonl,
            r#"{"tokens": ["a b", "c"], "ner": ["B-X", "O"], "n": [1, 2], "one": ["x"]}"#,
        );
        assert_eq!((sentences[0].text(), sentences[0].len()), ("a b c", 2));
        assert_eq!(sentences[0].column("ner"), Some(vec!["B-X", "O"]));
        assert_eq!((sentences[0].column("n"), sentences[0].column("one")), (None, None));
        let text = all(Format::Jsonl, r#"{"text": "a, c", "tokens": ["a", ",", "c"]}"#);
        assert_eq!((text[0].text(), text[0].token_range(1)), ("a, c", 1..2));
    }

    #[test]
    fn output_is_read_back() {
        let line = r#"{"doc":1,"text":"Al ran","start":4,"end":10,"tokens":[{"text":"Al","start":4,"end":6,"labels":{"upos":{"label":"PROPN"}}},{"text":"ran","start":7,"end":10,"labels":{}}],"spans":[{"layer":"ner","text":"Al","start":4,"end":6,"label":"PER"}],"meta":{"id":7}}"#;
        let sentences = all(Format::Jsonl, line);
        assert_eq!(sentences[0].column("ner"), Some(vec!["B-PER", "O"]));
        assert_eq!(sentences[0].column("upos"), Some(vec!["PROPN", "_"]));
        let Source::Json(meta) = sentences[0].source() else { panic!("fields") };
        assert_eq!(meta.fields().collect::<Vec<_>>(), [("id", "7")]);
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for bad in ["[1]", "{\"text\": 1", "x", "{} {}"] {
            assert!(
                matches!(
                    error(Format::Jsonl, &format!("{{\"text\":\"\"}}\n{bad}")),
                    Error::Json { line: 2, .. }
                ),
                "{bad}"
            );
        }
        for bad in [
            "{}",
            r#"{"text": 1}"#,
            r#"{"tokens": ["a", ""]}"#,
            r#"{"tokens": "a"}"#,
            r#"{"text": "\ud800"}"#,
        ] {
            assert!(matches!(error(Format::Jsonl, bad), Error::Field { line: 1, .. }), "{bad}");
        }
    }
}

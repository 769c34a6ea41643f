use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use super::align::{self, Unit};
use super::broken::Broken;
use super::input::{Input, chomp};
use super::json_fields::{Doc, Object, Span, Token, layers};
use super::{Reader, Warnings};
use crate::source::Meta;
use crate::tags::Scheme;
use crate::{Error, Layer, Position, Result, Sentence, Source, segment};

/// A reader of JSON objects, one a line, each a document: `{"text": …}`, which
/// is split here, or `{"tokens": […]}`. Other fields are kept. Blank lines are
/// passed over.
///
/// Tokens may be objects, as the output of `jsonl` has them. Its labels and spans
/// are layers then, and columns, too. The unit of its offsets is not known: a
/// sentence starts at `start` in all units, so what is written in the unit that
/// was read has the offsets that were read.
pub(super) struct JsonlReader {
    input: Input,
    document: usize,
    line: String,
    ready: VecDeque<Sentence>,
    /// Where objects that cannot be are put, if they are to be passed over.
    broken: Option<Broken>,
}

impl JsonlReader {
    pub fn new(input: Input, document: usize) -> JsonlReader {
        JsonlReader { input, document, line: String::new(), ready: VecDeque::new(), broken: None }
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
        });
        let sentences = match (sentences, &mut self.broken) {
            (Err(error), Some(broken)) => return broken.add(error).map(|()| true),
            (sentences, _) => sentences?,
        };
        let place = |sentence: Sentence| {
            let line = doc_line(&sentence).unwrap_or(number);
            sentence.located(self.document + line - 1, path, number)
        };
        self.ready.extend(sentences.into_iter().map(place));
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

    fn skip_broken(&mut self) {
        self.broken.get_or_insert_default();
    }

    fn broken(&mut self) -> Vec<Error> {
        self.broken.as_mut().map(Broken::take).unwrap_or_default()
    }
}

/// The line of the input of which this sentence is, if an output told it.
fn doc_line(sentence: &Sentence) -> Option<usize> {
    let Source::Json(meta) = sentence.source() else { return None };
    let line = meta.doc.as_ref()?.get().parse().ok()?;
    (line > 0).then_some(line)
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
    let meta = Arc::new(Meta { fields: object.0, ..Meta::default() });
    sentences.into_iter().map(|sentence| sentence.with_source(Source::Json(meta.clone()))).collect()
}

/// A sentence of tokens, in the text if one is given.
fn of_tokens(
    text: Option<String>,
    tokens: &[Token],
    mut object: Object,
) -> Result<Sentence, Problem> {
    let words: Vec<&str> = tokens.iter().map(Token::text).collect();
    if let Some(index) = words.iter().position(|word| word.is_empty()) {
        return Err(Problem::Field(format!("token {index} of \"tokens\" is empty")));
    }
    let labelled = tokens.iter().any(|token| token.labelled().is_some());
    let output = labelled || (tokens.is_empty() && object.has("spans") && object.has("meta"));
    let start = if output { object.take_if::<usize>("start") } else { None };
    if start.is_some() {
        object.take_if::<usize>("end");
    }
    let start = start.unwrap_or(0);
    if start > usize::MAX / 2 {
        return Err(Problem::Field("\"start\" is no place in a text".to_owned()));
    }
    let sentence = match text {
        Some(text) => {
            let ranges = by_offsets(&text, tokens, start).map_or_else(|| find(&text, &words), Ok);
            Sentence::of_parts(text, ranges.map_err(Problem::Field)?, Position::default())
        }
        None => Sentence::from_tokens(&words),
    };
    match output {
        true => of_output(sentence, start, tokens, object),
        false => Ok(sentence.with_source(json(meta_of_lists(words.len(), object)))),
    }
}

fn json(meta: Meta) -> Source {
    Source::Json(Arc::new(meta))
}

/// Where the tokens are by their own offsets, in characters; `None` if these are
/// not there, or not in this unit.
fn by_offsets(text: &str, tokens: &[Token], start: usize) -> Option<Vec<Range<usize>>> {
    let mut bytes = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).enumerate();
    let mut ranges = Vec::with_capacity(tokens.len());
    let mut last = (0, 0);
    for token in tokens {
        let range = token.range()?;
        let mut byte_of = |char: usize| {
            let char = char.checked_sub(start)?;
            if char > last.0 {
                last = bytes.find(|(at, _)| *at == char)?;
            }
            (char == last.0).then_some(last.1)
        };
        let range = byte_of(range.start)?..byte_of(range.end)?;
        ranges.push(Some(range).filter(|range| text[range.clone()] == *token.text())?);
    }
    Some(ranges)
}

/// Where the words are in the text: with white space only between them, or else
/// one behind the other.
fn find(text: &str, words: &[&str]) -> Result<Vec<Range<usize>>, String> {
    let unit = |(i, form)| Unit { form, words: i..i + 1, space: true };
    let units: Vec<_> = words.iter().copied().enumerate().map(unit).collect();
    if let Some(ranges) = align::find(text, &units, words) {
        return Ok(ranges);
    }
    let mut at = 0;
    let place = |(i, word): (usize, &&str)| {
        let gap = text[at..].find(*word).ok_or_else(|| format!("token {i} is not in \"text\""))?;
        let start = at + gap;
        at = start + word.len();
        Ok(start..at)
    };
    words.iter().enumerate().map(place).collect()
}

/// Every field; those that are lists of one string a token are columns, too.
fn meta_of_lists(len: usize, object: Object) -> Meta {
    let list = |value: &RawValue| {
        serde_json::from_str::<Vec<String>>(value.get()).ok().filter(|list| list.len() == len)
    };
    let columns =
        object.0.iter().filter_map(|(name, value)| Some((name.clone(), list(value)?))).collect();
    Meta { fields: object.0, columns, ..Meta::default() }
}

/// The sentence of an output that is read back: with its place, its layers,
/// which are columns, too, and the fields of "meta" before all others.
fn of_output(
    sentence: Sentence,
    start: usize,
    tokens: &[Token],
    mut object: Object,
) -> Result<Sentence, Problem> {
    let spans: Vec<Span> = field(&mut object, "spans", "a list of spans")?.unwrap_or_default();
    let sequences = object.take_if("sequences").unwrap_or_default();
    let layers = layers(tokens, &spans, sequences).map_err(Problem::Field)?;
    let column = |layer: &Layer| (layer.name.clone(), layer.column(tokens.len(), Scheme::Iob2));
    let columns = layers.iter().map(column).collect();
    let doc = object.take_if::<Doc>("doc").and_then(|doc| to_raw_value(&doc).ok());
    let mut fields = object.take_if::<Object>("meta").unwrap_or_default();
    fields.0.retain(|(name, _)| !object.has(name));
    fields.0.append(&mut object.0);
    let meta = Meta { fields: fields.0, columns, is_output: true, doc };
    let mut sentence =
        sentence.at(Position { bytes: start, chars: start, utf16: start }).with_source(json(meta));
    layers.into_iter().for_each(|layer| sentence.set_layer(layer));
    Ok(sentence)
}

#[cfg(test)]
mod tests {
    use crate::corpus::Format;
    use crate::corpus::tests::{all, error, texts};
    use crate::{Error, Source};

    #[test]
    fn a_start_beyond_all_texts_is_refused() {
        let token = r#"{"text":"a","start":18446744073709551615,"end":0,"labels":{}}"#;
        let line = format!(
            r#"{{"text":"a","start":18446744073709551615,"end":0,"tokens":[{token}],"spans":[],"meta":{{}}}}"#
        );
        assert!(matches!(error(Format::Jsonl, &line), Error::Field { line: 1, .. }));
    }

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
    fn fields_beside_token_objects_are_kept() {
        let fields = |line: &str| {
            let sentences = all(Format::Jsonl, line);
            let Source::Json(meta) = sentences[0].source() else { panic!("fields") };
            meta.fields().map(|(name, value)| format!("{name}={value} ")).collect::<String>()
        };
        assert_eq!(fields(r#"{"tokens":[{"text":"A"}],"id":7}"#), "id=7 ");
        assert_eq!(
            fields(r#"{"start":"x","tokens":[{"text":"A"}],"id":8,"meta":{"id":7,"b":[]}}"#),
            "b=[] start=\"x\" id=8 "
        );
        assert_eq!(
            fields(r#"{"tokens":[{"text":"A"}],"meta":1,"sequences":{}}"#),
            "meta=1 sequences={} "
        );
    }

    #[test]
    fn a_given_text_is_kept_with_its_gaps() {
        let ranges = |line: &str| {
            let sentence = all(Format::Jsonl, line).remove(0);
            let ranges: Vec<_> = (0..sentence.len()).map(|i| sentence.token_range(i)).collect();
            (sentence.text().to_owned(), ranges)
        };
        let line = r#"{"text": "Hello, world", "tokens": ["Hello", "world"]}"#;
        assert_eq!(ranges(line), ("Hello, world".to_owned(), vec![0..5, 7..12]));
        // The offsets choose the second "ä", and count characters from "start".
        let line = r#"{"text": "ä ä b", "start": 3, "tokens": [{"text": "ä", "start": 5, "end": 6}, {"text": "b", "start": 7, "end": 8}]}"#;
        assert_eq!(ranges(line), ("ä ä b".to_owned(), vec![3..5, 6..7]));
        // Offsets in bytes do not fit; the words are found.
        let line = r#"{"text": "ä ä b", "tokens": [{"text": "ä", "start": 3, "end": 5}]}"#;
        assert_eq!(ranges(line).1.first(), Some(&(0..2)));
        let error = error(Format::Jsonl, r#"{"text": "a b", "tokens": ["b", "a"]}"#);
        assert!(error.to_string().ends_with(":1: token 1 is not in \"text\""), "{error}");
    }

    #[test]
    fn a_long_text_is_not_cut() {
        let text = "word ".repeat(40_000);
        let sentences = all(Format::Jsonl, &format!("{{\"text\": \"{text}\"}}"));
        assert_eq!((sentences.len(), sentences[0].len()), (1, 40_000));
    }

    #[test]
    fn spans_that_fit_no_tokens_are_refused() {
        let token = r#"{"text":"a","start":0,"end":1}"#;
        for spans in [
            r#"{"layer":"x","start":0,"end":2,"label":"X"}"#,
            r#"{"layer":"x","start":0,"end":1,"label":"X"},{"layer":"x","start":0,"end":1,"label":"Y"}"#,
        ] {
            let line = format!(r#"{{"tokens":[{token}],"spans":[{spans}]}}"#);
            assert!(matches!(error(Format::Jsonl, &line), Error::Field { line: 1, .. }), "{line}");
        }
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

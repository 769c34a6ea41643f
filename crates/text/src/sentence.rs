use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::{Error, Layer, Position, Result, Source, SpanRef};

/// A sentence: an exact slice of an original document, with its tokens.
///
/// For input that comes as tokens without a text, the text is the tokens joined
/// by one space. A sentence may have no tokens (an empty input line).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Sentence {
    text: String,
    tokens: Vec<Range<usize>>,
    /// Numbers of the tokens that are one word with the token before, in order.
    joined: Vec<usize>,
    start: Position,
    document: usize,
    layers: Vec<Layer>,
    source: Source,
    place: Option<(Arc<Path>, usize)>,
}

impl Sentence {
    /// A sentence of tokens joined by single spaces, at the start of a document.
    pub fn from_tokens<S: AsRef<str>>(tokens: &[S]) -> Sentence {
        let mut sentence = Sentence::default();
        for (i, token) in tokens.iter().enumerate() {
            if i > 0 {
                sentence.text.push(' ');
            }
            let start = sentence.text.len();
            sentence.text.push_str(token.as_ref());
            sentence.tokens.push(start..sentence.text.len());
        }
        sentence
    }

    /// A sentence of `text`, which starts at `start` of its document; `tokens`
    /// are byte ranges in `text`.
    ///
    /// # Errors
    /// If a range is empty, not behind the one before, not inside the text or
    /// not on character boundaries.
    pub fn new(
        text: impl Into<String>,
        tokens: Vec<Range<usize>>,
        start: Position,
    ) -> Result<Sentence> {
        let text = text.into();
        let mut from = 0;
        for (index, token) in tokens.iter().enumerate() {
            if token.start < from || token.is_empty() || text.get(token.clone()).is_none() {
                let len = text.len();
                return Err(Error::Tokens { index, start: token.start, end: token.end, len });
            }
            from = token.end;
        }
        Ok(Sentence::of_parts(text, tokens, start))
    }

    /// As [`Sentence::new`], for ranges that are right by construction.
    pub(crate) fn of_parts(text: String, tokens: Vec<Range<usize>>, start: Position) -> Sentence {
        Sentence { text, tokens, start, ..Sentence::default() }
    }

    /// The same with tokens that are one word with the token before, by number.
    pub(crate) fn with_joined(self, joined: Vec<usize>) -> Sentence {
        Sentence { joined, ..self }
    }

    /// Whether token `i` is part of one word with the token before: the `n't` of
    /// `don't`, where words were split here. CoNLL-U calls such words multiword tokens.
    pub fn is_joined(&self, i: usize) -> bool {
        self.joined.binary_search(&i).is_ok()
    }

    /// The same text with its characters (Unicode code points) as tokens, and
    /// without labels.
    #[must_use]
    pub fn by_characters(&self) -> Sentence {
        let ends = self.text.char_indices().map(|(at, c)| at..at + c.len_utf8());
        let tokens = ends.collect();
        Sentence { tokens, joined: Vec::new(), layers: Vec::new(), ..self.clone() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The text of token `i`.
    ///
    /// # Panics
    /// If there is no token `i`.
    pub fn token(&self, i: usize) -> &str {
        &self.text[self.tokens[i].clone()]
    }

    /// The texts of all tokens.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.tokens.iter().map(|range| &self.text[range.clone()])
    }

    /// Bytes of token `i` in [`Sentence::text`].
    ///
    /// # Panics
    /// If there is no token `i`.
    pub fn token_range(&self, i: usize) -> Range<usize> {
        self.tokens[i].clone()
    }

    /// Where the text starts in the document. A byte order mark is a character of
    /// a document of raw text, of lines or of tokens, so text behind it starts at
    /// byte 3.
    pub fn start(&self) -> Position {
        self.start
    }

    /// Where the text ends in the document.
    pub fn end(&self) -> Position {
        self.start.after(&self.text)
    }

    /// Document position of a byte of the text; inside a character, that of the
    /// character; behind the end, that of the end.
    pub fn position(&self, byte: usize) -> Position {
        self.start.after(&self.text[..self.text.floor_char_boundary(byte)])
    }

    /// Document positions of all tokens, in one pass over the text.
    pub fn token_positions(&self) -> Vec<(Position, Position)> {
        let (mut at, mut byte) = (self.start, 0);
        let place = |range: &Range<usize>| {
            at.advance(&self.text[byte..range.start]);
            let start = at;
            at.advance(&self.text[range.clone()]);
            byte = range.end;
            (start, at)
        };
        self.tokens.iter().map(place).collect()
    }

    /// Index of the input document: of the input line for line-based formats,
    /// of the file otherwise.
    pub fn document(&self) -> usize {
        self.document
    }

    /// The layers in the order in which they were first set.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layer of that name.
    pub fn layer(&self, name: &str) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.name == name)
    }

    /// Adds a layer, or replaces the one of the same name in its place.
    pub fn set_layer(&mut self, layer: Layer) {
        match self.layers.iter_mut().find(|old| old.name == layer.name) {
            Some(old) => *old = layer,
            None => self.layers.push(layer),
        }
    }

    /// The spans of all layers, layer by layer.
    pub fn spans(&self) -> impl Iterator<Item = SpanRef<'_>> {
        SpanRef::all(self)
    }

    /// A column of the source, one value a token; `None` if there is none.
    ///
    /// CoNLL-U: `id`, `form`, `lemma`, `upos`, `xpos`, `feats`, `head`,
    /// `deprel`, `deps`, `misc`, or `misc:KEY` for one key of MISC (`O` for a
    /// token without it). CoNLL: the name of a column. JSONL: a field that is a
    /// list of one string a token.
    pub fn column(&self, name: &str) -> Option<Vec<&str>> {
        self.source.column(name)
    }

    /// The gold labels of a layer: the column of that name, else the key of
    /// MISC that is the name in upper case. A key that no token has, and spans that an
    /// output in `jsonl` does not have here, are `O` everywhere.
    pub fn gold(&self, layer: &str) -> Option<Vec<&str>> {
        let key = || self.column(&key_of(layer));
        let no_spans = || self.source.is_output().then(|| vec!["O"; self.len()]);
        self.column(layer).or_else(key).or_else(no_spans)
    }

    /// Why the sentence has no column of that name, and what to do.
    pub fn missing(&self, column: &str) -> String {
        match &self.source {
            Source::Json(meta) if meta.fields().any(|(name, _)| name == column) => {
                format!("`{column}` is no list of one string for each token")
            }
            Source::Rows(rows) if rows.is_conllu() => format!(
                "there is no column `{column}`; a key of MISC is called `misc:` and its name"
            ),
            _ => format!(
                "no column `{column}`; name the columns (`--columns`, or `columns` of a configuration), or \
                 choose another layer"
            ),
        }
    }

    /// Whether the gold labels are really there: in CoNLL-U a value or a key of at least one
    /// token, else the column. Where this holds of no sentence of a corpus, it
    /// has no such layer.
    pub fn has_gold(&self, layer: &str) -> bool {
        self.source.has(layer) || self.source.has(&key_of(layer))
    }

    /// What the reader kept to write the sentence back.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// File and line (from 1) where the sentence started, for messages.
    pub fn place(&self) -> Option<(&Path, usize)> {
        self.place.as_ref().map(|(path, line)| (&**path, *line))
    }

    /// File and line (from 1) of token `i`, for messages: for columns the line of
    /// its own row, else that of the sentence. `None` if there is no such token,
    /// or the sentence was not read from a file.
    pub fn token_place(&self, i: usize) -> Option<(&Path, usize)> {
        let (path, line) = self.place().filter(|_| i < self.len())?;
        let row = match &self.source {
            Source::Rows(rows) => rows.line_of(i),
            _ => None,
        };
        Some((path, row.unwrap_or(line)))
    }

    /// Tells where the sentence comes from.
    pub(crate) fn located(mut self, document: usize, path: &Arc<Path>, line: usize) -> Sentence {
        self.document = document;
        self.place = Some((path.clone(), line));
        self
    }

    pub(crate) fn with_source(mut self, source: Source) -> Sentence {
        self.source = source;
        self
    }

    pub(crate) fn at(mut self, start: Position) -> Sentence {
        self.start = start;
        self
    }

    /// Bytes from the first to the last of `tokens`; empty if they are not here.
    pub(crate) fn bytes_of(&self, tokens: &Range<usize>) -> Range<usize> {
        match self.tokens.get(tokens.clone()) {
            Some([first, .., last]) => first.start..last.end,
            Some([only]) => only.clone(),
            _ => 0..0,
        }
    }
}

/// The column that holds a layer in MISC.
fn key_of(layer: &str) -> String {
    format!("misc:{}", layer.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_joined_by_one_space() {
        let sentence = Sentence::from_tokens(&["The", "grass"]);
        assert_eq!(sentence.text(), "The grass");
        assert_eq!(sentence.tokens().collect::<Vec<_>>(), ["The", "grass"]);
        assert_eq!((sentence.len(), sentence.token_range(1)), (2, 4..9));
        assert!(Sentence::from_tokens::<&str>(&[]).is_empty());
    }

    #[test]
    fn bad_ranges_are_refused() {
        let new =
            |tokens: &[Range<usize>]| Sentence::new("né a", tokens.to_vec(), Position::default());
        assert!(new(&[0..3, 4..5]).is_ok());
        for bad in [[0..2, 4..5], [0..0, 4..5], [0..3, 4..6], [4..5, 0..1], [0..3, 1..5]] {
            assert!(matches!(new(&bad), Err(Error::Tokens { .. })), "{bad:?}");
        }
    }

    #[test]
    fn positions_count_from_the_document() {
        let start = Position { bytes: 10, chars: 8, utf16: 9 };
        let sentence = Sentence::new("é 𝄞", vec![0..2, 3..7], start).expect("good ranges");
        assert_eq!(sentence.position(3), Position { bytes: 13, chars: 10, utf16: 11 });
        assert_eq!(sentence.end(), Position { bytes: 17, chars: 11, utf16: 13 });
        let last = (sentence.position(3), sentence.end());
        assert_eq!(sentence.token_positions(), [(start, sentence.position(2)), last]);
    }

    #[test]
    fn a_layer_of_the_same_name_is_replaced_in_place() {
        let mut sentence = Sentence::from_tokens(&["a"]);
        for (name, label) in [("x", "1"), ("y", "2"), ("x", "3")] {
            sentence.set_layer(Layer::from_labels(name, &[label]));
        }
        assert_eq!(sentence.layers().len(), 2);
        assert_eq!(sentence.layers()[0].labels().expect("labels")[0].value.as_ref(), "3");
    }
}

//! Writers of tagged sentences.

mod brat;
mod conll;
mod conllu;
mod html;
mod inline;
mod jsonl;
mod plain;

use std::borrow::Cow;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::names::names;
use crate::{Error, Position, Result, Sentence, Source};

/// A format of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// Tokens and labels for reading:
    /// `Ada Lund ran . → ["Ada Lund"/PER]`, `The/DET grass/NOUN`.
    ///
    /// A sentence is one line. Labels of several layers follow one another, as
    /// in `The/DET/DT`. Scores have two digits: `The/DET(0.99)`,
    /// `"Ada Lund"/PER (0.98)`. In the quotes, `"` and `\` have a backslash.
    #[default]
    Inline,
    /// One JSON object a sentence.
    Jsonl,
    /// Columns; what was read as columns is kept byte for byte.
    Conll,
    /// CoNLL-U; what was read as CoNLL-U is kept byte for byte.
    Conllu,
    /// A page for reading, which needs nothing beside it: spans in colours, labels of
    /// words above them, a legend.
    Html,
    /// Standoff annotations of one document, as brat reads them beside its text.
    Brat,
    /// The text alone, a blank line after each sentence.
    Text,
    /// The text alone, one sentence a line.
    Lines,
    /// One sentence a line, the tokens joined by spaces; a space inside a token
    /// becomes U+00A0.
    Tokens,
}

names!(
    OutputFormat,
    "output format",
    Inline = "inline",
    Jsonl = "jsonl",
    Conll = "conll",
    Conllu = "conllu",
    Html = "html",
    Brat = "brat",
    Text = "text",
    Lines = "lines",
    Tokens = "tokens",
);

/// The unit of offsets in `jsonl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Offsets {
    /// Unicode code points.
    #[default]
    Chars,
    /// Bytes of UTF-8.
    Bytes,
    /// Units of UTF-16.
    Utf16,
}

names!(Offsets, "unit of offsets", Chars = "chars", Bytes = "bytes", Utf16 = "utf16");

impl Offsets {
    /// The position in this unit.
    pub fn of(self, position: Position) -> usize {
        match self {
            Offsets::Chars => position.chars,
            Offsets::Bytes => position.bytes,
            Offsets::Utf16 => position.utf16,
        }
    }
}

/// How to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Whether labels and spans come with their scores.
    pub scores: bool,
    /// The unit of offsets.
    pub offsets: Offsets,
    /// The columns of `conll`: "token", layers, or columns of the source ("_"
    /// where there is none). If absent, the source's columns and the layers, or
    /// the token and the layers.
    pub columns: Option<Vec<String>>,
}

/// A writer of one format.
pub trait Writer {
    /// Writes a sentence.
    ///
    /// # Errors
    /// If the output fails.
    fn write(&mut self, sentence: &Sentence) -> Result<()>;

    /// Writes what is left, and flushes.
    ///
    /// # Errors
    /// If the output fails.
    fn finish(&mut self) -> Result<()>;
}

/// A writer of `format` to `out`, which should be buffered.
pub fn writer(format: OutputFormat, out: Box<dyn Write>, options: WriteOptions) -> Box<dyn Writer> {
    let render: Box<dyn Render> = match format {
        OutputFormat::Inline => Box::new(inline::Inline { scores: options.scores }),
        OutputFormat::Jsonl => {
            Box::new(jsonl::Jsonl { scores: options.scores, offsets: options.offsets })
        }
        OutputFormat::Conll => Box::new(conll::Conll { columns: options.columns }),
        OutputFormat::Conllu => Box::new(conllu::Conllu),
        OutputFormat::Html => Box::new(html::Html::new(options.scores)),
        OutputFormat::Brat => Box::new(brat::Brat::new(options.scores)),
        OutputFormat::Text => Box::new(plain::Text),
        OutputFormat::Lines => Box::new(plain::Lines),
        OutputFormat::Tokens => Box::new(plain::Tokens),
    };
    Box::new(Rendered {
        render,
        out,
        text: String::new(),
        end: End::Blank,
        started: false,
        stage: Stage::Before,
        document: None,
    })
}

/// A format: what it makes of a sentence.
trait Render {
    /// Appends what stands before all sentences, even if there are none.
    fn begin(&mut self, _out: &mut String) {}

    /// Appends the sentence to `out`.
    fn render(&mut self, sentence: &Sentence, out: &mut String) -> io::Result<()>;

    /// Whether there is no place for a second document.
    fn holds_one_document(&self) -> bool {
        false
    }

    /// Appends what stands behind all sentences.
    fn end(&mut self, _out: &mut String) {}

    /// Whether a blank line must stand between two sentences.
    fn blank_between(&self) -> bool {
        false
    }
}

/// How the output written so far ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Blank,
    Line,
    Open,
}

/// How far a format has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Before,
    Within,
    Behind,
}

struct Rendered {
    render: Box<dyn Render>,
    out: Box<dyn Write>,
    text: String,
    end: End,
    started: bool,
    stage: Stage,
    document: Option<usize>,
}

impl Writer for Rendered {
    fn write(&mut self, sentence: &Sentence) -> Result<()> {
        let rows = match sentence.source() {
            Source::Rows(rows) => Some(rows),
            _ => None,
        };
        // Lines of columns that belong to no sentence are for columns only.
        if rows.is_some() && sentence.is_empty() && !self.render.blank_between() {
            return Ok(());
        }
        let document = self.document.replace(sentence.document());
        let is_second = document.is_some_and(|document| document != sentence.document());
        if is_second && self.render.holds_one_document() {
            return Err(Error::SecondDocument);
        }
        self.begin()?;
        self.text.clear();
        let rendered = self.render.render(sentence, &mut self.text);
        let continues = rows.is_some_and(|rows| rows.continues);
        // Of a format that does not keep the lines the mark is not written.
        let marks = |text: &str| text.chars().take_while(|char| *char == MARK).count();
        let marked = rows.is_some_and(|rows| {
            rows.line <= 1 && rows.raw.starts_with(MARK) && marks(&rows.raw) == marks(&self.text)
        });
        rendered
            .and_then(|()| self.put(continues, marked))
            .map_err(|source| Error::Write { source })
    }

    fn finish(&mut self) -> Result<()> {
        self.begin()?;
        if self.stage == Stage::Within {
            self.stage = Stage::Behind;
            self.text.clear();
            self.render.end(&mut self.text);
            self.out.write_all(self.text.as_bytes()).map_err(|source| Error::Write { source })?;
        }
        self.out.flush().map_err(|source| Error::Write { source })
    }
}

impl Rendered {
    fn begin(&mut self) -> Result<()> {
        if self.stage != Stage::Before {
            return Ok(());
        }
        self.stage = Stage::Within;
        self.text.clear();
        self.render.begin(&mut self.text);
        self.out.write_all(self.text.as_bytes()).map_err(|source| Error::Write { source })
    }

    /// Writes what was rendered, apart from what was written before: a file
    /// that was kept byte for byte may lack its last newlines, and the next one
    /// may be `marked`, its first character a byte order mark. What `continues` a file
    /// goes on with the next line.
    fn put(&mut self, continues: bool, marked: bool) -> io::Result<()> {
        let mut text = self.text.as_str();
        if self.started && marked {
            text = text.strip_prefix(MARK).unwrap_or(text);
        }
        if text.is_empty() {
            return Ok(());
        }
        if self.render.blank_between() {
            self.out.write_all(match self.end {
                End::Blank => b"",
                End::Line if continues => b"",
                End::Line => b"\n",
                End::Open => b"\n\n",
            })?;
            self.end = end_of(text);
        }
        if !self.started && !marked && text.starts_with(MARK) {
            // Else a reader would take the word's own character for a mark.
            self.out.write_all(MARK.to_string().as_bytes())?;
        }
        self.started = true;
        self.out.write_all(text.as_bytes())
    }
}

/// The byte order mark.
const MARK: char = '\u{feff}';

/// How a text ends; a line of spaces and tabs is blank.
fn end_of(text: &str) -> End {
    let Some(lines) = text.strip_suffix('\n') else { return End::Open };
    let last = lines.rsplit('\n').next().unwrap_or_default();
    if last.trim_matches([' ', '\t', '\r']).is_empty() { End::Blank } else { End::Line }
}

/// The text on one line: control characters that would break it are spaces.
fn on_one_line(text: &str) -> Cow<'_, str> {
    let breaks = |char: char| {
        matches!(char, '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    match text.contains(breaks) {
        true => Cow::Owned(text.replace(breaks, " ")),
        false => Cow::Borrowed(text),
    }
}

/// A value that keeps its cell of a row: no tab, no line end, not empty.
fn cell(value: &str) -> String {
    if value.is_empty() { "_".to_owned() } else { on_one_line(value).into_owned() }
}

#[cfg(test)]
mod tests;

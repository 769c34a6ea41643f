use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

/// What a reader kept of its input, to write the sentence back.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// Nothing: raw text, or a sentence made in memory.
    #[default]
    None,
    /// One input line, and what ended it: `\n`, `\r\n`, or nothing.
    Line(&'static str),
    /// Rows of a CoNLL or CoNLL-U file.
    Rows(Rows),
    /// Fields of a JSON object, shared by the sentences of one text.
    Json(Arc<Meta>),
}

impl Source {
    /// A column by name; see [`Sentence::column`](crate::Sentence::column).
    pub(crate) fn column(&self, name: &str) -> Option<Vec<&str>> {
        match self {
            Source::None | Source::Line(_) => None,
            Source::Rows(rows) => rows.column(name),
            Source::Json(meta) => {
                let (_, values) = meta.columns.iter().find(|(column, _)| column == name)?;
                Some(values.iter().map(String::as_str).collect())
            }
        }
    }

    /// Whether there is a column of that name with something in it: see
    /// [`Sentence::has_gold`](crate::Sentence::has_gold).
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Source::Rows(rows) => rows.has(name),
            _ => self.column(name).is_some(),
        }
    }

    /// Whether an output of this program was read back, which tells spans, not tags.
    pub(crate) fn is_output(&self) -> bool {
        matches!(self, Source::Json(meta) if meta.is_output)
    }
}

/// The fields of a JSON object beside its text and its tokens.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    pub(crate) fields: Vec<(String, Box<RawValue>)>,
    pub(crate) columns: Vec<(String, Vec<String>)>,
    /// Whether an output was read back.
    pub(crate) is_output: bool,
    /// Its "doc".
    pub(crate) doc: Option<Box<RawValue>>,
}

impl Meta {
    /// Names and values, as JSON, in the order of the input.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.get()))
    }

    /// Names of the lists that hold a string for each token, and of the layers of an
    /// output that was read back.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }
}

impl PartialEq for Meta {
    fn eq(&self, other: &Self) -> bool {
        let doc = |meta: &Self| meta.doc.as_ref().map(|doc| doc.get().to_owned());
        self.columns == other.columns && self.fields().eq(other.fields()) && doc(self) == doc(other)
    }
}

/// How the columns of a file are laid out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub conllu: bool,
    pub tabs: bool,
    pub names: Vec<String>,
}

impl Layout {
    /// Index of a column.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|column| column == name)
    }

    /// Where the cells of a row are.
    pub fn cells<'a>(&self, row: &'a str) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let separator = if self.tabs { b'\t' } else { b' ' };
        let (mut at, tabs, trim) = (0, self.tabs, !self.conllu);
        let cells =
            memchr::memchr_iter(separator, row.as_bytes()).chain([row.len()]).map(move |end| {
                let cell = at..end;
                at = end + 1;
                cell
            });
        cells
            .filter(move |cell| tabs || !cell.is_empty())
            .map(move |cell| if trim { trimmed(row, cell) } else { cell })
    }
}

/// The value of a comment `# key = value`, if it is not empty.
pub(crate) fn comment<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let comment = line.strip_prefix('#')?.trim_start();
    let value = comment.strip_prefix(key)?.trim_start().strip_prefix('=')?.trim();
    Some(value).filter(|value| !value.is_empty())
}

/// A cell without the ASCII spaces at its edges, unless it is nothing but these.
fn trimmed(row: &str, cell: Range<usize>) -> Range<usize> {
    let text = &row[cell.clone()];
    match text.trim_matches(' ') {
        "" => cell,
        inner => {
            let start = cell.start + text.len() - text.trim_start_matches(' ').len();
            start..start + inner.len()
        }
    }
}

/// The lines of a sentence in a file of columns, with all that stood around
/// them: comments, ranges, empty nodes, blank lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// From the end of the sentence before to the end of this one; lines without
    /// a row, of a sentence without tokens, if none follows or they are many.
    pub(crate) raw: String,
    /// The rows of the tokens in it, without line ends.
    pub(crate) words: Vec<Range<usize>>,
    /// The number of the first line.
    pub(crate) line: usize,
    /// Whether the line before it is not blank.
    pub(crate) continues: bool,
    pub(crate) layout: Arc<Layout>,
}

impl Rows {
    /// The lines as they were read.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Whether these are rows of CoNLL-U.
    pub fn is_conllu(&self) -> bool {
        self.layout.conllu
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.layout.names.iter().map(String::as_str)
    }

    /// The value of the first comment `# key = value` of that key.
    pub fn comment(&self, key: &str) -> Option<&str> {
        self.lines().find_map(|line| comment(line, key))
    }

    /// All lines as they were read, comments too.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.raw.lines()
    }

    /// The line of token `i`.
    pub(crate) fn line_of(&self, i: usize) -> Option<usize> {
        let before = &self.raw.as_bytes()[..self.words.get(i)?.start];
        Some(self.line + memchr::memchr_iter(b'\n', before).count())
    }

    fn column(&self, name: &str) -> Option<Vec<&str>> {
        match name.strip_prefix("misc:").filter(|_| self.layout.conllu) {
            Some(key) => {
                let misc = self.values(self.layout.index("misc")?);
                Some(misc.into_iter().map(|misc| misc_value(misc, key).unwrap_or("O")).collect())
            }
            None => Some(self.values(self.layout.index(name)?)),
        }
    }

    /// In CoNLL-U every file has every column.
    fn has(&self, name: &str) -> bool {
        if !self.layout.conllu {
            return self.column(name).is_some();
        }
        let (column, key) = match name.strip_prefix("misc:") {
            Some(key) => ("misc", Some(key)),
            None => (name, None),
        };
        let values = self.layout.index(column).map(|index| self.values(index));
        values.into_iter().flatten().any(|value| match key {
            Some(key) => misc_value(value, key).is_some(),
            None => value != "_",
        })
    }

    fn values(&self, column: usize) -> Vec<&str> {
        let value = |row: &Range<usize>| {
            let row = &self.raw[row.clone()];
            self.layout.cells(row).nth(column).map_or("", |cell| &row[cell])
        };
        self.words.iter().map(value).collect()
    }

    /// The lines with cells changed: `edits` name a column, and the value of
    /// each token in it; a column behind the last is appended.
    pub(crate) fn rewritten(&self, edits: &[(usize, Vec<String>)]) -> Cow<'_, str> {
        if edits.is_empty() {
            return Cow::Borrowed(&self.raw);
        }
        let mut out = String::with_capacity(self.raw.len() + 16 * self.words.len());
        let mut at = 0;
        for (word, range) in self.words.iter().enumerate() {
            out.push_str(&self.raw[at..range.start]);
            self.rewrite_row(&self.raw[range.clone()], word, edits, &mut out);
            at = range.end;
        }
        out.push_str(&self.raw[at..]);
        Cow::Owned(out)
    }

    fn rewrite_row(
        &self,
        row: &str,
        word: usize,
        edits: &[(usize, Vec<String>)],
        out: &mut String,
    ) {
        let value =
            |(_, values): &(usize, Vec<String>)| values.get(word).cloned().unwrap_or_default();
        let (mut at, mut columns) = (0, 0);
        for (column, cell) in self.layout.cells(row).enumerate() {
            out.push_str(&row[at..cell.start]);
            match edits.iter().find(|(edited, _)| *edited == column) {
                Some(edit) => out.push_str(&value(edit)),
                None => out.push_str(&row[cell.clone()]),
            }
            (at, columns) = (cell.end, column + 1);
        }
        for edit in edits.iter().filter(|(edited, _)| *edited >= columns) {
            out.push(if self.layout.tabs { '\t' } else { ' ' });
            out.push_str(&value(edit));
        }
        out.push_str(&row[at..]);
    }
}

/// The value of a key of MISC; the case of the key counts only if several match.
pub(crate) fn misc_value<'a>(misc: &'a str, key: &str) -> Option<&'a str> {
    misc_entry(misc, key).map(|(_, value)| &misc[value])
}

/// Where the key of MISC and its value are.
pub(crate) fn misc_entry(misc: &str, key: &str) -> Option<(Range<usize>, Range<usize>)> {
    let mut at = 0;
    let mut found: Option<(Range<usize>, Range<usize>)> = None;
    for entry in misc.split('|') {
        if let Some((name, _)) = entry.split_once('=') {
            let here = (at..at + name.len(), at + name.len() + 1..at + entry.len());
            if name == key {
                return Some(here);
            }
            if name.eq_ignore_ascii_case(key) {
                found.get_or_insert(here);
            }
        }
        at += entry.len() + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(raw: &str, words: &[Range<usize>], tabs: bool) -> Rows {
        let names = vec!["token".to_owned(), "pos".to_owned()];
        let layout = Arc::new(Layout { conllu: false, tabs, names });
        Rows { raw: raw.to_owned(), words: words.to_vec(), line: 1, continues: false, layout }
    }

    #[test]
    fn only_the_cells_named_change() {
        let rows = rows("# x\n a  N \r\nb\u{a0}b V\n\n", &[4..10, 12..18], false);
        assert_eq!(rows.column("token"), Some(vec!["a", "b\u{a0}b"]));
        assert_eq!(rows.column("ner"), None);
        assert_eq!(rows.rewritten(&[]), rows.raw());
        let edits =
            [(1, vec!["X".to_owned(), "YY".to_owned()]), (2, vec!["O".to_owned(), "P".to_owned()])];
        assert_eq!(rows.rewritten(&edits), "# x\n a  X O \r\nb\u{a0}b YY P\n\n");
    }

    #[test]
    fn tabs_keep_empty_and_blank_cells() {
        let rows = rows("a\t\n \t N \n", &[0..2, 3..8], true);
        assert_eq!(rows.column("token"), Some(vec!["a", " "]));
        assert_eq!(rows.column("pos"), Some(vec!["", "N"]));
        assert_eq!(rows.rewritten(&[(1, vec!["X".into(), "Y".into()])]), "a\tX\n \t Y \n");
    }

    #[test]
    fn keys_of_misc() {
        assert_eq!(misc_value("SpaceAfter=No|ner=B-A=B", "NER"), Some("B-A=B"));
        assert_eq!(misc_value("ner=1|NER=2", "NER"), Some("2"));
        assert_eq!((misc_value("_", "NER"), misc_value("Gloss=NER", "NER")), (None, None));
        assert_eq!(misc_entry("a=b|Ner=c", "ner"), Some((4..7, 8..9)));
    }
}

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::columns::{is_boundary, is_comment};
use super::compressed::Compression;
use super::input::{Input, chomp};
use crate::Result;
use crate::names::names;
use crate::tags::is_tag;

/// A format of corpora.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// By the file's ending, else by its first 64 KiB, else text.
    #[default]
    Auto,
    /// Raw text, split into sentences and words here.
    Text,
    /// Raw text, one sentence a line.
    Lines,
    /// One sentence a line, tokens split by spaces.
    Tokens,
    /// Columns: one token a line, a blank line after a sentence.
    Conll,
    /// The ten columns of Universal Dependencies.
    Conllu,
    /// One JSON object a line, with "text" or "tokens".
    Jsonl,
}

names!(
    Format,
    "format",
    Auto = "auto",
    Text = "text",
    Lines = "lines",
    Tokens = "tokens",
    Conll = "conll",
    Conllu = "conllu",
    Jsonl = "jsonl",
);

impl Format {
    /// The format a file's ending tells; one of compression is passed over.
    pub(super) fn of_path(path: &Path) -> Option<Format> {
        let path = Compression::strip(path);
        Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "txt" | "text" => Format::Text,
            "lines" => Format::Lines,
            "tokens" => Format::Tokens,
            "tsv" | "conll" | "iob" | "bio" => Format::Conll,
            "conllu" => Format::Conllu,
            "jsonl" | "ndjson" => Format::Jsonl,
            _ => return None,
        })
    }

    /// The format that the first 64 KiB of a file tell; reads no more of it than
    /// it takes to be certain.
    pub(super) fn of_content(input: &mut Input) -> Result<Format> {
        let (mut evidence, mut at) = (Evidence::default(), 0);
        while let Some(line) = input.peek_line(at)? {
            at += line.len();
            if let Some(format) = evidence.add(chomp(&String::from_utf8_lossy(line))) {
                return Ok(format);
            }
        }
        Ok(evidence.format())
    }
}

/// What the lines seen so far say about the format.
#[derive(Default)]
struct Evidence {
    /// Whether a line that is not blank was seen.
    begun: bool,
    /// Lines that are neither blank nor marks, and could all be rows of CoNLL.
    rows: usize,
    /// Cells of every row, if they are separated by spaces; 0 for tabs.
    cells: usize,
    /// Whether a row has a tag of a span.
    span: bool,
}

impl Evidence {
    /// Adds a line; the format if it is certain now.
    fn add(&mut self, line: &str) -> Option<Format> {
        if line.trim().is_empty() {
            return None;
        }
        if !std::mem::replace(&mut self.begun, true) && is_json(line) {
            return Some(Format::Jsonl);
        } else if is_comment(line) || is_boundary(line) {
            return None;
        } else if self.rows == 0 && is_conllu(line) {
            return Some(Format::Conllu);
        }
        let (cells, tag) = match line.rsplit_once('\t') {
            Some((_, tag)) => (0, tag.trim()),
            None => {
                let mut cells = line.split(' ').filter(|cell| !cell.is_empty());
                (cells.clone().count(), cells.next_back().unwrap_or_default())
            }
        };
        if !is_tag(tag) || cells == 1 || (self.rows > 0 && cells != self.cells) {
            return Some(Format::Text);
        }
        (self.rows, self.cells) = (self.rows + 1, cells);
        self.span |= !matches!(tag, "O" | "_" | "");
        None
    }

    /// The format when there is nothing more to see. Tabs are rare in prose;
    /// words that happen to stand in columns are not, so these must have more
    /// than one row, and a span.
    fn format(&self) -> Format {
        match self.cells {
            0 if self.rows > 0 => Format::Conll,
            1.. if self.rows > 1 && self.span => Format::Conll,
            _ => Format::Text,
        }
    }
}

/// Whether the line starts as a JSON object does: with a name, or empty.
fn is_json(line: &str) -> bool {
    let inner = line.trim().strip_prefix('{').map(str::trim_start);
    inner.is_some_and(|inner| inner.starts_with('"') || inner == "}")
}

/// Whether the line has ten columns, of which the first starts with a digit.
fn is_conllu(line: &str) -> bool {
    line.starts_with(|char: char| char.is_ascii_digit()) && line.split('\t').count() == 10
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::corpus::tests::Failing;

    fn of_content(text: &str) -> Format {
        let reader = Box::new(std::io::Cursor::new(text.to_owned()));
        let mut input = Input::new(reader, Path::new("-"), false).expect("text");
        Format::of_content(&mut input).expect("text")
    }

    #[test]
    fn endings() {
        let cases = [
            ("a.txt", Some(Format::Text)),
            ("a.b.conllu.zst", Some(Format::Conllu)),
            ("a.TSV.gz", Some(Format::Conll)),
            ("a.ndjson", Some(Format::Jsonl)),
            ("a.gz", None),
            ("txt", None),
            ("-", None),
        ];
        for (path, format) in cases {
            assert_eq!(Format::of_path(Path::new(path)), format, "{path}");
        }
    }

    #[test]
    fn contents() {
        let cases = [
            ("", Format::Text),
            ("\n \n", Format::Text),
            ("It\tis raw.\n", Format::Text),
            ("{\"text\": \"a\"}\n", Format::Jsonl),
            ("# a\n1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_\n", Format::Conllu),
            ("-DOCSTART-\n\n# c\nAnna\tB-PER\r\nx\tO", Format::Conll),
            ("#1\tB-PER", Format::Conll),
            ("Anna NNP B-PER\n", Format::Text),
        ];
        for (content, format) in cases {
            assert_eq!(of_content(content), format, "{content}");
        }
    }

    #[test]
    fn comments_without_a_row_are_text() {
        assert_eq!(of_content("# A heading\n\n# Another\n"), Format::Text);
        assert_eq!(of_content("-DOCSTART-\n\n# c\n"), Format::Text);
    }

    #[test]
    fn a_brace_alone_is_not_json() {
        for text in ["{name}, hello.\n", "{\n", "{ } x\n", "{[1]}\n"] {
            assert_eq!(of_content(text), Format::Text, "{text}");
        }
        for json in ["{ \"tokens\": []}\n", "\n {}\r\n", "{\"text\": \"cut"] {
            assert_eq!(of_content(json), Format::Jsonl, "{json}");
        }
        let long = format!("{{\"text\": \"{}\"}}\n", "x".repeat(200_000));
        assert_eq!(of_content(&long), Format::Jsonl);
    }

    #[test]
    fn conll_separated_by_spaces_is_not_prose() {
        assert_eq!(of_content("-DOCSTART- -X- O\n\nin IN O\nBonn NNP B-LOC\n"), Format::Conll);
        assert_eq!(of_content("# c\nBonn  I-LOC \r\n\nit O"), Format::Conll);
        for prose in [
            "in O\nBonn O\n",
            "in IN O\nBonn B-LOC\n",
            "He took B-12\n",
            "Take B-12\nand rest\n",
            "O\nB-X\n",
            "in O\nBonn\tB-LOC\n",
        ] {
            assert_eq!(of_content(prose), Format::Text, "{prose}");
        }
    }

    #[test]
    fn the_format_is_told_as_soon_as_it_is_certain() {
        for text in ["{\"text\": \"a\"}\n", "It rained.\n", "1\ta\t_\t_\t_\t_\t_\t_\t_\t_\n"] {
            let reader = Box::new(std::io::Cursor::new(text).chain(Failing));
            let mut input = Input::new(reader, Path::new("-"), false).expect("a start");
            assert!(Format::of_content(&mut input).is_ok(), "{text}");
        }
    }
}

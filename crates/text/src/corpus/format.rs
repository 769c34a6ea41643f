use std::path::Path;

use serde::{Deserialize, Serialize};

use super::compressed::Compression;
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

    /// The format the first bytes of a file tell.
    pub(super) fn of_content(window: &[u8]) -> Format {
        let text = String::from_utf8_lossy(window);
        // The last line may be cut.
        let lines: Vec<&str> = text.lines().collect();
        let whole = lines.len().saturating_sub(usize::from(!text.ends_with('\n'))).max(1);
        let mut rows = lines.into_iter().take(whole).filter(|line| !line.trim().is_empty());
        let Some(first) = rows.clone().next() else { return Format::Text };
        if first.trim_start().starts_with('{') {
            return Format::Jsonl;
        }
        if rows.clone().find(|line| !line.starts_with('#')).is_some_and(is_conllu) {
            return Format::Conllu;
        }
        let tagged = |line: &str| line.rsplit_once('\t').is_some_and(|(_, tag)| is_tag(tag.trim()));
        match rows.all(|line| tagged(line) || is_mark(line)) {
            true => Format::Conll,
            false => Format::Text,
        }
    }
}

/// Whether the line has ten columns, of which the first starts with a digit.
fn is_conllu(line: &str) -> bool {
    line.starts_with(|char: char| char.is_ascii_digit()) && line.split('\t').count() == 10
}

/// Whether the line can stand between the rows of a CoNLL file.
fn is_mark(line: &str) -> bool {
    line.starts_with("-DOCSTART-") || (line.starts_with('#') && !line.contains('\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("-DOCSTART-\n\n# c\nAnna\tB-PER\r\nx\tO\ncut", Format::Conll),
            ("#1\tB-PER", Format::Conll),
            ("Anna NNP B-PER\n", Format::Text),
        ];
        for (content, format) in cases {
            assert_eq!(Format::of_content(content.as_bytes()), format, "{content}");
        }
    }
}

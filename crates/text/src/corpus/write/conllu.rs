use std::io;
use std::ops::Range;

use super::{Render, cell, on_one_line};
use crate::corpus::conllu::{COLUMNS, MISC};
use crate::source::misc_entry;
use crate::tags::Scheme;
use crate::{Layer, Rows, Sentence, Source};

/// CoNLL-U: a layer replaces the column of its name, or a key of MISC. Tags of
/// spans are IOB2.
pub(super) struct Conllu;

impl Render for Conllu {
    fn render(&mut self, sentence: &Sentence, out: &mut String) -> io::Result<()> {
        match sentence.source() {
            Source::Rows(rows) if rows.is_conllu() => rewrite(sentence, rows, out),
            _ => write(sentence, out),
        }
        Ok(())
    }

    fn blank_between(&self) -> bool {
        true
    }
}

/// The source's lines with the cells of the layers changed.
fn rewrite(sentence: &Sentence, rows: &Rows, out: &mut String) {
    let misc = sentence.column(COLUMNS[MISC]).unwrap_or_default();
    let misc: Vec<String> = misc.into_iter().map(str::to_owned).collect();
    out.push_str(&rows.rewritten(&cells(sentence, misc)));
}

/// The cells that the layers change; `misc` holds that column as it is.
fn cells(sentence: &Sentence, mut misc: Vec<String>) -> Vec<(usize, Vec<String>)> {
    let mut edits = Vec::new();
    let mut misc_changed = false;
    for layer in sentence.layers() {
        let values = layer.column(sentence.len(), Scheme::Iob2);
        match replaced_column(&layer.name) {
            Some(column) => edits.push((column, values.iter().map(|value| cell(value)).collect())),
            None => {
                let key = key(layer);
                misc_changed = true;
                for (misc, value) in misc.iter_mut().zip(&values) {
                    set_misc(misc, &key, &cell(value).replace('|', "_"));
                }
            }
        }
    }
    if misc_changed {
        edits.push((MISC, misc));
    }
    edits
}

/// The column that a layer of this name replaces.
fn replaced_column(name: &str) -> Option<usize> {
    let own = matches!(name, "lemma" | "upos" | "xpos" | "feats");
    COLUMNS.iter().position(|column| own && *column == name)
}

/// The key of MISC for a layer: what follows `misc:`, or the name in capitals.
fn key(layer: &Layer) -> String {
    let key =
        layer.name.strip_prefix("misc:").map_or_else(|| layer.name.to_uppercase(), str::to_owned);
    key.replace(['|', '=', '\t', '\n', '\r'], "_")
}

/// Sets a key of a MISC cell, in the place and the case it has there.
fn set_misc(misc: &mut String, key: &str, value: &str) {
    if let Some((_, range)) = misc_entry(misc, key) {
        misc.replace_range(range, value);
        return;
    }
    if misc == "_" || misc.is_empty() {
        misc.clear();
    } else {
        misc.push('|');
    }
    misc.push_str(key);
    misc.push('=');
    misc.push_str(value);
}

/// Writes a sentence that does not come from CoNLL-U, unless it has no tokens.
fn write(sentence: &Sentence, out: &mut String) {
    if sentence.is_empty() {
        return;
    }
    let ends = ends_of_words(sentence);
    let misc = (0..sentence.len()).map(|i| {
        let is_inner = ends[i] > i + 1 || sentence.is_joined(i);
        if is_inner || space_after(sentence, i) { "_" } else { "SpaceAfter=No" }.to_owned()
    });
    let edits = cells(sentence, misc.clone().collect());
    out.push_str("# text = ");
    out.push_str(&on_one_line(sentence.text()));
    out.push('\n');
    for (i, (token, misc)) in sentence.tokens().zip(misc).enumerate() {
        if ends[i] > i + 1 && !sentence.is_joined(i) {
            write_range(sentence, i..ends[i], out);
        }
        let mut row = COLUMNS.map(|_| "_".to_owned());
        row[0] = (i + 1).to_string();
        row[1] = on_one_line(token).into_owned();
        row[MISC] = misc;
        for (column, values) in &edits {
            row[*column].clone_from(&values[i]);
        }
        out.push_str(&row.join("\t"));
        out.push('\n');
    }
    out.push('\n');
}

/// For each token, the token behind the last one that is one word with it.
fn ends_of_words(sentence: &Sentence) -> Vec<usize> {
    let mut ends = vec![sentence.len(); sentence.len()];
    for i in (1..sentence.len()).rev() {
        ends[i - 1] = if sentence.is_joined(i) { ends[i] } else { i };
    }
    ends
}

/// The line of a multiword token.
fn write_range(sentence: &Sentence, tokens: Range<usize>, out: &mut String) {
    let mut row = COLUMNS.map(|_| "_");
    let id = format!("{}-{}", tokens.start + 1, tokens.end);
    let form = on_one_line(&sentence.text()[sentence.bytes_of(&tokens)]).into_owned();
    (row[0], row[1]) = (&id, &form);
    if !space_after(sentence, tokens.end - 1) {
        row[MISC] = "SpaceAfter=No";
    }
    out.push_str(&row.join("\t"));
    out.push('\n');
}

/// Whether the next token, if there is one, does not touch token `i`.
fn space_after(sentence: &Sentence, i: usize) -> bool {
    i + 1 == sentence.len() || sentence.token_range(i).end < sentence.token_range(i + 1).start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    /// A sentence of tokens of one letter that touch, some joined to those before.
    fn letters(len: usize, joined: Vec<usize>) -> Sentence {
        let ranges = (0..len).map(|i| i..i + 1).collect();
        Sentence::of_parts("a".repeat(len), ranges, Position::default()).with_joined(joined)
    }

    #[test]
    fn ends_of_words_are_where_no_token_is_joined() {
        assert_eq!(ends_of_words(&letters(6, vec![1, 2, 4])), [3, 3, 3, 5, 5, 6]);
        assert_eq!(ends_of_words(&letters(2, vec![1])), [2, 2]);
        assert_eq!(ends_of_words(&letters(0, vec![])), [0; 0]);
    }

    #[test]
    fn a_word_of_many_tokens_is_written_in_linear_time() {
        // Looked for anew from each token, the end of the word would take minutes.
        let len = 200_000;
        let mut out = String::new();
        write(&letters(len, (1..len).collect()), &mut out);
        let ranges: Vec<_> = out.lines().filter(|line| line.starts_with("1-")).collect();
        assert!(ranges.len() == 1 && ranges[0].starts_with("1-200000\taaa"));
        assert_eq!(out.lines().count(), len + 3);
    }
}

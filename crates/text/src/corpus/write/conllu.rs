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
    let misc = (0..sentence.len()).map(|i| {
        let is_inner = end_of_word(sentence, i) > i + 1 || sentence.is_joined(i);
        if is_inner || space_after(sentence, i) { "_" } else { "SpaceAfter=No" }.to_owned()
    });
    let edits = cells(sentence, misc.clone().collect());
    out.push_str("# text = ");
    out.push_str(&on_one_line(sentence.text()));
    out.push('\n');
    for (i, (token, misc)) in sentence.tokens().zip(misc).enumerate() {
        let end = end_of_word(sentence, i);
        if end > i + 1 && !sentence.is_joined(i) {
            write_range(sentence, i..end, out);
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

/// The token behind the last one that is one word with token `i`.
fn end_of_word(sentence: &Sentence, i: usize) -> usize {
    (i + 1..sentence.len()).find(|next| !sentence.is_joined(*next)).unwrap_or(sentence.len())
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

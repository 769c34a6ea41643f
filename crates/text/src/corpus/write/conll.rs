use std::io;

use super::{Render, cell, on_one_line};
use crate::tags::Scheme;
use crate::{Layer, Rows, Sentence, Source};

/// Columns: those of the source and the layers. Tags of spans are IOB2.
pub(super) struct Conll {
    pub columns: Option<Vec<String>>,
}

impl Render for Conll {
    fn render(&mut self, sentence: &Sentence, out: &mut String) -> io::Result<()> {
        match (&self.columns, sentence.source()) {
            (None, Source::Rows(rows)) if !rows.is_conllu() => rewrite(sentence, rows, out),
            (None, _) => {
                let mut columns: Vec<_> =
                    sentence.layers().iter().map(|layer| column(layer, sentence)).collect();
                if columns.is_empty() {
                    // A lone token that starts with "#" would be a comment.
                    columns.push(vec!["_".to_owned(); sentence.len()]);
                }
                columns.insert(0, tokens(sentence));
                write(&columns, sentence.len(), out);
            }
            (Some(names), _) => {
                let columns: Vec<_> = names.iter().map(|name| named(name, sentence)).collect();
                write(&columns, sentence.len(), out);
            }
        }
        Ok(())
    }

    fn blank_between(&self) -> bool {
        true
    }
}

/// The source's lines; a layer replaces the column of its name, or is appended.
fn rewrite(sentence: &Sentence, rows: &Rows, out: &mut String) {
    let mut next = rows.layout.names.len();
    let edit = |layer: &Layer| {
        let index = rows.layout.index(&layer.name).unwrap_or(next);
        next += usize::from(index == next);
        let mut values = column(layer, sentence);
        if !rows.layout.tabs {
            values.iter_mut().for_each(|value| *value = value.replace(' ', "_"));
        }
        (index, values)
    };
    let edits: Vec<_> = sentence.layers().iter().map(edit).collect();
    out.push_str(&rows.rewritten(&edits));
}

/// A column by name: the token, a layer, a column of the source, or "_".
fn named(name: &str, sentence: &Sentence) -> Vec<String> {
    if name == "token" {
        return tokens(sentence);
    }
    match (sentence.layer(name), sentence.column(name)) {
        (Some(layer), _) => column(layer, sentence),
        (None, Some(values)) => values.into_iter().map(cell).collect(),
        (None, None) => vec!["_".to_owned(); sentence.len()],
    }
}

fn tokens(sentence: &Sentence) -> Vec<String> {
    sentence.tokens().map(|token| on_one_line(token).into_owned()).collect()
}

fn column(layer: &Layer, sentence: &Sentence) -> Vec<String> {
    layer.column(sentence.len(), Scheme::Iob2).iter().map(|value| cell(value)).collect()
}

/// Writes rows and a blank line, unless there are none.
fn write(columns: &[Vec<String>], len: usize, out: &mut String) {
    for i in 0..len {
        for (c, column) in columns.iter().enumerate() {
            out.push_str(if c > 0 { "\t" } else { "" });
            out.push_str(column.get(i).map_or("_", |value| value));
        }
        out.push('\n');
    }
    if len > 0 {
        out.push('\n');
    }
}

//! Standoff annotations of brat (Stenetorp et al., 2012).

use std::fmt::Write;
use std::io;

use super::Render;
use crate::{Position, Sentence};

/// `T1<tab>PER 0 8<tab>Ada Lund`: places in the one document that was read, which brat
/// wants beside it; scores are notes.
pub(super) struct Brat {
    pub scores: bool,
    annotations: usize,
    notes: usize,
}

impl Brat {
    pub(super) fn new(scores: bool) -> Self {
        Self { scores, annotations: 0, notes: 0 }
    }

    fn annotation(
        &mut self,
        label: &str,
        start: Position,
        text: &str,
        score: f32,
        out: &mut String,
    ) {
        self.annotations += 1;
        let number = self.annotations;
        // What goes over a line end is in pieces.
        let (mut at, mut pieces, mut shown) = (start, Vec::new(), Vec::new());
        for line in text.split_inclusive(['\n', '\r']) {
            let own = line.trim_end_matches(['\n', '\r']);
            if !own.is_empty() {
                pieces.push(format!("{} {}", at.chars, at.after(own).chars));
                shown.push(own);
            }
            at.advance(line);
        }
        let kind: String = label.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect();
        let (pieces, shown) = (pieces.join(";"), shown.join(" "));
        let _ = writeln!(out, "T{number}\t{kind} {pieces}\t{shown}");
        if self.scores {
            self.notes += 1;
            let _ = writeln!(out, "#{}\tAnnotatorNotes T{number}\t{score:.4}", self.notes);
        }
    }
}

impl Render for Brat {
    fn holds_one_document(&self) -> bool {
        true
    }

    fn render(&mut self, sentence: &Sentence, out: &mut String) -> io::Result<()> {
        let places = sentence.token_positions();
        for layer in sentence.layers() {
            for (label, (start, _), token) in layer
                .labels()
                .into_iter()
                .flatten()
                .zip(&places)
                .zip(sentence.tokens())
                .map(|((label, place), token)| (label, *place, token))
            {
                self.annotation(&label.value, start, token, label.score, out);
            }
        }
        for span in sentence.spans() {
            let Some((start, _)) = places.get(span.tokens().start) else { continue };
            self.annotation(span.label(), *start, span.text(), span.score(), out);
        }
        Ok(())
    }
}

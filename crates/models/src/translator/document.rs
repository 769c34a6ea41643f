//! From text to sentences and back: what stands between them stays.

use std::{borrow::Cow, ops::Range};

use glossator_text::{Position, batch, segment};
use rayon::prelude::*;

use super::{Hypothesis, TranslateOptions, Translation, Translator, decode::search, subwords::END};
use crate::{Error, Result};

/// Subwords of a sentence at most; a longer one is cut.
const MAX_SOURCE: usize = 400;
/// Bits of a part's number that count the parts of its line.
const PARTS: u32 = 24;

/// A part of a line that is translated by itself.
struct Part {
    /// Its number among all: lines in order, and in them their parts.
    number: u64,
    /// What stands before its translation.
    before: String,
    /// Its subwords and an end.
    ids: Vec<u32>,
}

/// The parts of a line.
struct Line {
    parts: Vec<Part>,
    /// What stands behind the last one.
    behind: String,
    cuts: usize,
}

impl Translator {
    /// Translates a text of any length: it is split into sentences, and what
    /// stands between them stays.
    ///
    /// # Errors
    /// If the model refuses its arguments.
    pub fn translate(&self, text: &str) -> Result<String> {
        let options = TranslateOptions::default();
        let mut lines = self.translate_lines(&[text], &options)?;
        Ok(lines.pop().unwrap_or_default().text)
    }

    /// Translates lines of text, each by itself, in batches on all threads of the
    /// current pool.
    ///
    /// # Errors
    /// If the model refuses its arguments.
    pub fn translate_lines<S: AsRef<str> + Sync>(
        &self,
        lines: &[S],
        options: &TranslateOptions,
    ) -> Result<Vec<Translation>> {
        Self::translate_by(&[self], lines, options)
    }

    /// As [`Translator::translate_lines`], by several models with the same
    /// subwords, whose probabilities are averaged.
    ///
    /// # Errors
    /// If there is no model, their subwords differ, or one refuses its arguments.
    pub fn translate_by<S: AsRef<str> + Sync>(
        models: &[&Self],
        lines: &[S],
        options: &TranslateOptions,
    ) -> Result<Vec<Translation>> {
        let Some((first, others)) = models.split_first() else { return Ok(Vec::new()) };
        if let Some(other) = others.iter().find(|other| !first.has_subwords_of(other)) {
            let (model, other) = (first.name().to_owned(), other.name().to_owned());
            return Err(Error::Ensemble { model, other });
        }
        let numbered = lines.par_iter().enumerate();
        let mut lines: Vec<Line> =
            numbered.map(|(line, text)| first.parts(line, text.as_ref(), options)).collect();
        let parts: Vec<&Part> = lines.iter().flat_map(|line| &line.parts).collect();
        let translated = translate_parts(models, &parts, options)?;
        let mut translated = translated.into_iter();
        let joined = lines.iter_mut().map(|line| {
            let parts = line.parts.drain(..).zip(&mut translated);
            first.join(parts.collect(), &line.behind, line.cuts)
        });
        Ok(joined.collect())
    }

    fn has_subwords_of(&self, other: &Self) -> bool {
        let n = self.n_subwords();
        let same = |id: u32| self.subwords.piece(id) == other.subwords.piece(id);
        n == other.n_subwords() && (0..n as u32).all(same)
    }

    /// The sentences of a line, and of too long ones the pieces.
    fn parts(&self, line: usize, text: &str, options: &TranslateOptions) -> Line {
        let mut made = Line { parts: Vec::new(), behind: String::new(), cuts: 0 };
        let mut at = 0;
        for range in sentences(text, options.splits()) {
            let ids = self.subwords.encode(&one_line(&text[range.clone()]));
            let mut before = text[at..range.start].to_owned();
            at = range.end;
            for piece in self.pieces(&ids) {
                made.cuts += usize::from(piece.start > 0);
                if piece.start > 0 && self.subwords.piece(ids[piece.start]).starts_with('▁') {
                    before.push(' ');
                }
                let ids = [&ids[piece], &[END]].concat();
                let number = (options.first_line + line as u64) << PARTS | made.parts.len() as u64;
                made.parts.push(Part { number, before: std::mem::take(&mut before), ids });
            }
        }
        made.behind = text[at..].to_owned();
        made
    }

    /// A sentence in pieces that are not too long, cut where words begin if they
    /// do.
    fn pieces(&self, ids: &[u32]) -> Vec<Range<usize>> {
        let (mut pieces, mut start) = (Vec::new(), 0);
        while ids.len() - start > MAX_SOURCE {
            let window = start + MAX_SOURCE / 2..start + MAX_SOURCE;
            let begins = |&at: &usize| self.subwords.piece(ids[at]).starts_with('▁');
            let end = window.clone().rev().find(begins).unwrap_or(window.end);
            pieces.push(start..end);
            start = end;
        }
        if start < ids.len() {
            pieces.push(start..ids.len());
        }
        pieces
    }

    /// A line of its parts and their hypotheses.
    fn join(
        &self,
        mut parts: Vec<(Part, Vec<Hypothesis>)>,
        behind: &str,
        cuts: usize,
    ) -> Translation {
        if let [(part, hypotheses)] = &mut parts[..] {
            let mut hypotheses = std::mem::take(hypotheses);
            for hypothesis in &mut hypotheses {
                hypothesis.text = format!("{}{}{behind}", part.before, hypothesis.text);
            }
            let text = hypotheses.first().map(|best| best.text.clone()).unwrap_or_default();
            let read = part.ids.iter().take(part.ids.len() - 1);
            let source = read.map(|&id| self.subwords.piece(id)).collect();
            return Translation { text, hypotheses, source, cuts };
        }
        let mut all = Hypothesis {
            text: String::new(),
            score: 0.0,
            log_probability: 0.0,
            subwords: Vec::new(),
            alignment: Vec::new(),
        };
        for (part, hypotheses) in parts {
            all.text.push_str(&part.before);
            if let Some(best) = hypotheses.into_iter().next() {
                all.text.push_str(&best.text);
                all.score += best.score;
                all.log_probability += best.log_probability;
                all.subwords.extend(best.subwords);
            }
        }
        all.text.push_str(behind);
        Translation { text: all.text.clone(), hypotheses: vec![all], source: Vec::new(), cuts }
    }
}

/// A sentence whose lines end with spaces.
fn one_line(text: &str) -> Cow<'_, str> {
    match text.contains(['\n', '\r']) {
        true => text.split_whitespace().collect::<Vec<_>>().join(" ").into(),
        false => text.into(),
    }
}

/// Where the sentences of a text stand: without white space at their edges.
fn sentences(text: &str, split: bool) -> Vec<Range<usize>> {
    if split {
        let sentences = segment::document(text, Position::default());
        return sentences.iter().map(|s| s.start().bytes..s.end().bytes).collect();
    }
    let start = text.len() - text.trim_start().len();
    let end = text.trim_end().len();
    if start < end { std::iter::once(start..end).collect() } else { Vec::new() }
}

/// Translates parts in batches of one length, the longest first.
fn translate_parts(
    models: &[&Translator],
    parts: &[&Part],
    options: &TranslateOptions,
) -> Result<Vec<Vec<Hypothesis>>> {
    let Some(first) = models.first() else { return Ok(Vec::new()) };
    let prefix = first.subwords.encode(&options.prefix);
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&part| std::cmp::Reverse(parts[part].ids.len()));
    let lengths: Vec<usize> = order.iter().map(|&part| parts[part].ids.len()).collect();
    let batches = batch::by_tokens(&lengths, options.batch_subwords);
    let found = batches.par_iter().map(|places| {
        options.cancel.check()?;
        let batch: Vec<&Part> = places.iter().map(|&place| parts[order[place]]).collect();
        let sources: Vec<&[u32]> = batch.iter().map(|part| part.ids.as_slice()).collect();
        let numbers: Vec<u64> = batch.iter().map(|part| part.number).collect();
        search(models, &sources, &numbers, &prefix, options)
    });
    let found = found.collect::<Result<Vec<_>>>()?.into_iter().flatten();
    let mut hypotheses: Vec<Vec<Hypothesis>> = vec![Vec::new(); parts.len()];
    for (found, &part) in found.zip(&order) {
        let made = found.into_iter().map(|found| Hypothesis {
            text: first.subwords.decode(&found.ids),
            score: found.score,
            log_probability: found.log_probability,
            subwords: found.ids.iter().map(|&id| first.subwords.piece(id)).collect(),
            alignment: found.weights,
        });
        hypotheses[part] = made.collect();
    }
    Ok(hypotheses)
}

//! How well a language model predicts a text.

use std::{fmt, ops::AddAssign};

use glossator_nn::Keep;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{LanguageModel, ReadingDirection};
use crate::Result;

/// Streams that a text is cut into at most, and least length of one.
const STREAMS: usize = 32;
const STREAM_CHARS: usize = 4096;
/// Characters that a stream reads, before those it scores, of what stands
/// before it.
const WARM_UP: usize = 256;
/// Characters of each stream that are read at a time.
const WINDOW: usize = 256;
/// Characters of documents that are scored at a time.
const BATCH_CHARS: usize = 1 << 14;

/// What a language model makes of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextScore {
    /// Characters (code points) that were predicted, line ends included.
    pub characters: usize,
    /// Those that are not in the dictionary: predicted is only that one comes.
    pub unknown: usize,
    /// Negative log-likelihood of all characters, in nats.
    pub nats: f64,
}

impl TextScore {
    /// Mean negative log-likelihood of a character, in nats; not a number
    /// without characters.
    pub fn nats_per_character(&self) -> f64 {
        self.nats / self.characters as f64
    }

    /// The same in bits.
    pub fn bits_per_character(&self) -> f64 {
        self.nats_per_character() / std::f64::consts::LN_2
    }

    /// Perplexity of a character.
    pub fn perplexity(&self) -> f64 {
        self.nats_per_character().exp()
    }
}

impl AddAssign for TextScore {
    fn add_assign(&mut self, other: Self) {
        self.characters += other.characters;
        self.unknown += other.unknown;
        self.nats += other.nats;
    }
}

impl fmt::Display for TextScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bits per character  {:.4}", self.bits_per_character())?;
        writeln!(f, "nats per character  {:.4}", self.nats_per_character())?;
        writeln!(f, "perplexity          {:.4}", self.perplexity())?;
        writeln!(f, "characters          {}", self.characters)?;
        let part = 100.0 * self.unknown as f64 / self.characters.max(1) as f64;
        writeln!(f, "unknown characters  {} ({part:.2} %)", self.unknown)
    }
}

impl LanguageModel {
    /// Ids of a text, which may be followed by a delimiter, in the order in
    /// which this model reads it: behind a delimiter.
    fn reading_order(&self, text: &str) -> Vec<u32> {
        let delimiter = self.config().document_delimiter.chars();
        let mut ids: Vec<u32> = delimiter.chain(text.chars()).map(|c| self.ids.id(c)).collect();
        if self.direction() == ReadingDirection::Backward {
            ids.reverse();
        }
        ids
    }

    /// Characters of the delimiter, of which the first one read is not predicted.
    fn delimiter_len(&self) -> usize {
        self.config().document_delimiter.chars().count()
    }

    /// Scores a text that is read through, from a delimiter on: documents that
    /// stand one after the other, each with its line end. Every character is
    /// predicted from all that stand before it (behind it, by a backward model).
    ///
    /// A long text is read in several places at once, each of them beginning
    /// some hundred characters earlier, which makes no difference that shows.
    ///
    /// # Errors
    /// If the model refuses its arguments.
    pub fn score(&self, text: &str) -> Result<TextScore> {
        let ids = self.reading_order(text);
        let first = self.delimiter_len() - 1;
        let predicted = ids.len() - 1 - first;
        let n_streams = (predicted / STREAM_CHARS).clamp(1, STREAMS);
        // Where streams begin to score.
        let from: Vec<usize> = (0..=n_streams).map(|s| first + s * predicted / n_streams).collect();
        let mut at: Vec<usize> =
            from[..n_streams].iter().map(|a| a.saturating_sub(WARM_UP)).collect();
        let mut state = self.zero_state(n_streams);
        let mut score = TextScore::default();
        while at.iter().zip(&from[1..]).any(|(at, end)| at < end) {
            let (mut inputs, mut lengths) = (Vec::new(), Vec::new());
            let (mut rows, mut targets) = (Vec::new(), Vec::new());
            for (s, at) in at.iter_mut().enumerate() {
                let end = (*at + WINDOW).min(from[s + 1]);
                inputs.extend_from_slice(&ids[*at..end]);
                lengths.push(end - *at);
                for place in *at..end {
                    let scored = place >= from[s];
                    rows.push(if scored { targets.len() as u32 } else { Keep::NONE });
                    if scored {
                        targets.push(ids[place + 1]);
                    }
                }
                *at = end;
            }
            let hidden = self.states(&inputs, &lengths, Some(&mut state), Keep::At(&rows));
            score += self.likelihood(&hidden.map_err(|e| self.failed(e))?, &targets);
        }
        Ok(score)
    }

    /// Scores documents, each by itself, from a delimiter to the next one,
    /// which is predicted too. A line end at the end of a document is that one.
    ///
    /// # Errors
    /// If the model refuses its arguments.
    pub fn score_documents<S: AsRef<str> + Sync>(&self, documents: &[S]) -> Result<Vec<TextScore>> {
        let mut batches = vec![Vec::new()];
        let mut size = 0;
        for document in documents {
            let text = document.as_ref();
            if size > BATCH_CHARS {
                (batches.push(Vec::new()), size = 0).0
            }
            size += text.len();
            if let Some(batch) = batches.last_mut() {
                batch.push(text);
            }
        }
        let scored = batches.par_iter().map(|batch| self.score_batch(batch));
        Ok(scored.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn score_batch(&self, documents: &[&str]) -> Result<Vec<TextScore>> {
        let delimiter = self.config().document_delimiter.as_str();
        let (mut inputs, mut lengths, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for document in documents {
            let body = document.strip_suffix(delimiter).unwrap_or(document);
            let ids = self.reading_order(&format!("{body}{delimiter}"));
            inputs.extend_from_slice(&ids[..ids.len() - 1]);
            targets.extend_from_slice(&ids[1..]);
            lengths.push(ids.len() - 1);
        }
        let hidden = self.states(&inputs, &lengths, None, Keep::Tokens);
        let hidden = hidden.map_err(|e| self.failed(e))?;
        let dim = self.dim();
        let mut first = 0;
        let score = |length: usize| {
            let rows = first..first + length;
            first += length;
            self.likelihood(&hidden[rows.start * dim..rows.end * dim], &targets[rows])
        };
        Ok(lengths.into_iter().map(score).collect())
    }

    /// Flair's perplexity of a text: from a zero state, the first character
    /// read and not predicted.
    #[cfg(test)]
    pub(crate) fn perplexity_inside(&self, text: &str) -> Result<f64> {
        let ids = &self.reading_order(text);
        let ids = match self.direction() {
            ReadingDirection::Forward => &ids[self.delimiter_len()..],
            ReadingDirection::Backward => &ids[..ids.len() - self.delimiter_len()],
        };
        let inputs = &ids[..ids.len() - 1];
        let hidden = self.states(inputs, &[inputs.len()], None, Keep::Tokens);
        Ok(self.likelihood(&hidden.map_err(|e| self.failed(e))?, &ids[1..]).perplexity())
    }

    /// Score of predicting `targets` from hidden states, row by row.
    fn likelihood(&self, hidden: &[f32], targets: &[u32]) -> TextScore {
        let (rows, items) = (targets.len(), self.dictionary().len());
        let logits = self.decoder.apply(hidden, rows);
        let nats: Vec<f64> = logits
            .par_chunks_exact(items)
            .zip(targets)
            .map(|(row, &target)| log_sum_exp(row) - f64::from(row[target as usize]))
            .collect();
        TextScore {
            characters: rows,
            unknown: targets.iter().filter(|id| **id == 0).count(),
            // Summed in one order, whatever the threads.
            nats: nats.iter().sum(),
        }
    }
}

/// Logarithm of the sum of exponentials.
fn log_sum_exp(row: &[f32]) -> f64 {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|score| f64::from((score - top).exp())).sum();
    f64::from(top) + sum.ln()
}

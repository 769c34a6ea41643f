//! Raw text as parallel streams of characters (truncated back-propagation
//! through time; Williams and Peng, 1990).

use glossator_nn::Rng;
use glossator_text::raw::{RawText, SplitReader};

use crate::{
    LanguageModelRunConfig, Result,
    language_model::{LanguageModelConfig, ReadingDirection},
    lookup::CharacterIds,
};

/// Characters of a stream at least.
const MIN_STREAM: usize = 16;

/// A window of all streams of a split: one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) epoch: usize,
    pub(super) split: usize,
    /// First character of each stream.
    pub(super) first: usize,
}

/// The ids of a window, stream after stream.
pub(super) struct WindowIds {
    pub(super) inputs: Vec<u32>,
    /// The character that follows each of the inputs.
    pub(super) targets: Vec<u32>,
    /// Characters of each stream.
    pub(super) lengths: Vec<usize>,
}

/// A text, its splits cut into streams.
pub(super) struct Streams<'a> {
    config: &'a LanguageModelRunConfig,
    model: LanguageModelConfig,
    ids: CharacterIds,
    text: RawText,
    reader: SplitReader,
    /// Epoch, number and ids of the split that is in memory.
    loaded: Option<(usize, usize, Vec<u32>)>,
}

impl<'a> Streams<'a> {
    pub(super) fn new(
        config: &'a LanguageModelRunConfig,
        model: LanguageModelConfig,
        ids: CharacterIds,
        text: RawText,
    ) -> Self {
        let reader = text.reader();
        Self { config, model, ids, text, reader, loaded: None }
    }

    pub(super) fn text(&self) -> &RawText {
        &self.text
    }

    /// Streams of a split of so many characters, and the length of each.
    fn shape(&self, characters: usize) -> (usize, usize) {
        let streams = self.config.training.batch_size.min(characters / MIN_STREAM).max(1);
        (streams, characters / streams)
    }

    /// The windows of an epoch in their order. The files stay in order, and
    /// are shuffled from the second epoch on.
    pub(super) fn windows(&self, epoch: usize, rng: &mut Rng) -> Vec<Window> {
        let splits = self.text.splits();
        let mut order: Vec<Vec<usize>> = Vec::new();
        for (number, split) in splits.iter().enumerate() {
            match order.last_mut() {
                Some(file) if splits[file[0]].first_file == split.first_file => file.push(number),
                _ => order.push(vec![number]),
            }
        }
        if epoch > 1 && self.config.data.shuffle {
            rng.shuffle(&mut order);
        }
        let mut windows = Vec::new();
        for split in order.into_iter().flatten() {
            let (_, length) = self.shape(splits[split].n_chars);
            let firsts = (0..length.saturating_sub(1)).step_by(self.model.sequence_length);
            windows.extend(firsts.map(|first| Window { epoch, split, first }));
        }
        windows
    }

    /// The ids of a window; its split is read if another one is in memory.
    pub(super) fn ids(&mut self, window: &Window) -> Result<WindowIds> {
        if !matches!(&self.loaded, Some((e, s, _)) if (*e, *s) == (window.epoch, window.split)) {
            self.loaded = None;
            let ids = self.load(window.epoch, window.split)?;
            self.loaded = Some((window.epoch, window.split, ids));
        }
        let ids = self.loaded.as_ref().map_or(&[][..], |(_, _, ids)| ids);
        let (streams, length) = self.shape(self.text.splits()[window.split].n_chars);
        let end = (window.first + self.model.sequence_length).min(length - 1);
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for stream in 0..streams {
            let at = stream * length;
            inputs.extend_from_slice(&ids[at + window.first..at + end]);
            targets.extend_from_slice(&ids[at + window.first + 1..at + end + 1]);
        }
        Ok(WindowIds { inputs, targets, lengths: vec![end - window.first; streams] })
    }

    /// Reads a split: its documents shuffled, some in another case, some of
    /// the characters unknown, the whole in reading order.
    fn load(&mut self, epoch: usize, split: usize) -> Result<Vec<u32>> {
        let mut documents = self.reader.read(split)?;
        let counter = ((epoch as u64) << 32) | split as u64;
        let rng = |purpose| Rng::new(self.config.seed, purpose, counter);
        if self.config.data.shuffle {
            rng("documents").shuffle(&mut documents);
        }
        let (mut case, mut unknown) = (rng("case"), rng("unknown"));
        let mut ids = Vec::with_capacity(self.text.splits()[split].n_chars);
        for document in &documents {
            let draw = case.uniform();
            let change = match draw {
                draw if draw < self.model.case_flips => lower,
                draw if draw < 2.0 * self.model.case_flips => upper,
                _ => same,
            };
            ids.extend(document.chars().map(|c| self.ids.id(change(c))));
        }
        if self.model.unknown > 0.0 {
            ids.iter_mut().filter(|_| unknown.chance(self.model.unknown)).for_each(|id| *id = 0);
        }
        if self.model.direction == ReadingDirection::Backward {
            ids.reverse();
        }
        Ok(ids)
    }
}

fn same(c: char) -> char {
    c
}

/// The character in lower case; as it is if that is more than one character,
/// so that a text keeps its length.
fn lower(c: char) -> char {
    one(c, c.to_lowercase())
}

/// The same in upper case.
fn upper(c: char) -> char {
    one(c, c.to_uppercase())
}

fn one(c: char, mut changed: impl ExactSizeIterator<Item = char>) -> char {
    if changed.len() == 1 { changed.next().unwrap_or(c) } else { c }
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;

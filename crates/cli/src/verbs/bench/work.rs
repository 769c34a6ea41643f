//! Models, and what is measured of them.

use std::time::Instant;

use glossator::{Compute, Embedder, Sentence, Tagger};

use crate::verbs::{embed, eval, tag};

/// Models that label, or embed, the same text.
pub struct Work {
    taggers: Vec<Tagger>,
    embedders: Vec<Embedder>,
}

impl Work {
    /// Loads models: those that are language models embed, all others label.
    ///
    /// # Errors
    /// If there is none of a name, it is damaged, or two write the same layer.
    pub fn load(names: &[String], compute: &Compute) -> anyhow::Result<Self> {
        let (embedding, labelling): (Vec<String>, Vec<String>) =
            names.iter().cloned().partition(|name| eval::is_language_model(name));
        let taggers = tag::load(&labelling, compute)?;
        let embedders = embedding.iter().map(|name| Embedder::load_in(name, compute.clone()));
        Ok(Self { taggers, embedders: embedders.collect::<Result<_, _>>()? })
    }

    /// Seconds to work through all sentences in batches.
    ///
    /// # Errors
    /// If a layer refuses its arguments.
    pub fn through(&self, sentences: &mut [Sentence], batch_size: usize) -> anyhow::Result<f64> {
        let start = Instant::now();
        self.label(sentences, batch_size)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Seconds to work through each sentence by itself.
    ///
    /// # Errors
    /// If a layer refuses its arguments.
    pub fn each(&self, sentences: &mut [Sentence]) -> anyhow::Result<Vec<f64>> {
        let one = |sentence| self.through(std::slice::from_mut(sentence), 1);
        sentences.iter_mut().map(one).collect()
    }

    fn label(&self, sentences: &mut [Sentence], batch_size: usize) -> anyhow::Result<()> {
        if !self.taggers.is_empty() {
            let together: Vec<&Tagger> = self.taggers.iter().collect();
            Tagger::tag_all(&together, sentences, batch_size)?;
        }
        for embedder in &self.embedders {
            for window in windows(sentences, embed::window_tokens(embedder.dim())) {
                std::hint::black_box(embedder.embed(window, batch_size)?);
            }
        }
        Ok(())
    }
}

/// Parts of about so many tokens, so that vectors are not too much to hold.
fn windows(mut sentences: &[Sentence], tokens: usize) -> impl Iterator<Item = &[Sentence]> {
    std::iter::from_fn(move || {
        let mut room = tokens;
        let fits = |sentence: &&Sentence| {
            let fits = room > 0;
            room = room.saturating_sub(sentence.len());
            fits
        };
        let count = sentences.iter().take_while(fits).count();
        let (window, rest) = sentences.split_at(count);
        sentences = rest;
        (count > 0).then_some(window)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_all_sentences_in_order() {
        let tokens = [&["a", "b"][..], &["c"], &["d", "e", "f", "g"], &["h"], &["i"]];
        let sentences: Vec<Sentence> = tokens.iter().map(|t| Sentence::from_tokens(t)).collect();
        let lengths = |tokens| windows(&sentences, tokens).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(1), [1; 5]);
        assert_eq!(lengths(3), [2, 1, 2]);
        assert_eq!(lengths(usize::MAX), [5]);
        assert_eq!(windows(&[], 3).count(), 0);
        let text = |windows: Vec<&[Sentence]>| {
            windows.concat().iter().flat_map(Sentence::tokens).collect::<String>()
        };
        assert_eq!(text(windows(&sentences, 3).collect()), "abcdefghi");
    }
}

//! Models, and what is measured of them.

use std::time::Instant;

use glossator::{
    Compute, Embedder, Sentence, TagOptions, Tagger, TranslateOptions, Translator, models::kind_of,
};

use crate::verbs::{embed, tag};

/// Models that label, embed or translate the same text.
pub struct Work {
    taggers: Vec<Tagger>,
    embedders: Vec<Embedder>,
    translators: Vec<Translator>,
    /// Hypotheses of a translator.
    beam: usize,
}

impl Work {
    /// Loads models: language models embed, translators translate with so many
    /// hypotheses, all others label.
    ///
    /// # Errors
    /// If there is none of a name, it is damaged, or two write the same layer.
    pub fn load(names: &[String], compute: &Compute, beam: usize) -> anyhow::Result<Self> {
        let (mut embedders, mut translators, mut labelling) = (vec![], vec![], vec![]);
        for name in names {
            match kind_of(name).as_deref() {
                Some("language-model") => embedders.push(name),
                Some("translator") => translators.push(name),
                _ => labelling.push(name.clone()),
            }
        }
        let embedders = embedders.into_iter().map(|name| Embedder::load_in(name, compute.clone()));
        let translators =
            translators.into_iter().map(|name| Translator::load_in(name, compute.clone()));
        Ok(Self {
            taggers: tag::load(&labelling, compute)?,
            embedders: embedders.collect::<Result<_, _>>()?,
            translators: translators.collect::<Result<_, _>>()?,
            beam,
        })
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
            let options = TagOptions { max_tokens: batch_size, ..TagOptions::default() };
            Tagger::tag_with(&together, sentences, &options)?;
        }
        for embedder in &self.embedders {
            for window in windows(&*sentences, embed::window_tokens(embedder.dim())) {
                std::hint::black_box(embedder.embed(window, batch_size)?);
            }
        }
        let texts: Vec<&str> = sentences.iter().map(Sentence::text).collect();
        let options = TranslateOptions {
            beam: self.beam,
            batch_subwords: batch_size,
            split: false,
            ..TranslateOptions::default()
        };
        for translator in &self.translators {
            std::hint::black_box(translator.translate_lines(&texts, &options)?);
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

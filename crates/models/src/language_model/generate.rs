//! Text drawn from a language model.

use glossator_nn::{Keep, Rng};

use super::{LanguageModel, ReadingDirection};
use crate::{Error, Result};

/// How text is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// What the text begins with; of a backward model, what it ends with.
    pub prefix: String,
    /// Characters to draw.
    pub characters: usize,
    /// Divides the scores: below 1 the likely characters become likelier still,
    /// 0 always takes the likeliest.
    pub temperature: f32,
    /// Seed of all chance.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { prefix: String::new(), characters: 1000, temperature: 1.0, seed: 1 }
    }
}

impl LanguageModel {
    /// Draws a text, character by character, each of them handed to `each` as
    /// it comes (from last to first by a backward model); the whole text, with
    /// its prefix, is returned. The unknown character is never drawn.
    ///
    /// # Errors
    /// If the model refuses its arguments, or `each` fails.
    pub fn generate(
        &self,
        sampling: &Sampling,
        mut each: impl FnMut(char) -> std::io::Result<()>,
    ) -> Result<String> {
        let backward = self.direction() == ReadingDirection::Backward;
        let mut prefix: Vec<char> = sampling.prefix.chars().collect();
        if backward {
            prefix.reverse();
        }
        let mut text = prefix.clone();
        let delimiter = self.config().document_delimiter.chars();
        let mut next: Vec<u32> = delimiter.chain(prefix).map(|c| self.ids.id(c)).collect();
        let mut state = self.zero_state(1);
        let mut rng = Rng::new(sampling.seed, "generate", 0);
        for _ in 0..sampling.characters {
            let hidden = self.states(&next, &[next.len()], Some(&mut state), Keep::Last);
            let logits = self.decoder.apply(&hidden.map_err(|e| self.failed(e))?, 1);
            let id = draw(&logits, sampling.temperature, &mut rng);
            let c = self.dictionary().item(id).chars().next().unwrap_or('\u{fffd}');
            each(c).map_err(|source| Error::Write { path: "the output".into(), source })?;
            text.push(c);
            next = vec![id];
        }
        if backward {
            text.reverse();
        }
        Ok(text.into_iter().collect())
    }
}

/// Draws an id, never 0.
fn draw(logits: &[f32], temperature: f32, rng: &mut Rng) -> u32 {
    let known = logits.iter().enumerate().skip(1);
    let (best, top) = known.clone().fold((1, f32::NEG_INFINITY), |(best, top), (id, score)| {
        if *score > top { (id, *score) } else { (best, top) }
    });
    if temperature <= 0.0 {
        return best as u32;
    }
    let weight = |score: f32| f64::from((score - top) / temperature).exp();
    let total: f64 = known.clone().map(|(_, score)| weight(*score)).sum();
    let mut rest = f64::from(rng.uniform()) * total;
    for (id, score) in known {
        rest -= weight(*score);
        if rest < 0.0 {
            return id as u32;
        }
    }
    best as u32
}

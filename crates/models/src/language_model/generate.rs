//! Text drawn from a language model.

use glossator_nn::{Keep, Rng};

use super::{LanguageModel, ReadingDirection};
use crate::{Error, Result, pick};

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
        let decoder = self.decoder()?;
        let mut state = self.first_state(1)?;
        let mut rng = Rng::new(sampling.seed, "generate", 0);
        for _ in 0..sampling.characters {
            let hidden = self.states(&next, &[next.len()], Some(&mut state), Keep::Last);
            let logits = decoder.apply(&hidden.map_err(|e| self.failed(e))?, 1);
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
    pick::draw(&logits[1..], temperature, 0, rng).map_or(1, |place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language_model::score::tests::{KNOWN, model, text as some_text};

    fn sampling(prefix: &str, temperature: f32) -> Sampling {
        Sampling { prefix: prefix.to_owned(), characters: 40, temperature, seed: 1 }
    }

    fn text(model: &LanguageModel, sampling: &Sampling) -> String {
        model.generate(sampling, |_| Ok(())).unwrap()
    }

    #[test]
    fn temperature_0_takes_the_likeliest_character_each_time() {
        let model = model(ReadingDirection::Forward, 0.0);
        let some: Vec<char> = some_text(30).chars().collect();
        for start in 0..some.len() {
            let prefix: String = some[start..].iter().take(start % 5).collect();
            let sampling = Sampling { characters: 3, ..sampling(&prefix, 0.0) };
            let text: Vec<char> = text(&model, &sampling).chars().collect();
            assert_eq!(text.len(), prefix.chars().count() + 3);
            for i in prefix.chars().count()..text.len() {
                let before: String = text[..i].iter().collect();
                let nats = |c: &char| model.score(&format!("{before}{c}")).unwrap().nats;
                let known = KNOWN.chars().chain(['\n']);
                let likeliest = known.min_by(|a, b| nats(a).total_cmp(&nats(b)));
                assert_eq!(Some(text[i]), likeliest, "behind {before:?}");
            }
        }
    }

    #[test]
    fn a_backward_model_draws_from_the_end() {
        let (forward, backward) =
            (model(ReadingDirection::Forward, 0.0), model(ReadingDirection::Backward, 0.0));
        for temperature in [0.0, 1.0] {
            let mut came = String::new();
            let there = text(&forward, &sampling("ab c", temperature));
            let back = backward.generate(&sampling("c ba", temperature), |c| {
                came.push(c);
                Ok(())
            });
            assert_eq!(back.unwrap().chars().rev().collect::<String>(), there);
            assert_eq!(there, format!("ab c{came}"));
        }
    }

    #[test]
    fn the_unknown_character_is_never_drawn() {
        let model = model(ReadingDirection::Forward, 50.0);
        assert!(model.score("☃").unwrap().nats < 1e-6, "it is by far the likeliest");
        for temperature in [0.0, 0.5, 1.0, 100.0] {
            let text = text(&model, &sampling("a", temperature));
            assert!(text.chars().all(|c| KNOWN.contains(c) || c == '\n'), "{text}");
            assert_eq!(text.chars().count(), 41);
        }
    }

    #[test]
    fn a_failing_receiver_ends_it() {
        let model = model(ReadingDirection::Forward, 0.0);
        let mut left = 3;
        let error = model.generate(&sampling("", 1.0), |_| {
            left -= 1;
            if left > 0 { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
        });
        assert!(matches!(error, Err(Error::Write { .. })) && left == 0);
    }

    #[test]
    fn draws_follow_the_scores_divided_by_the_temperature() {
        let logits = [9.0, 0.0, 2f32.ln(), 3f32.ln(), f32::NEG_INFINITY];
        for (temperature, shares) in [(1.0, [1.0, 2.0, 3.0]), (0.5, [1.0, 4.0, 9.0])] {
            let mut counts = [0.0; 5];
            let mut rng = Rng::new(1, "test", 0);
            for _ in 0..20_000 {
                counts[draw(&logits, temperature, &mut rng) as usize] += 1.0;
            }
            assert_eq!((counts[0], counts[4]), (0.0, 0.0));
            let total: f64 = shares.iter().sum();
            for (count, share) in counts[1..4].iter().zip(shares) {
                assert!((count / 20_000.0 - share / total).abs() < 0.02, "{counts:?}");
            }
        }
        assert_eq!(draw(&logits, 0.0, &mut Rng::new(1, "test", 0)), 3);
    }
}

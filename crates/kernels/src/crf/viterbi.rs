//! The best sequence of tags (Viterbi, 1967).

use super::Crf;
use crate::Result;

impl Crf {
    /// The allowed sequence of the highest score, and that score in nats. Of
    /// equal ones the tags of lower number win, from the end on.
    ///
    /// `emissions`: `[tokens, tags]`.
    ///
    /// # Errors
    /// If `emissions` is no whole number of rows, or not finite.
    pub fn viterbi(&self, emissions: &[f32]) -> Result<(Vec<usize>, f64)> {
        let (n, tokens) = (self.n_tags, self.tokens(emissions)?);
        if tokens == 0 {
            return Ok((Vec::new(), 0.0));
        }
        let emit = |t: usize, tag: usize| f64::from(emissions[t * n + tag]);
        let mut best: Vec<f64> = (0..n).map(|tag| self.start()[tag] + emit(0, tag)).collect();
        let mut back = vec![0_u32; tokens * n];
        let mut next = vec![0.0; n];
        for t in 1..tokens {
            let from = &mut back[t * n..(t + 1) * n];
            next.fill(f64::NEG_INFINITY);
            for (previous, &score) in best.iter().enumerate() {
                let row = &self.scores[previous * n..(previous + 1) * n];
                for (tag, &transition) in row.iter().enumerate() {
                    if score + transition > next[tag] {
                        next[tag] = score + transition;
                        from[tag] = previous as u32;
                    }
                }
            }
            next.iter_mut().enumerate().for_each(|(tag, score)| *score += emit(t, tag));
            std::mem::swap(&mut best, &mut next);
        }
        let (mut tag, mut score) = (0, f64::NEG_INFINITY);
        for (last, &s) in best.iter().enumerate() {
            if s + self.end()[last] > score {
                (tag, score) = (last, s + self.end()[last]);
            }
        }
        let mut path = vec![tag; tokens];
        for t in (1..tokens).rev() {
            tag = back[t * n + tag] as usize;
            path[t - 1] = tag;
        }
        Ok((path, score))
    }
}

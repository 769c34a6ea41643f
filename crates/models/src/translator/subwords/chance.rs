//! Subwords that are cut now this way, now that (BPE dropout; Provilkov et al.,
//! 2020).

use std::collections::HashMap;

use glossator_nn::Rng;
use tokenizers::Model;

use super::{Subwords, bytes};

/// Characters of a word that is still cut by chance.
const MAX_WORD: usize = 64;

/// Rank and result of each pair that a BPE vocabulary merges.
#[derive(Clone, Debug)]
pub(crate) struct Merges(HashMap<(u32, u32), (u32, u32)>);

impl Merges {
    /// Reads them from the vocabulary's JSON, which alone tells them; none but of
    /// BPE.
    ///
    /// # Errors
    /// Says what is wrong with the vocabulary.
    pub(crate) fn of(subwords: &Subwords) -> Result<Self, String> {
        let tokenizer = &subwords.tokenizer;
        let json =
            serde_json::to_value(tokenizer.get_model()).map_err(|error| error.to_string())?;
        let id = |unit: &str| {
            let id = tokenizer.token_to_id(unit);
            id.ok_or_else(|| format!("a merge makes the unknown unit {unit}"))
        };
        let mut merges = HashMap::new();
        for (rank, pair) in (0..).zip(json["merges"].as_array().into_iter().flatten()) {
            let part = |n: usize| pair[n].as_str().ok_or("a merge is no pair of units");
            let (left, right) = (part(0)?, part(1)?);
            let whole = id(&format!("{left}{right}"))?;
            merges.insert((id(left)?, id(right)?), (rank, whole));
        }
        Ok(Self(merges))
    }
}

impl Subwords {
    /// Ids of a text each of whose merges is passed over with probability `p`.
    pub(crate) fn encode_by_chance(
        &self,
        merges: &Merges,
        text: &str,
        p: f32,
        rng: &mut Rng,
    ) -> Vec<u32> {
        self.encode_by(text, |word, ids| match word.chars().nth(MAX_WORD) {
            None => self.merge(merges, word, p, rng, ids),
            Some(_) => self.merge_all(word, ids),
        })
    }

    /// Merges the characters of a word, the best pair first, pairs being passed
    /// over by chance.
    fn merge(&self, merges: &Merges, word: &str, p: f32, rng: &mut Rng, ids: &mut Vec<u32>) {
        let mut units = Vec::new();
        let mut buffer = [0; 4];
        for c in word.chars() {
            let c = c.encode_utf8(&mut buffer);
            match self.tokenizer.get_model().token_to_id(c) {
                Some(id) => units.push(id),
                None => units.extend(bytes(c)),
            }
        }
        loop {
            let pairs = units.windows(2).enumerate();
            let known = pairs.filter_map(|(at, pair)| {
                let &(rank, id) = merges.0.get(&(pair[0], pair[1]))?;
                (!rng.chance(p)).then_some((rank, at, id))
            });
            let Some((_, at, id)) = known.min() else { break };
            units[at] = id;
            units.remove(at + 1);
        }
        ids.extend(units);
    }
}

//! The state of a character language model after every character.

use std::sync::Arc;

use glossator_nn::Keep;

use super::{Columns, Embedding, TokenBatch};
use crate::{LanguageModel, ReadingDirection, Result};

/// A language model whose states are looked at; its tokens are characters.
pub(super) struct States(pub(super) Arc<LanguageModel>);

impl Embedding for States {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn write(&self, batch: &TokenBatch<'_>, mut out: Columns<'_>) -> Result<()> {
        let delimiter: Vec<char> = self.0.config().document_delimiter.chars().collect();
        let is_backward = self.0.direction() == ReadingDirection::Backward;
        let (mut characters, mut lengths) = (Vec::new(), Vec::new());
        // Place of each token's state in the characters.
        let mut places = vec![0; batch.tokens.len()];
        let mut first = 0;
        for &len in &batch.lengths {
            let begin = characters.len();
            characters.extend(&delimiter);
            for n in 0..len {
                let token = first + if is_backward { len - 1 - n } else { n };
                match is_backward {
                    true => characters.extend(batch.tokens[token].chars().rev()),
                    false => characters.extend(batch.tokens[token].chars()),
                }
                places[token] = characters.len() - 1;
            }
            lengths.push(characters.len() - begin);
            first += len;
        }
        let mut rows = vec![Keep::NONE; characters.len()];
        let mut kept = 0;
        for &place in &places {
            // Tokens without characters share a place.
            if rows[place] == Keep::NONE {
                rows[place] = kept;
                kept += 1;
            }
        }
        let ids: Vec<u32> = self.0.ids_of(&characters).collect();
        let states = self.0.states(&ids, &lengths, None, Keep::At(&rows));
        let states = states.map_err(|source| self.0.failed(source))?;
        for (token, place) in places.into_iter().enumerate() {
            let row = rows[place] as usize * self.dim();
            out.row(token).copy_from_slice(&states[row..row + self.dim()]);
        }
        Ok(())
    }
}

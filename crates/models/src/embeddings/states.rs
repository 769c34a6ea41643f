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
        let (mut characters, mut lengths, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        let mut first = 0;
        for &len in &batch.lengths {
            let tokens = &batch.tokens[first..first + len];
            let begin = characters.len();
            characters.extend(&delimiter);
            rows.extend(delimiter.iter().map(|_| Keep::NONE));
            let mut read = |number: usize, token: &str| {
                match is_backward {
                    true => characters.extend(token.chars().rev()),
                    false => characters.extend(token.chars()),
                }
                // Of a token of several characters, the state after the last one.
                rows.resize(characters.len() - 1, Keep::NONE);
                rows.push((first + number) as u32);
            };
            let numbered = tokens.iter().enumerate();
            match is_backward {
                true => numbered.rev().for_each(|(number, token)| read(number, token)),
                false => numbered.for_each(|(number, token)| read(number, token)),
            }
            lengths.push(characters.len() - begin);
            first += len;
        }
        let ids: Vec<u32> = self.0.ids_of(&characters).collect();
        let states = self.0.states(&ids, &lengths, None, Keep::At(&rows));
        let states = states.map_err(|source| self.0.failed(source))?;
        for (token, state) in states.chunks_exact(self.dim()).enumerate() {
            out.row(token).copy_from_slice(state);
        }
        Ok(())
    }
}

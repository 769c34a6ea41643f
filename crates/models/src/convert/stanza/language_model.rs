//! Language models: `stanza.models.common.char_model.CharacterLanguageModel`.

use glossator_nn::CellKind;
use glossator_pickle::Value;
use glossator_text::Dictionary;

use super::vocabulary::{self, PADDING, UNKNOWN};
use crate::{
    LanguageModelConfig, ReadingDirection, Result,
    convert::{
        Draft, Source,
        source::{Stack, Tensors, Weight},
    },
};

/// A language model by its settings and tensors.
pub(super) fn draft(source: &Source<'_>, root: Value<'_>) -> Result<Draft> {
    let is_forward = root.get("is_forward_lm").and_then(|value| value.as_bool());
    let is_forward = source.need(is_forward, "direction (`is_forward_lm`)")?;
    let found = source.need(root.get("vocab"), "vocabulary of characters")?;
    let items = vocabulary::items(source, found)?;
    let state = source.need(root.get("state_dict"), "weights (`state_dict`)")?;
    let tensors = Tensors::new(source, state);
    let (stack, mut weights) = recurrent(source, &tensors, "charlstm")?;
    if stack.bidirectional {
        return Err(source.problem("its language model reads in both directions at once"));
    }
    let learned_state = first_states(source, &tensors, "charlstm", &stack, &mut weights)?;
    // The unknown character is number 0 here.
    let order: Vec<_> = [UNKNOWN, PADDING].into_iter().chain(2..items.len()).map(Some).collect();
    let mut dictionary = Dictionary::with_unknown();
    for (place, item) in order.iter().flatten().map(|place| (*place, &items[*place])).skip(1) {
        match dictionary.get(item).is_none() {
            true => dictionary.add(item),
            false => dictionary.add(&format!("<{place}>")),
        };
    }
    let mut by_character = vec![tensors.weight("char_emb.weight", 2, "encoder.weight")?];
    let embedding_dim = by_character[0].shape[1];
    by_character.extend(tensors.linear("decoder", "decoder")?);
    for weight in &mut by_character {
        if weight.shape[0] != items.len() {
            return Err(source.problem(format!(
                "the language model's vocabulary has {} items, but a table {} rows",
                items.len(),
                weight.shape[0]
            )));
        }
        weight.keep_rows(order.clone());
    }
    weights.extend(by_character);
    let config = LanguageModelConfig {
        direction: if is_forward { ReadingDirection::Forward } else { ReadingDirection::Backward },
        hidden_dim: stack.units,
        embedding_dim,
        layers: stack.layers,
        cell: CellKind::Lstm,
        learned_state,
        ..LanguageModelConfig::default()
    };
    Ok(Draft::of_language_model(config, dictionary, true, weights))
}

/// Recurrent layers, which PyTorch computes unless they drop parts of their states.
pub(super) fn recurrent(
    source: &Source<'_>,
    tensors: &Tensors<'_, '_>,
    name: &str,
) -> Result<(Stack, Vec<Weight>)> {
    if tensors.find(&format!("{name}.lstm.cells.0.weight_ih"))?.is_some() {
        let problem = "its recurrent layers were trained with recurrent dropout, which are stored \
                       in a form that is not read";
        return Err(source.problem(problem));
    }
    let (stack, weights) = tensors.recurrent(&format!("{name}.lstm"), "rnn")?;
    match stack.rows == 4 * stack.units {
        true => Ok((stack, weights)),
        false => Err(source.problem("its recurrent layers are no LSTM")),
    }
}

/// Adds the first states of recurrent layers; whether there are any but zero.
pub(super) fn first_states(
    source: &Source<'_>,
    tensors: &Tensors<'_, '_>,
    name: &str,
    stack: &Stack,
    weights: &mut Vec<Weight>,
) -> Result<bool> {
    let mut states = Vec::new();
    for part in ["h", "c"] {
        let part = format!("{name}_{part}_init");
        let tensor = tensors.get(&part, 3)?;
        if tensor.shape != [stack.rows_of_states(), 1, stack.units] {
            return Err(source.problem(format!("`{part}` has the shape {:?}", tensor.shape)));
        }
        states.push(source.read(&tensor)?);
    }
    if states.iter().flatten().all(|value| *value == 0.0) {
        return Ok(false);
    }
    weights.extend(stack.first_states(&states));
    Ok(true)
}

//! Language models, by themselves and in taggers.

use std::sync::Arc;

use glossator_nn::{CellKind, Connection};
use glossator_pickle::Item;
use glossator_text::Dictionary;

use super::{Conversion, Exported, Tensors, characters};
use crate::{
    ReadingDirection, Result,
    language_model::{DICTIONARY, KIND, LanguageModelModel},
};

/// What is saved of a language model.
pub(super) fn export(model: &Arc<Exported>) -> Result<(Item, Tensors, Conversion)> {
    let (config, dictionary) = read(model)?;
    let mut tensors = Tensors::default();
    add(model, &mut tensors, "", true)?;
    let mut entries = settings(&config, &dictionary, !config.vectors_only);
    let cell = config.language_model.cell.cell().spec().name;
    entries.push(("recurrent_type".into(), cell.to_uppercase().as_str().into()));
    entries.insert(0, ("state_dict".into(), tensors.take_state()));
    let found =
        vec![format!("a character language model: {cell}, {} characters", dictionary.len())];
    Ok((Item::Dict(entries), tensors, Conversion { found, ..Conversion::default() }))
}

/// Configuration and characters of a language model that Flair can hold.
pub(super) fn read(model: &Exported) -> Result<(LanguageModelModel, Dictionary)> {
    let config: LanguageModelModel = model.bundle.config(KIND)?;
    let own = &config.language_model;
    let shape = own.rnn();
    if !matches!(own.cell, CellKind::Lstm | CellKind::Gru) {
        let cell = own.cell.cell().spec().name;
        return Err(model.refuse(format!("it has language models of the cell `{cell}`")));
    }
    if shape.between.connection != Connection::None || shape.between.layer_norm {
        let problem = "it has connections or normalisation between its recurrent layers";
        return Err(model.refuse(problem));
    }
    if shape.learned_state {
        return Err(model.refuse("it has a trained first state"));
    }
    Ok((config, model.bundle.json(DICTIONARY)?))
}

/// Adds the tensors, whose names begin with `prefix`.
pub(super) fn add(
    model: &Arc<Exported>,
    tensors: &mut Tensors,
    prefix: &str,
    with_decoder: bool,
) -> Result<()> {
    let names = model.names().filter(|name| with_decoder || !name.starts_with("decoder."));
    let names: Vec<String> = names.map(str::to_owned).collect();
    names.iter().try_for_each(|name| tensors.copy(model, name, format!("{prefix}{name}")))
}

/// What makes an empty language model.
pub(super) fn settings(
    config: &LanguageModelModel,
    dictionary: &Dictionary,
    has_decoder: bool,
) -> Vec<(Item, Item)> {
    let own = &config.language_model;
    let entries = [
        ("dictionary", characters(dictionary)),
        ("is_forward_lm", Item::Bool(own.direction == ReadingDirection::Forward)),
        ("hidden_size", own.hidden_dim.into()),
        ("nlayers", own.layers.into()),
        ("embedding_size", own.embedding_dim.into()),
        ("nout", own.projection_dim.map_or(Item::None, Item::from)),
        ("document_delimiter", own.document_delimiter.as_str().into()),
        ("dropout", Item::Float(own.dropout.into())),
        ("has_decoder", Item::Bool(has_decoder)),
    ];
    entries.into_iter().map(|(key, value)| (key.into(), value)).collect()
}

//! Language models: `flair.models.LanguageModel`.

use glossator_nn::CellKind;
use glossator_pickle::Value;

use super::dictionary;
use crate::{
    LanguageModelConfig, ReadingDirection, Result,
    convert::{
        Draft, Source,
        source::{Stack, Tensors},
    },
};

/// A language model that was saved by itself: its values in a dictionary, or
/// the module as it was in memory.
pub(super) fn draft(source: &Source<'_>, root: Value<'_>) -> Result<Draft> {
    let state = root.get("state_dict").unwrap_or(root);
    let mut draft = of_parts(source, root, &Tensors::new(source, state))?;
    let training = ["optimizer_state_dict", "epoch", "split", "loss"];
    if training.iter().any(|key| root.get(key).is_some()) {
        draft.conversion.left_out.push("the state of its training".to_owned());
    }
    Ok(draft)
}

/// A language model by its settings, a dictionary or the attributes of a module,
/// and its tensors.
pub(super) fn of_parts(
    source: &Source<'_>,
    settings: Value<'_>,
    tensors: &Tensors<'_, '_>,
) -> Result<Draft> {
    let is_forward = settings.get("is_forward_lm").and_then(|value| value.as_bool());
    let is_forward = source.need(is_forward, "direction (`is_forward_lm`)")?;
    let found = source.need(settings.get("dictionary"), "dictionary of characters")?;
    let dictionary = dictionary::characters(source, found)?;
    let (stack, mut weights) = tensors.recurrent("rnn", "rnn")?;
    let cell = cell(source, &stack, settings.get("recurrent_type"))?;
    if stack.bidirectional {
        return Err(source.problem("its language model reads in both directions at once"));
    }
    let encoder = tensors.weight("encoder.weight", 2, "encoder.weight")?;
    let items = encoder.shape[0];
    if items != dictionary.len() {
        return Err(source.problem(format!(
            "the language model's dictionary has {} items, its table {items} rows",
            dictionary.len()
        )));
    }
    let embedding_dim = encoder.shape[1];
    weights.push(encoder);
    let mut projection_dim = None;
    if tensors.find("proj.weight")?.is_some() {
        let linear = tensors.linear("proj", "proj")?;
        projection_dim = Some(linear[0].shape[0]);
        weights.extend(linear);
    }
    let has_decoder = tensors.find("decoder.weight")?.is_some();
    if has_decoder {
        weights.extend(tensors.linear("decoder", "decoder")?);
    }
    let dropout = settings.get("dropout").and_then(|value| value.as_f64()).unwrap_or(0.0);
    let delimiter = settings.get("document_delimiter").and_then(|value| value.as_str());
    let config = LanguageModelConfig {
        direction: if is_forward { ReadingDirection::Forward } else { ReadingDirection::Backward },
        hidden_dim: stack.units,
        embedding_dim,
        layers: stack.layers,
        cell,
        projection_dim,
        dropout: if (0.0..1.0).contains(&dropout) { dropout as f32 } else { 0.0 },
        document_delimiter: delimiter.filter(|text| !text.is_empty()).unwrap_or("\n").to_owned(),
        ..LanguageModelConfig::default()
    };
    Ok(Draft::of_language_model(config, dictionary, has_decoder, weights))
}

/// The cell of recurrent layers of PyTorch, which their shape tells but for the
/// name of a simple one.
pub(super) fn cell(
    source: &Source<'_>,
    stack: &Stack,
    named: Option<Value<'_>>,
) -> Result<CellKind> {
    let gates = stack.rows / stack.units.max(1);
    let cell = match gates {
        4 => CellKind::Lstm,
        3 => CellKind::Gru,
        1 => CellKind::Elman,
        _ => {
            let shape = [stack.rows, stack.units];
            let problem = format!("recurrent weights of the shape {shape:?} are of no known cell");
            return Err(source.problem(problem));
        }
    };
    let Some(name) = named.and_then(|name| name.as_str()) else { return Ok(cell) };
    let fits = match name.to_ascii_uppercase().as_str() {
        "LSTM" => cell == CellKind::Lstm,
        "GRU" => cell == CellKind::Gru,
        "RNN" | "RNN_TANH" => cell == CellKind::Elman,
        _ => false,
    };
    match fits {
        true => Ok(cell),
        false => {
            Err(source.problem(format!("its recurrent layers are called {name}, and are none")))
        }
    }
}

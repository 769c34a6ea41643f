//! Sequence taggers: `flair.models.SequenceTagger`.

use std::collections::BTreeSet;

use glossator_hub::{FORMAT, StoredPrecision};
use glossator_nn::CellKind;
use glossator_pickle::Value;
use glossator_text::tags::Scheme;

use super::{dictionary, embeddings::Embeddings, language_model};
use crate::{
    EmbeddingConfig, Quirk, Result, Spacing, TaggerConfig,
    convert::{
        Conversion, ConvertOptions, Draft, Source,
        folder::{Model, TaggerDraft},
        source::{Stack, Tensors, Values, Weight},
    },
    quirk::Quirks,
    tagger::{KIND, Labels, TaggerModel},
};

/// Tags that stand for the borders of a sentence.
const BORDERS: [&str; 2] = ["<START>", "<STOP>"];

/// A tagger in the making.
struct Reader<'s, 'a> {
    source: &'s Source<'a>,
    root: Value<'a>,
    tensors: Tensors<'s, 'a>,
    /// All tags by number, those of borders too.
    tags: Vec<String>,
    /// Numbers of the tags that words may have.
    kept: Vec<usize>,
    weights: Vec<Weight>,
}

pub(super) fn draft(
    source: &Source<'_>,
    root: Value<'_>,
    options: &ConvertOptions,
) -> Result<Draft> {
    let state = source.need(root.get("state_dict"), "weights (`state_dict`)")?;
    let found = source.need(root.get("tag_dictionary"), "dictionary of tags")?;
    let tags = dictionary::items(source, found)?;
    let tensors = Tensors::new(source, state);
    let found = source.need(root.get("embeddings"), "embeddings")?;
    let embeddings = Embeddings::read(source, found, &tensors)?;
    let has_crf = flag(root, "use_crf", true);
    let is_spans = tags.iter().any(|tag| ["B-", "S-", "I-"].iter().any(|p| tag.starts_with(p)));
    let drops_unknown = options.without_quirks && is_spans;
    let stays = |tag: &String| {
        !(has_crf && BORDERS.contains(&tag.as_str()) || drops_unknown && tag == "<unk>")
    };
    let kept = (0..tags.len()).filter(|number| stays(&tags[*number])).collect();
    let mut reader = Reader { source, root, tensors, tags, kept, weights: Vec::new() };
    let quirks = match options.without_quirks {
        true => Quirks::new(),
        false => quirks(&embeddings.configs, is_spans),
    };
    let scheme = is_spans.then(|| reader.scheme());
    let Embeddings { configs, dictionaries, language_models, weights, conversion, columns } =
        embeddings;
    let tagger = reader.layers(configs, &columns, has_crf, scheme)?;
    let model = reader.model(tagger, scheme, quirks)?;
    let conversion = reader.conversion(&model, conversion);
    reader.weights.extend(weights);
    let draft = TaggerDraft { model, dictionaries, language_models };
    Ok(Draft::new(Model::Tagger(Box::new(draft)), reader.weights, conversion))
}

fn flag(root: Value<'_>, name: &str, default: bool) -> bool {
    root.get(name).and_then(|value| value.as_bool()).unwrap_or(default)
}

/// What such a tagger computes otherwise.
fn quirks(embeddings: &[EmbeddingConfig], is_spans: bool) -> Quirks {
    let mut quirks = BTreeSet::new();
    if is_spans {
        quirks.extend([Quirk::AnyTransition, Quirk::MajoritySpans]);
    }
    for embedding in embeddings {
        match embedding {
            EmbeddingConfig::Characters(_) => {
                quirks.extend([Quirk::RepeatedWords, Quirk::LastCharacter]);
            }
            EmbeddingConfig::Pooled(_) => {
                quirks.insert(Quirk::SentenceMemory);
            }
            EmbeddingConfig::Contextual(_) | EmbeddingConfig::Words(_) => {}
        }
        let contextual = embedding.contextual();
        if contextual.is_some_and(|c| c.lower || c.spacing == Spacing::Original) {
            quirks.insert(Quirk::CountedPlaces);
        }
    }
    quirks
}

impl Reader<'_, '_> {
    /// How spans are written as tags.
    fn scheme(&self) -> Scheme {
        let is_bioes = |tag: &String| tag.starts_with("S-") || tag.starts_with("E-");
        if self.tags.iter().any(is_bioes) { Scheme::Bioes } else { Scheme::Iob2 }
    }

    /// The layers behind the embeddings, from the first to the transitions.
    fn layers(
        &mut self,
        embeddings: Vec<EmbeddingConfig>,
        columns: &[usize],
        crf: bool,
        scheme: Option<Scheme>,
    ) -> Result<TaggerConfig> {
        let reprojection = match self.tensors.find("embedding2nn.weight")? {
            Some(_) if flag(self.root, "reproject_embeddings", true) => {
                Some(self.tensors.linear("embedding2nn", "reprojection")?)
            }
            _ => None,
        };
        let stack = match flag(self.root, "use_rnn", true) {
            true => Some(self.recurrent()?),
            false => None,
        };
        let reprojection_dim = reprojection.as_ref().map(|[weight, _]| weight.shape[0]);
        let dim = columns.len();
        // The first layer reads the vectors as they are ordered here.
        let weights = match reprojection {
            Some(linear) => {
                self.weights.splice(0..0, linear);
                1
            }
            None if stack.is_some_and(|(stack, _)| stack.bidirectional) => 2,
            None => 1,
        };
        let output = self.output()?;
        if stack.is_none() && reprojection_dim.is_none() {
            self.weights.splice(0..0, output);
        } else {
            self.weights.extend(output);
        }
        self.reorder(weights, columns)?;
        if crf {
            let transitions = self.transitions()?;
            self.weights.push(transitions);
        }
        let learned_state = match stack {
            Some((stack, cell)) => self.initial(&stack, cell)?,
            None => false,
        };
        let part = |name: &str| {
            let value = self.root.get(name).and_then(|value| value.as_f64()).unwrap_or(0.0);
            if (0.0..1.0).contains(&value) { value as f32 } else { 0.0 }
        };
        let defaults = TaggerConfig::default();
        Ok(TaggerConfig {
            hidden_dim: stack.map_or(defaults.hidden_dim, |(stack, _)| stack.units),
            layers: stack.map_or(0, |(stack, _)| stack.layers),
            bidirectional: stack.is_none_or(|(stack, _)| stack.bidirectional),
            cell: stack.map_or(defaults.cell, |(_, cell)| cell),
            learned_state,
            crf,
            scheme: scheme.unwrap_or_default(),
            reprojection: reprojection_dim.is_some(),
            reprojection_dim: reprojection_dim.filter(|to| *to != dim),
            word_dropout: part("use_word_dropout"),
            locked_dropout: part("use_locked_dropout"),
            embeddings,
            ..defaults
        })
    }

    fn recurrent(&mut self) -> Result<(Stack, CellKind)> {
        let (stack, weights) = self.tensors.recurrent("rnn", "rnn")?;
        let cell = language_model::cell(self.source, &stack, self.root.get("rnn_type"))?;
        // Input weights of both directions of the first layer come first.
        let (first, rest): (Vec<_>, Vec<_>) =
            weights.into_iter().partition(|weight| weight.name.starts_with("rnn.weight_ih_l0"));
        self.weights.extend(first);
        self.weights.extend(rest);
        Ok((stack, cell))
    }

    /// The layer that gives scores, of the tags that are kept.
    fn output(&self) -> Result<[Weight; 2]> {
        let [mut weight, mut bias] = self.tensors.linear("linear", "output")?;
        if weight.shape[0] != self.tags.len() || bias.shape[0] != self.tags.len() {
            return Err(self.source.problem(format!(
                "it has {} tags, but scores for {}",
                self.tags.len(),
                weight.shape[0]
            )));
        }
        for part in [&mut weight, &mut bias] {
            part.keep_rows(self.kept.iter().map(|row| Some(*row)).collect());
        }
        Ok([weight, bias])
    }

    /// Puts the columns of the first matrices into the order of the vectors.
    fn reorder(&mut self, matrices: usize, columns: &[usize]) -> Result<()> {
        for weight in &mut self.weights[..matrices] {
            let found = weight.shape[1];
            if found != columns.len() {
                return Err(self.source.problem(format!(
                    "its embeddings give {} values a word, but its first layer reads {found}",
                    columns.len()
                )));
            }
            weight.order_columns(columns);
        }
        Ok(())
    }

    /// Transition scores: rows of origins, then of the start and the end.
    fn transitions(&self) -> Result<Weight> {
        let name = match self.tensors.find("crf.transitions")? {
            Some(_) => "crf.transitions",
            None => "transitions",
        };
        let tensor = self.tensors.get(name, 2)?;
        let n = self.tags.len();
        if tensor.shape != [n, n] {
            let problem = format!("its transitions have the shape {:?}", tensor.shape);
            return Err(self.source.problem(problem));
        }
        let border = |name: &str| self.tags.iter().position(|tag| tag == name);
        let [start, stop] = BORDERS.map(border);
        let start = self.source.need(start, "tag <START>")?;
        let stop = self.source.need(stop, "tag <STOP>")?;
        // There, a row is that of the destination.
        let to_from = self.source.read(&tensor)?;
        let at = |to: usize, from: usize| to_from[to * n + from];
        let kept = || self.kept.iter().copied();
        let mut values: Vec<f32> = kept()
            .flat_map(|from| kept().map(move |to| (to, from)))
            .map(|(to, from)| at(to, from))
            .collect();
        values.extend(kept().map(|to| at(to, start)));
        values.extend(kept().map(|from| at(stop, from)));
        Ok(Weight {
            name: "crf.transitions".to_owned(),
            shape: vec![self.kept.len() + 2, self.kept.len()],
            values: Values::Made(values),
        })
    }

    /// Adds the trained first states; whether there are any.
    fn initial(&mut self, stack: &Stack, cell: CellKind) -> Result<bool> {
        if !flag(self.root, "train_initial_hidden_state", false) || !self.uses_initial() {
            return Ok(false);
        }
        let names: &[&str] = match cell {
            CellKind::Lstm => &["lstm_init_h", "lstm_init_c"],
            _ => &["lstm_init_h"],
        };
        let mut states = Vec::new();
        for name in names {
            let tensor = self.tensors.get(name, 2)?;
            if tensor.shape != [stack.rows_of_states(), stack.units] {
                let problem = format!("`{name}` has the shape {:?}", tensor.shape);
                return Err(self.source.problem(problem));
            }
            states.push(self.source.read(&tensor)?);
        }
        self.weights.extend(stack.first_states(&states));
        Ok(true)
    }

    /// Whether the version that made it began with trained states: from 0.11 on
    /// they are saved, but not used.
    fn uses_initial(&self) -> bool {
        if self.root.get("__cls__").is_some() {
            return false;
        }
        let version = self.root.get("model_card").and_then(|card| card.get("flair_version"));
        let Some(version) = version.and_then(|version| version.as_str()) else { return true };
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
        version.starts_with("0.") && minor.is_some_and(|minor| minor < 11)
    }

    fn model(
        &self,
        tagger: TaggerConfig,
        scheme: Option<Scheme>,
        quirks: Quirks,
    ) -> Result<TaggerModel> {
        let labels: Vec<String> = self.kept.iter().map(|tag| self.tags[*tag].clone()).collect();
        if let Some(problem) = Labels::new(&labels, scheme).with_quirks(&quirks).problem() {
            return Err(self.source.problem(problem));
        }
        let layer = self.root.get("tag_type").and_then(|layer| layer.as_str());
        Ok(TaggerModel {
            kind: KIND.to_owned(),
            format: FORMAT,
            layer: layer.filter(|name| !name.is_empty()).unwrap_or("ner").to_owned(),
            scheme,
            labels,
            further_layers: Vec::new(),
            precision: StoredPrecision::F32,
            compute: None,
            quirks,
            tagger,
        })
    }

    /// What is said of the conversion, beside what is said of the embeddings.
    fn conversion(&self, model: &TaggerModel, embeddings: Conversion) -> Conversion {
        let TaggerConfig { layers, bidirectional, cell, hidden_dim, crf, .. } = &model.tagger;
        let recurrent = match layers {
            0 => "no recurrent layers".to_owned(),
            _ => format!(
                "{} {} units in {layers} layer(s){}",
                cell.cell().spec().name,
                hidden_dim,
                if *bidirectional { ", both directions" } else { "" }
            ),
        };
        let decoder = if *crf { "a CRF" } else { "a softmax" };
        let mut found = vec![format!(
            "a tagger of the layer `{}`: {} tags, {recurrent}, {decoder}",
            model.layer,
            model.labels.len()
        )];
        found.extend(embeddings.found);
        let mut left_out = embeddings.left_out;
        let mut leave = |key: &str, what: &str| {
            if self.root.get(key).is_some_and(|value| !value.is_none()) {
                left_out.push(what.to_owned());
            }
        };
        leave("optimizer_state_dict", "the state of its training");
        leave("weight_dict", "the weights of its labels in the loss");
        leave(
            "tokenizer_info",
            "the name of its tokenizer: texts are split as by other models here",
        );
        if flag(self.root, "train_initial_hidden_state", false) && !model.tagger.learned_state {
            left_out
                .push("trained first states, which its version of Flair does not use".to_owned());
        }
        let quirks = model.quirks.iter().copied().collect();
        Conversion { found, left_out, quirks }
    }
}

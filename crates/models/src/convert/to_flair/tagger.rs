//! Taggers.

use std::sync::Arc;

use glossator_nn::{CellKind, Connection};
use glossator_pickle::Item;
use glossator_text::tags::{self, Scheme};

use super::{Conversion, Exported, Tensors, characters, dictionary, language_model};
use crate::{
    EmbeddingConfig, Quirk, Result, Spacing, TaggerConfig,
    embeddings::{ContextualConfig, WordsConfig, prefix, read_dictionary},
    tagger::{KIND, TaggerModel},
};

/// Score of a transition that is not allowed.
const NEVER: f32 = -10000.0;

/// A tagger that goes out.
struct Export<'a> {
    model: &'a Arc<Exported>,
    config: TaggerModel,
    tensors: Tensors,
    conversion: Conversion,
}

pub(super) fn export(model: &Arc<Exported>) -> Result<(Item, Tensors, Conversion)> {
    let config: TaggerModel = model.bundle.config(KIND)?;
    let (tensors, conversion) = (Tensors::default(), Conversion::default());
    let mut export = Export { model, config, tensors, conversion };
    export.refuse_layers()?;
    let mut parts = Vec::new();
    let mut dim = 0;
    for (index, embedding) in export.config.tagger.embeddings.clone().iter().enumerate() {
        let (part, columns) = export.embedding(index, embedding)?;
        parts.push(part);
        dim += columns;
    }
    export.layers(dim)?;
    let item = export.item(parts);
    let Export { config, tensors, mut conversion, .. } = export;
    let found = format!("a tagger of the layer `{}`: {} tags", config.layer, config.labels.len());
    conversion.found.push(found);
    Ok((item, tensors, conversion))
}

impl Export<'_> {
    fn has(&self, quirk: Quirk) -> bool {
        self.config.quirks.contains(&quirk)
    }

    /// Whether Flair is to decode with a CRF: also where tags are chosen by
    /// themselves, but must follow each other as the scheme says.
    fn crf(&self) -> bool {
        self.config.tagger.crf || self.config.scheme.is_some() && !self.has(Quirk::AnyTransition)
    }

    /// Refuses what Flair's taggers do not have.
    fn refuse_layers(&self) -> Result<()> {
        let TaggerConfig { cell, connection, layer_norm, learned_state, bidirectional, .. } =
            &self.config.tagger;
        let problem = if !self.config.further_layers.is_empty() {
            "it writes several layers".to_owned()
        } else if self.config.tagger.layers == 0 {
            return Ok(());
        } else if !matches!(cell, CellKind::Lstm | CellKind::Gru | CellKind::Elman) {
            format!("its cell is `{}`", cell.cell().spec().name)
        } else if Connection::from(*connection) != Connection::None || *layer_norm {
            "it has connections or normalisation between its recurrent layers".to_owned()
        } else if *learned_state {
            "it has a trained first state, which Flair does not use".to_owned()
        } else if !bidirectional {
            "it reads forward only, which Flair forgets when it saves".to_owned()
        } else {
            return Ok(());
        };
        Err(self.model.refuse(problem))
    }

    /// Settings and columns of an embedding, whose tensors are added.
    fn embedding(&mut self, index: usize, config: &EmbeddingConfig) -> Result<(Item, usize)> {
        match config {
            EmbeddingConfig::Contextual(config) => self.contextual(index, config),
            EmbeddingConfig::Words(config) => self.words(index, config),
            EmbeddingConfig::Characters(config) => {
                if !self.has(Quirk::LastCharacter) || !self.has(Quirk::RepeatedWords) {
                    return Err(self.model.refuse(
                        "it has character features, which Flair computes otherwise: the backward \
                         half reads the last character only",
                    ));
                }
                let (own, to) = (prefix(index), place(index));
                for name in self.names(&format!("{own}.rnn.")) {
                    let part = &name[own.len() + 5..];
                    self.tensors.copy(self.model, &name, format!("{to}.char_rnn.{part}"))?;
                }
                let table = format!("{own}.characters.weight");
                self.tensors.copy(self.model, &table, format!("{to}.char_embedding.weight"))?;
                let dictionary = read_dictionary(index, &self.model.bundle)?;
                let item = Item::dict([
                    ("path_to_char_dict", characters(&dictionary)),
                    ("char_embedding_dim", config.embedding_dim.into()),
                    ("hidden_size_char", config.hidden_dim.into()),
                    ("name", name(index, "characters")),
                    ("__cls__", "CharacterEmbeddings".into()),
                ]);
                Ok((item, config.dim()))
            }
            EmbeddingConfig::Pooled(_) => {
                Err(self.model.refuse("it has pooled embeddings, whose memory Flair does not save"))
            }
        }
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        self.model.names().filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
    }

    fn contextual(&mut self, index: usize, config: &ContextualConfig) -> Result<(Item, usize)> {
        if config.inside {
            return Err(self
                .model
                .refuse("it reads states inside of words, which Flair forgets when it saves"));
        }
        let is_raw = config.spacing == Spacing::Original;
        if (is_raw || config.lower) && !self.has(Quirk::CountedPlaces) {
            self.conversion.left_out.push(
                "right places of words behind several spaces, or in lower case of another length: \
                 Flair counts them otherwise"
                    .to_owned(),
            );
        }
        let own = Arc::new(Exported::new(self.model.bundle.language_model(&config.model)?)?);
        let (read, dictionary) = language_model::read(&own)?;
        language_model::add(&own, &mut self.tensors, &format!("{}.lm.", place(index)), false)?;
        if read.language_model.cell != CellKind::Lstm {
            return Err(self.model.refuse(
                "it has language models of another cell than `lstm`, which Flair forgets when it \
                 saves a tagger",
            ));
        }
        let settings = language_model::settings(&read, &dictionary, false);
        let item = Item::dict([
            ("fine_tune", Item::Bool(false)),
            ("chars_per_chunk", Item::Int(512)),
            ("is_lower", Item::Bool(config.lower)),
            ("tokenized_lm", Item::Bool(!is_raw)),
            ("model_params", Item::Dict(settings)),
            ("name", name(index, "contextual")),
            ("__cls__", "FlairEmbeddings".into()),
        ]);
        Ok((item, read.language_model.dim()))
    }

    fn words(&mut self, index: usize, config: &WordsConfig) -> Result<(Item, usize)> {
        if config.subwords.is_some() {
            return Err(self.model.refuse(
                "it has word vectors with subwords, which give vectors to unknown words: Flair \
                 does not save them",
            ));
        }
        let words = read_dictionary(index, &self.model.bundle)?;
        // There, the unknown word comes last and is not among the words.
        let numbers = words.iter().skip(1).enumerate().map(|(i, w)| (w.into(), i.into()));
        let (own, dim) = (format!("{}.words.weight", prefix(index)), config.dim);
        let (model, shape) = (Arc::clone(self.model), vec![words.len(), dim]);
        self.tensors.add(format!("{}.embedding.weight", place(index)), shape, move || {
            let mut values = model.values(&own)?;
            values.rotate_left(dim);
            Ok(values)
        });
        let item = Item::dict([
            ("vocab", Item::Dict(numbers.collect())),
            ("stable", Item::Bool(false)),
            ("fine_tune", Item::Bool(false)),
            ("force_cpu", Item::Bool(false)),
            ("field", Item::None),
            ("name", name(index, "words")),
            ("embedding_length", dim.into()),
            ("__cls__", "WordEmbeddings".into()),
        ]);
        Ok((item, dim))
    }

    /// Adds the tensors of the layers behind the embeddings, which have `dim`
    /// columns.
    fn layers(&mut self, dim: usize) -> Result<()> {
        let model = || Arc::clone(self.model);
        let tagger = &self.config.tagger;
        let reprojected = tagger.reprojected(dim);
        if reprojected.is_some_and(|to| to > dim) {
            return Err(self.model.refuse("its reprojection makes vectors longer"));
        }
        if reprojected.is_some() {
            // There, it has as many rows as columns: the others are zero.
            for (part, shape) in [("weight", vec![dim, dim]), ("bias", vec![dim])] {
                let (len, model) = (shape.iter().product(), model());
                self.tensors.add(format!("embedding2nn.{part}"), shape, move || {
                    let mut values = model.values(&format!("reprojection.{part}"))?;
                    values.resize(len, 0.0);
                    Ok(values)
                });
            }
        }
        let from = reprojected.unwrap_or(dim);
        for name in self.names("rnn.") {
            let (shape, model) = (self.model.shape(&name)?, model());
            match name.starts_with("rnn.weight_ih_l0") {
                true => self.tensors.add(name.clone(), vec![shape[0], dim], move || {
                    Ok(widen(&model.values(&name)?, from, dim))
                }),
                false => self.tensors.copy(&model, &name, name.clone())?,
            }
        }
        let n = self.config.labels.len();
        let all = n + if self.crf() { 2 } else { 0 };
        let columns = self.model.shape("output.weight")?[1];
        let wide = if tagger.layers == 0 { dim } else { columns };
        let own = model();
        self.tensors.add("linear.weight".to_owned(), vec![all, wide], move || {
            let mut values = widen(&own.values("output.weight")?, columns, wide);
            values.resize(all * wide, 0.0);
            Ok(values)
        });
        let own = model();
        self.tensors.add("linear.bias".to_owned(), vec![all], move || {
            let mut values = own.values("output.bias")?;
            values.resize(all, 0.0);
            Ok(values)
        });
        if self.crf() {
            let transitions = self.transitions()?;
            self.tensors
                .add("crf.transitions".to_owned(), vec![all, all], move || Ok(transitions.clone()));
        }
        Ok(())
    }

    /// Transition scores, a row for each destination, the start and the end last.
    fn transitions(&self) -> Result<Vec<f32>> {
        let labels = &self.config.labels;
        let n = labels.len();
        let own = match self.config.tagger.crf {
            true => self.model.values("crf.transitions")?,
            false => vec![0.0; (n + 2) * n],
        };
        let scheme = self.config.scheme.filter(|_| !self.has(Quirk::AnyTransition));
        let allowed = |from: Option<usize>, to: Option<usize>| {
            let label = |tag: Option<usize>| tag.map(|tag| labels[tag].as_str());
            scheme.is_none_or(|scheme: Scheme| tags::allowed(scheme, label(from), label(to)))
        };
        let mut scores = vec![NEVER; (n + 2) * (n + 2)];
        let mut set = |to: usize, from: usize, is_allowed: bool, score: f32| {
            if is_allowed {
                scores[to * (n + 2) + from] = score;
            }
        };
        for tag in 0..n {
            for from in 0..n {
                set(tag, from, allowed(Some(from), Some(tag)), own[from * n + tag]);
            }
            set(tag, n, allowed(None, Some(tag)), own[n * n + tag]);
            set(n + 1, tag, allowed(Some(tag), None), own[(n + 1) * n + tag]);
        }
        Ok(scores)
    }

    /// What is saved.
    fn item(&mut self, parts: Vec<Item>) -> Item {
        let crf = self.crf();
        let TaggerModel { layer, labels, tagger, scheme, .. } = &self.config;
        let borders: &[&str] = if crf { &["<START>", "<STOP>"] } else { &[] };
        let tags: Vec<&str> =
            labels.iter().map(String::as_str).chain(borders.iter().copied()).collect();
        let format = if *scheme == Some(Scheme::Iob2) { "BIO" } else { "BIOES" };
        let cell = match tagger.cell {
            CellKind::Lstm => "LSTM",
            CellKind::Gru => "GRU",
            _ => "RNN",
        };
        let embeddings = Item::dict([
            ("embeddings", Item::List(parts)),
            ("__cls__", "StackedEmbeddings".into()),
        ]);
        Item::dict([
            ("state_dict", self.tensors.take_state()),
            ("__cls__", "SequenceTagger".into()),
            ("embeddings", embeddings),
            ("hidden_size", tagger.hidden_dim.into()),
            ("tag_dictionary", dictionary(&tags, false)),
            ("tag_format", format.into()),
            ("tag_type", layer.as_str().into()),
            ("use_crf", Item::Bool(crf)),
            ("use_rnn", Item::Bool(tagger.layers > 0)),
            ("rnn_layers", tagger.layers.max(1).into()),
            ("use_dropout", Item::Float(0.0)),
            ("use_word_dropout", Item::Float(tagger.word_dropout.into())),
            ("use_locked_dropout", Item::Float(tagger.locked_dropout.into())),
            ("rnn_type", cell.into()),
            ("reproject_embeddings", Item::Bool(tagger.reprojection)),
            ("weight_dict", Item::None),
            ("train_initial_hidden_state", Item::Bool(false)),
        ])
    }
}

/// Name of an embedding, by which Flair sorts.
fn name(index: usize, kind: &str) -> Item {
    Item::Str(format!("{index:02}-{kind}"))
}

/// Where the tensors of an embedding lie.
fn place(index: usize) -> String {
    format!("embeddings.list_embedding_{index}")
}

/// Rows of `from` columns with zeros behind them, up to `to`.
fn widen(values: &[f32], from: usize, to: usize) -> Vec<f32> {
    let zeros = std::iter::repeat_n(0.0, to - from);
    values.chunks_exact(from).flat_map(|row| row.iter().copied().chain(zeros.clone())).collect()
}

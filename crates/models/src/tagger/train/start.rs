//! What a training starts from: labels, dictionaries, first weights.

use std::sync::Arc;

use glossator_nn::{Device, ParamSet, Weights};
use glossator_text::tags::{self, Scheme};

use super::data::{Corpora, gold_columns};
use crate::{
    Error, Result, TaggerConfig, TaggerRunConfig,
    embeddings::{EmbeddingConfig, Prepared, cache::VectorCache},
    find::find,
    quirk::{Quirk, Quirks},
    stored,
    tagger::{KIND, Labels, Tagger, TaggerModel, layer_name},
};

/// Everything that is known before the first parameter is made.
pub(super) struct Start {
    pub(super) tagger: TaggerConfig,
    /// Of each layer.
    pub(super) labels: Vec<Labels>,
    pub(super) embeddings: Vec<Prepared>,
    /// Weights of the model that is trained on from.
    weights: Weights,
    /// What the model computes otherwise than one made here.
    pub(super) quirks: Quirks,
    /// What of that model could not be taken over.
    pub(super) made_anew: Option<String>,
}

impl Start {
    pub(super) fn new(
        config: &TaggerRunConfig,
        corpora: &Corpora,
        cache: &Arc<VectorCache>,
        device: &Device,
    ) -> Result<Self> {
        if let Some(model) = &config.init_from {
            return Self::from_model(config, model, corpora, cache, device);
        }
        let labels = labels(config, corpora, config.tagger.scheme)?;
        let mut tagger = config.tagger.clone();
        let mut embeddings = Vec::new();
        for embedding in &mut tagger.embeddings {
            if let EmbeddingConfig::Words(words) = &embedding
                && let Some(path) = &words.vectors
            {
                let (key, path) = ("tagger.embeddings.vectors".to_owned(), path.clone());
                let missing = |source| Error::ConfigFile { key, path: path.clone(), source };
                std::fs::File::open(&path).map_err(missing)?;
            }
            let prepared = embedding.prepare(&corpora.train, cache, device)?;
            *embedding = prepared.config.clone();
            embeddings.push(prepared);
        }
        let (weights, quirks) = (Weights::new(), Quirks::new());
        Ok(Self { tagger, labels, embeddings, weights, quirks, made_anew: None })
    }

    /// Takes architecture, dictionaries and weights of a model; its labels
    /// too, if they suffice for the data. Otherwise the weights of the labels
    /// are made anew, for they have other places.
    fn from_model(
        config: &TaggerRunConfig,
        name: &str,
        corpora: &Corpora,
        cache: &Arc<VectorCache>,
        device: &Device,
    ) -> Result<Self> {
        let bundle = find(name)?;
        // A model that cannot be loaded is refused here, with its name.
        Tagger::from_bundle(&bundle, None)?;
        let model: TaggerModel = bundle.config(KIND)?;
        refuse_quirks(name, &model.quirks)?;
        let labels = labels(config, corpora, model.tagger.scheme)?;
        let labels: Vec<_> =
            labels.into_iter().map(|labels| labels.with_quirks(&model.quirks)).collect();
        let own = model
            .layers()
            .map(|layer| Labels::new(&layer.labels, layer.scheme).with_quirks(&model.quirks));
        let own: Vec<_> = own.collect();
        // One layer may have another name; of several each is what its name says.
        let names: Vec<String> = model.layers().map(|layer| layer_name(&layer.layer)).collect();
        let wanted: Vec<String> = config.data.layers().map(|column| layer_name(column)).collect();
        let same = names == wanted || names.len() == 1 && wanted.len() == 1;
        let suffice = |(own, new): (&Labels, &Labels)| {
            own.scheme() == new.scheme() && new.names().iter().all(|tag| own.number(tag).is_some())
        };
        let keep = same && own.iter().zip(&labels).all(suffice);
        let of_labels = |name: &str| name.starts_with("output.") || name.starts_with("crf.");
        let weights = stored::weights(&bundle, |name| keep || !of_labels(name))?;
        let mut embeddings = Vec::new();
        for (index, embedding) in model.tagger.embeddings.iter().enumerate() {
            embeddings.push(Prepared::again(embedding, index, &bundle, &weights, cache, device)?);
        }
        let TaggerConfig { word_dropout, locked_dropout, class_weights, .. } =
            config.tagger.clone();
        let tagger = TaggerConfig { word_dropout, locked_dropout, class_weights, ..model.tagger };
        if let Some((key, reason)) = tagger.problem() {
            let problem = format!("{key} {reason}");
            return Err(Error::Config { path: name.into(), line: None, problem });
        }
        let labels = if keep { own } else { labels };
        let made_anew = (!keep).then(|| {
            let reason = match same {
                true => format!("the data has labels that {name} lacks"),
                false => format!("{name} has the layers {}", names.join(", ")),
            };
            format!("{reason}: its weights of labels were made anew")
        });
        let quirks = model.quirks;
        Ok(Self { tagger, labels, embeddings, weights, quirks, made_anew })
    }

    /// Overwrites parameters by the model's, where name and size agree.
    pub(super) fn fill(&mut self, params: &ParamSet) -> Result<()> {
        let weights = std::mem::take(&mut self.weights);
        for entry in weights.iter() {
            if params.tensor(entry.name).is_some_and(|own| own.shape == entry.shape) {
                params.set_values(entry.name, &entry.values()?)?;
            }
        }
        Ok(())
    }
}

/// Refuses a model that computes what training does not.
fn refuse_quirks(name: &str, quirks: &Quirks) -> Result<()> {
    let trains = |quirk: &&Quirk| {
        matches!(quirk, Quirk::AnyTransition | Quirk::MajoritySpans | Quirk::MendedTags)
    };
    let Some(quirk) = quirks.iter().find(|quirk| !trains(quirk)) else { return Ok(()) };
    let problem = format!(
        "it cannot be trained further, for it was made by another toolkit: {}; convert it \
         without such quirks (`gloss convert --without-quirks`)",
        quirk.description()
    );
    Err(Error::Config { path: name.into(), line: None, problem })
}

/// The labels of each layer in the training data.
fn labels(config: &TaggerRunConfig, corpora: &Corpora, scheme: Scheme) -> Result<Vec<Labels>> {
    config.data.layers().map(|column| labels_of(column, config, corpora, scheme)).collect()
}

/// The labels of one column: spans if they look like it.
fn labels_of(
    column: &str,
    config: &TaggerRunConfig,
    corpora: &Corpora,
    scheme: Scheme,
) -> Result<Labels> {
    let columns = gold_columns(&corpora.train, column)?;
    let detection = tags::detect(columns.iter().map(Vec::as_slice));
    let labels = if detection.is_spans() {
        let spans = columns.iter().flat_map(|column| tags::spans(column));
        Labels::of_spans(spans.map(|span| span.label), scheme)
    } else {
        refuse_stray_tags(column, config, corpora, &columns, &detection)?;
        Labels::of_words(columns.iter().flatten().map(String::as_str))
    };
    match labels.problem() {
        Some(problem) => {
            let path = config.data.train.clone();
            let problem = format!("the labels of `{column}`: {problem}");
            Err(Error::Data { path, line: None, problem })
        }
        None => Ok(labels),
    }
}

/// A column of spans with a few tags that are none is a mistake, not a column
/// of word labels.
fn refuse_stray_tags(
    column: &str,
    config: &TaggerRunConfig,
    corpora: &Corpora,
    columns: &[Vec<String>],
    detection: &tags::Detection,
) -> Result<()> {
    let Some(stray) = detection.stray() else { return Ok(()) };
    let mut places = corpora.train.iter().zip(columns).filter_map(|(sentence, column)| {
        let token = column.iter().position(|tag| tag == stray)?;
        sentence.token_place(token)
    });
    let place = places.next().map(|(path, line)| (path.to_owned(), Some(line)));
    let (path, line) = place.unwrap_or_else(|| (config.data.train.clone(), None));
    let problem = format!(
        "`{stray}` is no tag of spans, such as B-{stray} or O, as the others of `{column}` are; \
         mend it"
    );
    Err(Error::Data { path, line, problem })
}

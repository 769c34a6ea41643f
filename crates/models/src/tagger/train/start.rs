//! What a training starts from: labels, dictionaries, first weights.

use glossator_hub::Repository;
use glossator_nn::{ParamSet, Weights};
use glossator_text::{Dictionary, tags};

use super::data::{Corpora, gold_columns};
use crate::{
    Error, Result, RunConfig, TaggerConfig,
    embeddings::{EmbeddingConfig, Prepared, dictionary_file, prefix},
    tagger::{KIND, Labels, TaggerModel},
};

/// Everything that is known before the first parameter is made.
pub(super) struct Start {
    pub(super) tagger: TaggerConfig,
    pub(super) labels: Labels,
    pub(super) embeddings: Vec<Prepared>,
    /// Weights of the model that is trained on from.
    weights: Weights,
}

impl Start {
    pub(super) fn new(config: &RunConfig, corpora: &Corpora) -> Result<Self> {
        let labels = labels(config, corpora)?;
        if let Some(model) = &config.init_from {
            return Self::from_model(config, model, labels);
        }
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
            let prepared = embedding.prepare(corpora.train.iter().flat_map(|s| s.tokens()))?;
            *embedding = prepared.config.clone();
            embeddings.push(prepared);
        }
        Ok(Self { tagger, labels, embeddings, weights: Weights::new() })
    }

    /// Takes architecture, dictionaries and weights of a model; its labels
    /// too, if they suffice for the data.
    fn from_model(config: &RunConfig, name: &str, labels: Labels) -> Result<Self> {
        let bundle = Repository::from_env().find(name)?;
        let model: TaggerModel = bundle.config(KIND)?;
        let mut weights = Weights::new();
        for tensor in bundle.tensors("model.safetensors")? {
            weights.insert(tensor.name, tensor.shape, tensor.values);
        }
        let mut embeddings = Vec::new();
        for (index, embedding) in model.tagger.embeddings.iter().enumerate() {
            let dictionary: Dictionary = bundle.json(&dictionary_file(index))?;
            let table = format!("{}.words.weight", prefix(index));
            let given = weights.iter().find(|(name, ..)| **name == table);
            let given = given.map(|(_, _, values)| values.to_vec());
            embeddings.push(Prepared::again(embedding.clone(), dictionary, given));
        }
        let own = Labels::new(&model.labels, model.scheme);
        let suffice = labels.names().iter().all(|tag| own.number(tag).is_some());
        let labels = if own.scheme() == labels.scheme() && suffice { own } else { labels };
        let (word_dropout, locked_dropout) =
            (config.tagger.word_dropout, config.tagger.locked_dropout);
        let tagger = TaggerConfig { word_dropout, locked_dropout, ..model.tagger };
        Ok(Self { tagger, labels, embeddings, weights })
    }

    /// Overwrites parameters by the model's, where name and size agree.
    pub(super) fn fill(&mut self, params: &ParamSet) -> Result<()> {
        let weights = std::mem::take(&mut self.weights);
        for (name, shape, values) in weights.iter() {
            if params.get(name).is_some_and(|var| var.dims() == shape) {
                params.set_values(name, values.to_vec())?;
            }
        }
        Ok(())
    }
}

/// The labels of the training data: spans if they look like it.
fn labels(config: &RunConfig, corpora: &Corpora) -> Result<Labels> {
    let columns = gold_columns(&corpora.train, &config.data.layer)?;
    let detection = tags::detect(columns.iter().map(Vec::as_slice));
    if !detection.is_spans() {
        return Ok(Labels::of_words(columns.iter().flatten().map(String::as_str)));
    }
    let spans = columns.iter().flat_map(|column| tags::spans(column));
    Ok(Labels::of_spans(spans.map(|span| span.label), config.tagger.scheme))
}

//! Contextual string embeddings against Flair's, for the same random weights.

use std::{collections::HashMap, path::PathBuf};

use glossator_hub::{FORMAT, StoredPrecision, Tensor, read_tensors};
use glossator_nn::{Precision, Weights};
use glossator_text::{Dictionary, Position};
use serde::Deserialize;

use super::*;
use crate::{
    LanguageModelConfig,
    language_model::{KIND, LanguageModelModel},
};

#[derive(Deserialize)]
struct Golden {
    models: Vec<Model>,
    sentences: Vec<Vec<(String, usize)>>,
    texts: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    forward: bool,
    hidden_dim: usize,
    layers: usize,
    embedding_dim: usize,
    nout: Option<usize>,
    document_delimiter: String,
    dictionary: Dictionary,
    perplexities: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    model: String,
    tokenized: bool,
    with_whitespace: bool,
    lower: bool,
    key: String,
    /// Sentences in which Flair's offsets are beside the words: it counts
    /// several spaces as one, and characters as they were before lower case.
    misaligned: Vec<usize>,
}

/// The golden file, made by `scripts/fixtures/flair_embeddings.py`; the variable
/// `FLAIR_EMBEDDINGS` names another one.
fn golden() -> (Golden, HashMap<String, Tensor>) {
    let own =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/flair_embeddings.safetensors");
    let path = std::env::var_os("FLAIR_EMBEDDINGS").map_or_else(|| own.into(), PathBuf::from);
    let bytes = std::fs::read(path).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let json = &metadata.metadata().as_ref().unwrap()["json"];
    let tensors = read_tensors(&bytes).unwrap();
    (
        serde_json::from_str(json).unwrap(),
        tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect(),
    )
}

impl Model {
    fn load(&self, tensors: &HashMap<String, Tensor>) -> Arc<LanguageModel> {
        let prefix = format!("{}.", self.name);
        let mut weights = Weights::new();
        for (name, tensor) in tensors {
            let own = name.strip_prefix(&prefix).filter(|name| !name.starts_with("case."));
            if let Some(own) = own {
                weights.insert(own, tensor.shape.clone(), tensor.values.clone());
            }
        }
        let direction = match self.forward {
            true => ReadingDirection::Forward,
            false => ReadingDirection::Backward,
        };
        let language_model = LanguageModelConfig {
            direction,
            hidden_dim: self.hidden_dim,
            embedding_dim: self.embedding_dim,
            layers: self.layers,
            projection_dim: self.nout,
            document_delimiter: self.document_delimiter.clone(),
            ..LanguageModelConfig::default()
        };
        let model = LanguageModelModel {
            kind: KIND.to_owned(),
            format: FORMAT,
            precision: StoredPrecision::F32,
            compute: None,
            vectors_only: false,
            language_model,
            development: None,
        };
        let dictionary = self.dictionary.clone();
        let model =
            LanguageModel::from_weights(&self.name, "", model, dictionary, weights, Precision::F32);
        Arc::new(model.unwrap())
    }
}

/// A sentence of tokens and the number of spaces behind each.
fn sentence(tokens: &[(String, usize)]) -> Sentence {
    let (mut text, mut ranges) = (String::new(), Vec::new());
    for (token, spaces) in tokens {
        ranges.push(text.len()..text.len() + token.len());
        text += token;
        text += &" ".repeat(*spaces);
    }
    Sentence::new(text, ranges, Position::default()).unwrap()
}

#[test]
fn embeddings_equal_those_of_flair() {
    let (golden, tensors) = golden();
    let sentences: Vec<Sentence> = golden.sentences.iter().map(|s| sentence(s)).collect();
    let mut compared = 0;
    for case in &golden.cases {
        let model = golden.models.iter().find(|model| model.name == case.model).unwrap();
        let config = ContextualConfig {
            model: String::new(),
            spacing: if case.tokenized { Spacing::Tokens } else { Spacing::Original },
            lower: case.lower,
            inside: !case.with_whitespace,
        };
        let contextual = Contextual::new(&config, model.load(&tensors));
        let dim = contextual.dim();
        let got = contextual.vectors(&TokenBatch::new(&sentences)).unwrap();
        let want = &tensors[&case.key].values;
        assert_eq!(got.len(), want.len());
        let mut at = 0;
        for (number, sentence) in sentences.iter().enumerate() {
            let own = at..at + sentence.len() * dim;
            at = own.end;
            let pairs = got[own.clone()].iter().zip(&want[own]);
            let worst = pairs.map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
            match case.misaligned.contains(&number) {
                true => assert!(worst > 1e-3, "{}: sentence {number} is not misaligned", case.key),
                false => assert!(worst < 1e-5, "{}: sentence {number}: {worst}", case.key),
            }
            compared += 1;
        }
    }
    assert!(compared > 0);
}

#[test]
fn perplexities_equal_those_of_flair() {
    let (golden, tensors) = golden();
    for model in &golden.models {
        let own = model.load(&tensors);
        for (text, want) in golden.texts.iter().zip(&model.perplexities) {
            let got = own.perplexity_inside(text).unwrap();
            assert!((got / want - 1.0).abs() < 1e-5, "{}: {got} is not {want}", model.name);
        }
    }
}

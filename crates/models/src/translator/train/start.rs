//! What the training of a translator starts from: subwords, ids, first weights.

use glossator_hub::FORMAT;
use glossator_nn::Weights;
use rayon::prelude::*;

use super::data::{Corpora, Pairs};
use crate::{
    Error, Result, TranslatorConfig, TranslatorRunConfig,
    find::find,
    stored,
    translator::{
        KIND, Translator, TranslatorModel,
        subwords::{Subwords, TOKENIZER},
    },
};

/// Everything that is known before the first parameter is made.
pub(super) struct Start {
    pub(super) model: TranslatorModel,
    pub(super) subwords: Subwords,
    /// The training pairs as ids.
    pub(super) ids: Vec<(Vec<u32>, Vec<u32>)>,
    /// Those that are not too long.
    pub(super) pairs: Vec<u32>,
    /// Weights of the model that is trained on from.
    pub(super) weights: Weights,
}

impl Start {
    pub(super) fn new(config: &TranslatorRunConfig, corpora: &Corpora) -> Result<Self> {
        let (model, subwords, weights) = match &config.init_from {
            Some(name) => from_model(config, name)?,
            None => {
                let subwords = learn(config, &corpora.train)?;
                let (translator, kind) = (config.translator.clone(), config.subwords.clone());
                (model(config, translator, kind), subwords, Weights::new())
            }
        };
        let ids = encode(&subwords, &corpora.train);
        let max = model.translator.max_length;
        let fits = |(source, target): &(Vec<u32>, Vec<u32>)| source.len().max(target.len()) <= max;
        let numbers = (0..).zip(&ids).filter(|(_, pair)| fits(pair));
        let pairs: Vec<u32> = numbers.map(|(number, _)| number).collect();
        if pairs.is_empty() {
            let problem = format!("every pair has more than {max} subwords: see max_length");
            return Err(Error::Data {
                path: config.data.train_source.clone(),
                line: None,
                problem,
            });
        }
        Ok(Self { model, subwords, ids, pairs, weights })
    }

    /// What was left out, in words.
    pub(super) fn warnings(&self, corpora: &Corpora) -> Vec<String> {
        let mut warnings = Vec::new();
        let empty = corpora.train.empty;
        if empty > 0 {
            warnings.push(format!("pairs with an empty line, left out: {empty}"));
        }
        let long = self.ids.len() - self.pairs.len();
        if long > 0 {
            let max = self.model.translator.max_length;
            warnings.push(format!("pairs of more than {max} subwords, left out: {long}"));
        }
        warnings
    }
}

/// Ids of both sides of all pairs.
fn encode(subwords: &Subwords, pairs: &Pairs) -> Vec<(Vec<u32>, Vec<u32>)> {
    let both = pairs.source.par_iter().zip(&pairs.target);
    both.map(|(source, target)| (subwords.encode(source), subwords.encode(target))).collect()
}

/// One vocabulary of both sides.
pub(super) fn learn(config: &TranslatorRunConfig, pairs: &Pairs) -> Result<Subwords> {
    let lines = pairs.source.par_iter().chain(&pairs.target).map(String::as_str);
    let size = config.subwords.size(pairs.len());
    Subwords::learn(&config.subwords, size, lines).map_err(|problem| {
        let problem = format!("no subwords can be learnt of it: {problem}");
        Error::Data { path: config.data.train_source.clone(), line: None, problem }
    })
}

fn model(
    config: &TranslatorRunConfig,
    translator: TranslatorConfig,
    subwords: crate::SubwordsConfig,
) -> TranslatorModel {
    TranslatorModel {
        kind: KIND.to_owned(),
        format: FORMAT,
        precision: config.model.precision,
        compute: config.model.compute,
        translator,
        subwords,
    }
}

/// Takes architecture, subwords and weights of a model; what matters to training
/// alone stays as it is configured.
fn from_model(
    config: &TranslatorRunConfig,
    name: &str,
) -> Result<(TranslatorModel, Subwords, Weights)> {
    let bundle = find(name)?;
    // A model that cannot be loaded is refused here, with its name.
    Translator::from_bundle(&bundle, None)?;
    let TranslatorModel { translator, mut subwords, .. } = bundle.config(KIND)?;
    let own = &config.translator;
    let translator = TranslatorConfig {
        dropout: own.dropout,
        output_dropout: own.output_dropout,
        word_dropout: own.word_dropout,
        label_smoothing: own.label_smoothing,
        max_length: own.max_length,
        choose_by: own.choose_by,
        ..translator
    };
    subwords.dropout = config.subwords.dropout;
    if let Some((key, reason)) = translator.problem().or_else(|| subwords.problem()) {
        let problem = format!("{key} {reason}");
        return Err(Error::Config { path: name.into(), line: None, problem });
    }
    let vocabulary = Subwords::from_bytes(&bundle.read(TOKENIZER)?)
        .map_err(|problem| bundle.damaged(TOKENIZER, problem))?;
    let weights = stored::weights(&bundle, |_| true)?;
    Ok((model(config, translator, subwords), vocabulary, weights))
}

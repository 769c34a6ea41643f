//! The translator as a task of the training loop.

use std::{borrow::Cow, path::Path};

use glossator_hub::write_tensors;
use glossator_nn::{Device, ParamSet, Precision, Rng, Weights};
use glossator_train::{BoxError, Evaluation, Loss, Snapshot, Task};
use sha2::{Digest, Sha256};

use super::{
    batches::batches,
    data::{Corpora, Pairs},
    network::{Network, PairBatch},
    quality::watched_bleu,
    start::Start,
};
use crate::{
    Error, Result, TranslateOptions, TranslatorRunConfig,
    stored::{self, WEIGHTS},
    training::{products, write, write_json},
    translator::{
        ChooseBy, Translator, TranslatorModel,
        subwords::{Merges, Subwords, TOKENIZER},
    },
};

/// Sentences over which the flow of gradients is averaged.
const FLOW_SENTENCES: usize = 64;

/// A translator in training.
pub(super) struct TranslatorTask<'a> {
    config: &'a TranslatorRunConfig,
    train: &'a Pairs,
    dev: &'a Pairs,
    model: TranslatorModel,
    subwords: Subwords,
    ids: Vec<(Vec<u32>, Vec<u32>)>,
    pairs: Vec<u32>,
    /// What is passed over by chance, if anything is.
    merges: Option<Merges>,
    /// Subwords of target and source of each pair.
    lengths: Vec<(usize, usize)>,
    /// Hash of the model's settings and of the data.
    fingerprint: String,
    params: ParamSet,
    network: Network,
}

impl<'a> TranslatorTask<'a> {
    pub(super) fn new(
        config: &'a TranslatorRunConfig,
        start: Start,
        corpora: &'a Corpora,
        device: &Device,
    ) -> Result<Self> {
        let Start { model, subwords, ids, pairs, weights } = start;
        let rng = &mut Rng::new(config.seed, "init", 0);
        let mut params = ParamSet::on(device);
        let precision = products(config.training.precision);
        let network = Network::new(&mut params, &model.translator, subwords.len(), precision, rng)?;
        for entry in weights.iter() {
            params.set_values(entry.name, &entry.values()?)?;
        }
        let fingerprint = fingerprint(&model, &subwords, &ids, &corpora.dev);
        let lengths = ids.iter().map(|(source, target)| (target.len(), source.len())).collect();
        let (train, dev) = (&corpora.train, &corpora.dev);
        let merges = (model.subwords.dropout > 0.0).then(|| Merges::of(&subwords));
        let merges = merges.transpose().map_err(|problem| Error::Data {
            path: config.data.train_source.clone(),
            line: None,
            problem,
        })?;
        Ok(Self {
            config,
            train,
            dev,
            model,
            subwords,
            ids,
            pairs,
            merges,
            lengths,
            fingerprint,
            params,
            network,
        })
    }

    /// Ids of a pair, its merges passed over by chance if that is configured.
    fn ids(&self, pair: usize, rng: &mut Rng) -> [Cow<'_, [u32]>; 2] {
        let (p, (source, target)) = (self.model.subwords.dropout, &self.ids[pair]);
        let Some(merges) = &self.merges else { return [source.into(), target.into()] };
        [&self.train.source[pair], &self.train.target[pair]]
            .map(|text| self.subwords.encode_by_chance(merges, text, p, rng).into())
    }

    fn batch_loss(&self, pairs: &[u32], rng: &mut Rng) -> Result<Loss> {
        let mut batch = PairBatch::default();
        for &pair in pairs {
            let [source, target] = self.ids(pair as usize, rng);
            batch.push(&source, &target);
        }
        let count = batch.targets();
        Ok(Loss { sum: self.network.loss(&batch, rng)?, count, tokens: count })
    }

    /// The present parameters as a translator.
    fn translator(&self) -> Result<Translator> {
        let weights = Weights::from_params(&self.params)?;
        let (model, subwords) = (self.model.clone(), self.subwords.clone());
        Ok(Translator::from_weights("in training", model, subwords, weights, Precision::F32)?)
    }

    fn evaluate_dev(&self) -> Result<Evaluation> {
        let translator = self.translator()?;
        let score = translator.score_pairs(&self.dev.source, &self.dev.target)?;
        let (nats, choose_by) = (score.nats_per_subword(), self.config.translator.choose_by);
        let mut metrics = vec![("nats/subword", nats), ("ppl", score.perplexity())];
        let better = match choose_by {
            ChooseBy::Bleu => {
                let bleu = watched_bleu(&translator, self.dev)?;
                metrics.push(("BLEU", bleu));
                bleu
            }
            ChooseBy::Likelihood => -nats,
        };
        let metrics = metrics.into_iter().map(|(name, value)| (name.to_owned(), value));
        let sample = self.dev.source.first().map(|text| {
            let options = TranslateOptions { beam: 1, ..TranslateOptions::default() };
            translator.translate_lines(&[text], &options)
        });
        Ok(Evaluation {
            score: better,
            loss: Some(nats),
            metrics: metrics.collect(),
            sample: sample.transpose()?.and_then(|mut all| Some(all.pop()?.text)),
        })
    }

    fn save_files(&self, dir: &Path) -> Result<()> {
        let json = self.subwords.to_json().map_err(std::io::Error::other);
        let path = dir.join(TOKENIZER);
        let failed = |source| Error::Write { path: path.clone(), source };
        write(&path, json.map_err(failed)?.as_bytes())?;
        let weights = Weights::from_params(&self.params)?;
        let tensors = weights.iter().map(stored::tensor).collect::<Result<Vec<_>, _>>()?;
        let path = dir.join(WEIGHTS);
        let bytes = write_tensors(&tensors, self.model.precision).map_err(std::io::Error::other);
        write(&path, &bytes.map_err(|source| Error::Write { path: path.clone(), source })?)?;
        // Last: a folder without it is no model, so nobody loads half of one.
        write_json(&dir.join("config.json"), serde_json::to_string_pretty(&self.model))
    }
}

impl Task for TranslatorTask<'_> {
    type Batch = Vec<u32>;

    fn batches(&self, _epoch: usize, rng: &mut Rng) -> Vec<Vec<u32>> {
        batches(&self.lengths, &self.pairs, self.config.training.batch_size, rng)
    }

    fn loss(&mut self, batch: &Vec<u32>, rng: &mut Rng) -> Result<Loss, BoxError> {
        Ok(self.batch_loss(batch, rng)?)
    }

    fn evaluate(&mut self) -> Result<Evaluation, BoxError> {
        Ok(self.evaluate_dev()?)
    }

    fn gradient_flow(&self) -> Result<Vec<Vec<f64>>, BoxError> {
        let sources = self.dev.source.iter().take(FLOW_SENTENCES);
        let sources: Vec<Vec<u32>> = sources.map(|text| self.subwords.encode(text)).collect();
        Ok(self.network.gradient_flow(&sources)?)
    }

    fn params(&self) -> &ParamSet {
        &self.params
    }

    fn unit(&self) -> &'static str {
        "subwords"
    }

    fn save(&self, dir: &Path) -> Result<(), BoxError> {
        Ok(self.save_files(dir)?)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot { json: self.fingerprint.clone().into(), ..Snapshot::default() }
    }

    fn accepts(&self, json: &serde_json::Value) -> Result<(), BoxError> {
        match *json == *self.fingerprint {
            true => Ok(()),
            false => Err(Box::new(Error::Resume {
                problem: "the corpora, the [subwords], the [translator] or the [model] settings \
                          are not those that the run began with; put them back, or start anew \
                          with --force",
            })),
        }
    }
}

/// Hash of everything a run stands on but its `[training]` settings.
fn fingerprint(
    model: &TranslatorModel,
    subwords: &Subwords,
    ids: &[(Vec<u32>, Vec<u32>)],
    dev: &Pairs,
) -> String {
    let mut hash = Sha256::new();
    // The debug form names every field and separates every item.
    hash.update(format!("{model:?}"));
    (0..subwords.len() as u32).for_each(|id| hash.update(format!("{:?}", subwords.piece(id))));
    for side in ids.iter().flat_map(|(source, target)| [source, target]) {
        hash.update(side.len().to_le_bytes());
        side.iter().for_each(|id| hash.update(id.to_le_bytes()));
    }
    dev.iter().for_each(|pair| hash.update(format!("{pair:?}")));
    format!("{:x}", hash.finalize())
}

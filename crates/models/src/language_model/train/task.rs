//! The language model as a task of the training loop.

use std::path::Path;

use candle_core::Tensor;
use glossator_hub::write_tensors;
use glossator_nn::{
    Device, Embedding, Linear, ParamSet, Precision, RecurrentInput, Rng, Rnn, RnnOutput, Weights,
    dropout, init, nll,
};
use glossator_text::{Dictionary, raw::RawText};
use glossator_train::{Array, BoxError, Evaluation, Loss, Snapshot, Task};
use sha2::{Digest, Sha256};

use super::{
    start::Start,
    streams::{Streams, Window, WindowIds},
};
use crate::{
    Error, LanguageModelRunConfig, Result,
    language_model::{LanguageModel, LanguageModelModel, Sampling, TextScore, infer::DICTIONARY},
    lookup::CharacterIds,
    stored::{self, WEIGHTS},
    training::{products, write, write_json},
};

/// Bound of the first values of encoder and decoder.
const BOUND: f32 = 0.1;
/// Characters drawn at each evaluation.
const SAMPLE: usize = 100;
/// Rows of text, and their characters, over which the flow of gradients is averaged.
const FLOW_ROWS: usize = 32;
const FLOW_CHARS: usize = 200;

/// A language model in training.
pub(super) struct LanguageModelTask<'a> {
    model: LanguageModelModel,
    dictionary: Dictionary,
    streams: Streams<'a>,
    development: String,
    /// Hash of the model's settings and of the text.
    fingerprint: String,
    params: ParamSet,
    encoder: Embedding,
    rnn: Rnn,
    projection: Option<Linear>,
    decoder: Linear,
    /// States that the next window of the same split begins with.
    states: Vec<Tensor>,
}

impl<'a> LanguageModelTask<'a> {
    pub(super) fn new(
        config: &'a LanguageModelRunConfig,
        start: Start,
        device: &Device,
    ) -> Result<Self> {
        let Start { text, development, model, dictionary, weights } = start;
        let (shape, items) = (&model.language_model, dictionary.len());
        let rng = &mut Rng::new(config.seed, "init", 0);
        let mut params = ParamSet::on(device);
        let values = init::uniform(rng, items * shape.embedding_dim, BOUND);
        let encoder = Embedding::new(&mut params, "encoder", values, shape.embedding_dim)?;
        let precision = products(config.training.precision);
        let rnn = Rnn::new(&mut params, "rnn", shape.rnn(), shape.first_values(), rng)?
            .in_precision(precision);
        let mut project = |dim: usize| {
            let bound = (3.0 / (shape.hidden_dim + dim) as f32).sqrt();
            let values = init::uniform(rng, shape.hidden_dim * dim, bound);
            let layer = Linear::with_weight(&mut params, "proj", values, dim, 0.0);
            layer.map(|layer| layer.in_precision(precision))
        };
        let projection = shape.projection_dim.map(&mut project).transpose()?;
        let values = init::uniform(rng, items * shape.dim(), BOUND);
        let decoder = Linear::with_weight(&mut params, "decoder", values, items, 0.0)?;
        let decoder = decoder.in_precision(precision);
        for entry in weights.iter() {
            params.set_values(entry.name, &entry.values()?)?;
        }
        let fingerprint = fingerprint(config, &model, &dictionary, &text, &development);
        let ids = CharacterIds::new(&dictionary);
        let streams = Streams::new(config, shape.clone(), ids, text);
        Ok(Self {
            model,
            dictionary,
            streams,
            development,
            fingerprint,
            params,
            encoder,
            rnn,
            projection,
            decoder,
            states: Vec::new(),
        })
    }

    /// The development text.
    pub(super) fn development(&self) -> &str {
        &self.development
    }

    /// The training text.
    pub(super) fn text(&self) -> &RawText {
        self.streams.text()
    }

    fn window_loss(&mut self, window: &Window, rng: &mut Rng) -> Result<Loss> {
        let ids = self.streams.ids(window)?;
        if window.first == 0 {
            self.states = self.rnn.first_states(ids.lengths.len())?;
        }
        let p = self.model.language_model.dropout;
        let read = self.read(&ids, p, rng)?;
        let copied = |state: &Tensor| state.detach().copy();
        let states = read.states.iter().map(copied).collect::<candle_core::Result<_>>();
        self.states = states.map_err(glossator_nn::Error::from)?;
        let mut hidden = read.hidden;
        if let Some(projection) = &self.projection {
            hidden = projection.forward(&hidden)?;
        }
        let scores = self.decoder.forward(&dropout::plain(&hidden, p, rng)?)?;
        let count = ids.targets.len();
        Ok(Loss { sum: nll(&scores, ids.targets)?, count, tokens: count })
    }

    /// The recurrent layers over a window. Dropout makes each character's
    /// vector another one; without it the layers pick rows of the table.
    fn read(&self, ids: &WindowIds, p: f32, rng: &mut Rng) -> Result<RnnOutput> {
        let rows = match p > 0.0 {
            true => Some(dropout::plain(&self.encoder.forward(&ids.inputs)?, p, rng)?),
            false => None,
        };
        let input = match &rows {
            Some(rows) => RecurrentInput::Rows(rows),
            None => RecurrentInput::Table { table: self.encoder.table(), ids: &ids.inputs },
        };
        Ok(self.rnn.forward_from(input, &ids.lengths, &self.states, p, rng)?)
    }

    fn evaluate_dev(&mut self) -> Result<Evaluation> {
        let weights = Weights::from_params(&self.params)?;
        let (model, dictionary) = (self.model.clone(), self.dictionary.clone());
        let model = LanguageModel::from_weights(
            "in training",
            "",
            model,
            dictionary,
            weights,
            Precision::F32,
        )?;
        let score = model.score(&self.development)?;
        self.model.development = Some(rounded(score));
        let metrics = [
            ("nats/char", score.nats_per_character()),
            ("bits/char", score.bits_per_character()),
            ("perplexity", score.perplexity()),
        ];
        Ok(Evaluation {
            score: -score.bits_per_character(),
            loss: Some(score.nats_per_character()),
            metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
            sample: Some(
                model.generate(&Sampling { characters: SAMPLE, ..Sampling::default() }, |_| {
                    Ok(())
                })?,
            ),
        })
    }

    fn save_files(&self, dir: &Path) -> Result<()> {
        write_json(&dir.join(DICTIONARY), serde_json::to_string(&self.dictionary))?;
        let weights = Weights::from_params(&self.params)?;
        let tensors = weights.iter().map(stored::tensor).collect::<Result<Vec<_>, _>>()?;
        let path = dir.join(WEIGHTS);
        let bytes = write_tensors(&tensors, self.model.precision);
        let bytes = bytes.map_err(std::io::Error::other);
        write(&path, &bytes.map_err(|source| Error::Write { path: path.clone(), source })?)?;
        // Last: a folder without it is no model, so nobody loads half of one.
        write_json(&dir.join("config.json"), serde_json::to_string_pretty(&self.model))
    }
}

/// Three decimals of a nat, so that the file does not depend on the last bits
/// of a sum.
fn rounded(score: TextScore) -> TextScore {
    TextScore { nats: (score.nats * 1e3).round() / 1e3, ..score }
}

impl Task for LanguageModelTask<'_> {
    type Batch = Window;

    fn batches(&self, epoch: usize, rng: &mut Rng) -> Vec<Window> {
        self.streams.windows(epoch, rng)
    }

    fn loss(&mut self, window: &Window, rng: &mut Rng) -> Result<Loss, BoxError> {
        Ok(self.window_loss(window, rng)?)
    }

    fn evaluate(&mut self) -> Result<Evaluation, BoxError> {
        Ok(self.evaluate_dev()?)
    }

    fn params(&self) -> &ParamSet {
        &self.params
    }

    fn gradient_flow(&self) -> Result<Vec<Vec<f64>>, BoxError> {
        let known = CharacterIds::new(&self.dictionary);
        let characters = self.development.chars().take(FLOW_ROWS * FLOW_CHARS);
        let ids: Vec<u32> = characters.map(|c| known.id(c)).collect();
        let mut lengths = vec![FLOW_CHARS; ids.len() / FLOW_CHARS];
        if lengths.is_empty() {
            lengths.push(ids.len());
        }
        let read = &ids[..lengths.iter().sum()];
        Ok(self.rnn.gradient_flow(&self.encoder.forward(read)?, &lengths)?)
    }

    fn unit(&self) -> &'static str {
        "chars"
    }

    fn save(&self, dir: &Path) -> Result<(), BoxError> {
        Ok(self.save_files(dir)?)
    }

    fn snapshot(&self) -> Snapshot {
        let array = |state: &Tensor| {
            // Plain tensors can be read, unless a GPU fails, which the next step tells.
            let values = state.flatten_all().and_then(|flat| flat.to_vec1()).unwrap_or_default();
            Array { shape: state.dims().to_vec(), values }
        };
        let states = self.states.iter().enumerate();
        let tensors = states.map(|(layer, state)| (format!("state.{layer}"), array(state)));
        Snapshot { tensors: tensors.collect(), json: self.fingerprint.clone().into() }
    }

    fn accepts(&self, json: &serde_json::Value) -> Result<(), BoxError> {
        if *json == *self.fingerprint {
            return Ok(());
        }
        Err(Box::new(Error::Resume {
            problem: "the text, the [data], the [language_model] or the [model] settings are \
                      not those that the run began with; put them back, or start anew with \
                      --force",
        }))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), BoxError> {
        self.states.clear();
        let device = self.params.device().candle();
        for layer in 0..snapshot.tensors.len() {
            let Some(array) = snapshot.tensors.get(&format!("state.{layer}")) else {
                return Err(Box::new(Error::Resume { problem: "a state is missing" }));
            };
            let state = Tensor::from_slice(&array.values, array.shape.as_slice(), device)?;
            self.states.push(state);
        }
        Ok(())
    }
}

/// Hash of everything a run stands on but its `[training]` settings.
fn fingerprint(
    config: &LanguageModelRunConfig,
    model: &LanguageModelModel,
    dictionary: &Dictionary,
    text: &RawText,
    development: &str,
) -> String {
    let mut hash = Sha256::new();
    // The debug form names every field and separates every item.
    hash.update(format!("{model:?} {:?}", config.data.shuffle));
    dictionary.iter().for_each(|item| hash.update(format!("{item:?}")));
    hash.update(text.fingerprint());
    hash.update(development);
    format!("{:x}", hash.finalize())
}

//! The translator at work: encoder and single steps of the decoder.

use glossator_hub::Bundle;
use glossator_nn::{
    Device, Keep, Memory, PackedAttention, PackedLinear, PackedRnn, Precision, RnnInput, RnnState,
    Weights, embed, tanh,
};

use super::{
    BridgeKind, KIND, TiedKind, TranslatorConfig, TranslatorModel,
    subwords::{Subwords, TOKENIZER},
};
use crate::{Compute, Error, Result, find::find, stored};

/// Values of the decoder's input side for all subwords, up to which it is
/// computed once at loading.
const MAX_TABLE: usize = 1 << 24;

/// A trained translator: immutable, and shared by threads as it is.
///
/// The same sentence has the same translations and scores, bit for bit, whatever
/// it is batched with and however many threads run.
pub struct Translator {
    name: String,
    model: TranslatorModel,
    pub(super) subwords: Subwords,
    /// Vectors of subwords, `[subwords, embedding_dim]`.
    source: Vec<f32>,
    /// Those of the decoder; none if they are the same.
    target: Option<Vec<f32>>,
    encoder: PackedRnn,
    bridge: Option<PackedLinear>,
    attention: PackedAttention,
    decoder: PackedRnn,
    /// Whether the decoder reads ids, its input side being a table.
    reads_ids: bool,
    upper: Option<PackedRnn>,
    readout: PackedLinear,
    output: PackedLinear,
}

/// What the encoder made of some sentences.
pub(super) struct Encoded {
    pub(super) memory: Memory,
    pub(super) state: DecoderState,
}

/// State of the decoder for some rows.
#[derive(Clone)]
pub(super) struct DecoderState {
    below: RnnState,
    above: Option<RnnState>,
    /// What the step before put out, `[rows, embedding_dim]`; empty unless it is
    /// read.
    fed: Vec<f32>,
}

impl std::fmt::Debug for Translator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Translator").field("name", &self.name).field("model", &self.model).finish()
    }
}

impl Translator {
    /// Loads a model by name: one of the cache, or a folder.
    ///
    /// # Errors
    /// If there is none of that name, or it is damaged or of another kind.
    pub fn load(name: &str) -> Result<Self> {
        Self::load_in(name, None)
    }

    /// As [`Translator::load`], to be computed in a number format, on the
    /// processor. Scores of hypotheses are summed in `f64` in any.
    ///
    /// # Errors
    /// As [`Translator::load`], and if a GPU is to compute.
    pub fn load_in(name: &str, compute: impl Into<Compute>) -> Result<Self> {
        Self::from_bundle(&find(name)?, compute)
    }

    /// Loads a model from an archive (`tar` of its folder) in memory.
    ///
    /// # Errors
    /// If the archive or the model is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bundle(&Bundle::from_bytes(bytes)?, None)
    }

    /// Loads a model from its files, to be computed as [`Translator::load_in`]
    /// says.
    ///
    /// # Errors
    /// If a file is missing or damaged, or the weights do not fit the configuration.
    pub fn from_bundle(bundle: &Bundle, compute: impl Into<Compute>) -> Result<Self> {
        let compute = compute.into();
        expect_processor(&compute.device)?;
        let model: TranslatorModel = bundle.config(KIND)?;
        let problem = model.translator.problem().or_else(|| model.subwords.problem());
        if let Some((key, problem)) = problem {
            return Err(bundle.damaged("config.json", format!("{key} {problem}")).into());
        }
        let subwords = Subwords::from_bytes(&bundle.read(TOKENIZER)?)
            .map_err(|problem| bundle.damaged(TOKENIZER, problem))?;
        let precision = compute.precision(model.compute.unwrap_or(model.precision));
        let weights = stored::weights(bundle, |_| true)?;
        Self::from_weights(bundle.name(), model, subwords, weights, precision)
            .map_err(|source| Error::of_weights(bundle.name(), source))
    }

    /// A translator of weights in memory.
    pub(crate) fn from_weights(
        name: &str,
        model: TranslatorModel,
        subwords: Subwords,
        mut weights: Weights,
        precision: Precision,
    ) -> glossator_nn::Result<Self> {
        let config = &model.translator;
        let (dim, items) = (config.embedding_dim, subwords.len());
        let weights = &mut weights;
        let table = |weights: &mut Weights, name: &str| {
            weights.take(&format!("{name}.weight"), &[items, dim])
        };
        let (source, target) = match config.tied {
            TiedKind::All => (table(weights, "embedding")?, None),
            _ => (table(weights, "source")?, Some(table(weights, "target")?)),
        };
        let read = target.as_ref().unwrap_or(&source);
        let bias = weights.take("output.bias", &[items])?;
        let output = match config.tied {
            TiedKind::None => PackedLinear::of(&table(weights, "output")?, bias, dim, precision),
            _ => PackedLinear::of(read, bias, dim, precision),
        };
        let encoder = PackedRnn::new(weights, "encoder", config.encoder(), precision)?;
        let shape = config.decoder();
        let gates = config.cell.cell().spec().gates;
        let size = items.saturating_mul(gates).saturating_mul(config.hidden_dim);
        let reads_ids = !config.input_feeding && size <= MAX_TABLE;
        let decoder = match reads_ids {
            true => PackedRnn::of_table(weights, "decoder", shape, precision, read)?,
            false => PackedRnn::new(weights, "decoder", shape, precision)?,
        };
        let upper = config.upper();
        let upper = upper.map(|shape| PackedRnn::new(weights, "upper", shape, precision));
        let upper = upper.transpose()?;
        let mut linear = |name, from, to| PackedLinear::new(weights, name, from, to, precision);
        let has_bridge = config.bridge != BridgeKind::Zero;
        let bridge =
            has_bridge.then(|| linear("bridge", config.context_dim(), config.bridge_dim()));
        let bridge = bridge.transpose()?;
        let readout = linear("readout", config.readout_dim(), dim)?;
        let attention = PackedAttention::new(weights, "attention", config.attention(), precision)?;
        std::mem::take(weights).finish()?;
        Ok(Self {
            name: name.to_owned(),
            subwords,
            source,
            target,
            encoder,
            bridge,
            attention,
            decoder,
            reads_ids,
            upper,
            readout,
            output,
            model,
        })
    }

    /// Name or path it was loaded from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Architecture and settings of its training.
    pub fn config(&self) -> &TranslatorConfig {
        &self.model.translator
    }

    /// Number of its subwords.
    pub fn n_subwords(&self) -> usize {
        self.subwords.len()
    }

    /// An error about the numbers of this model.
    pub(super) fn failed(&self, source: glossator_nn::Error) -> Error {
        Error::Model { model: self.name.clone(), source }
    }

    /// Reads source sentences, of ids one behind the other.
    pub(super) fn encode(&self, ids: &[u32], lengths: &[usize]) -> glossator_nn::Result<Encoded> {
        let config = self.config();
        let rows = embed(&self.source, config.embedding_dim, ids);
        let mut state = self.encoder.first_state(lengths.len())?;
        let states =
            self.encoder.read(RnnInput::Rows(&rows), lengths, Some(&mut state), Keep::Tokens)?;
        let of = match config.bridge {
            BridgeKind::Last => self.encoder.last_hidden(&state),
            BridgeKind::Mean => means(&states, lengths, config.context_dim()),
            BridgeKind::Zero => Vec::new(),
        };
        let state = self.first_state(&of, lengths.len())?;
        Ok(Encoded { memory: self.attention.memory(states, lengths), state })
    }

    /// First state of the decoder, of what the bridge reads.
    fn first_state(&self, of: &[f32], sentences: usize) -> glossator_nn::Result<DecoderState> {
        let config = self.config();
        let fed = if config.input_feeding { sentences * config.embedding_dim } else { 0 };
        let fed = vec![0.0; fed];
        let Some(bridge) = &self.bridge else {
            let above = self.upper.as_ref().map(|upper| upper.first_state(sentences));
            let below = self.decoder.first_state(sentences)?;
            return Ok(DecoderState { below, above: above.transpose()?, fed });
        };
        let mut rows = bridge.apply(of, sentences);
        tanh(&mut rows);
        let (width, below) = (config.bridge_dim(), config.bridge_dim_below());
        let columns = |from: usize, to: usize| -> Vec<f32> {
            rows.chunks_exact(width).flat_map(|row| &row[from..to]).copied().collect()
        };
        let above = self.upper.as_ref().map(|upper| upper.state_of(&columns(below, width)));
        Ok(DecoderState { below: self.decoder.state_of(&columns(0, below)), above, fed })
    }

    /// One step of the decoder: reads a subword for each row, of the sentence of
    /// that row. Returns what stands before the output layer, `[rows,
    /// embedding_dim]`, and the weights of the attention, row after row.
    pub(super) fn step(
        &self,
        ids: &[u32],
        sentences: &[usize],
        memory: &Memory,
        state: &mut DecoderState,
    ) -> glossator_nn::Result<(Vec<f32>, Vec<f32>)> {
        let (config, rows) = (self.config(), ids.len());
        let dim = config.embedding_dim;
        let table = self.target.as_ref().unwrap_or(&self.source);
        let (ones, read) = (vec![1; rows], embed(table, dim, ids));
        let joined;
        let input = match (self.reads_ids, config.input_feeding) {
            (true, _) => RnnInput::Ids(ids),
            (false, false) => RnnInput::Rows(&read),
            (false, true) => {
                joined = side_by_side(&[(&read, dim), (&state.fed, dim)]);
                RnnInput::Rows(&joined)
            }
        };
        let below = self.decoder.read(input, &ones, Some(&mut state.below), Keep::Tokens)?;
        let (context, weights) = self.attention.attend(&below, sentences, memory);
        let (hidden, width) = (config.hidden_dim, config.context_dim());
        let above = match (&self.upper, &mut state.above) {
            (Some(upper), Some(state)) => {
                let input = side_by_side(&[(&below, hidden), (&context, width)]);
                let input = RnnInput::Rows(&input);
                let mut above = upper.read(input, &ones, Some(state), Keep::Tokens)?;
                above.iter_mut().zip(&below).for_each(|(above, below)| *above += below);
                above
            }
            _ => below,
        };
        let all = side_by_side(&[(&above, hidden), (&context, width), (&read, dim)]);
        let mut out = self.readout.apply(&all, rows);
        tanh(&mut out);
        if config.input_feeding {
            state.fed.clone_from(&out);
        }
        Ok((out, weights))
    }

    /// Scores of all subwords, `[rows, subwords]`, of what [`step`](Self::step)
    /// gave.
    pub(super) fn scores(&self, rows: &[f32]) -> Vec<f32> {
        self.output.apply(rows, rows.len() / self.config().embedding_dim)
    }

    /// The state of chosen rows.
    pub(super) fn select(&self, state: &DecoderState, rows: &[usize]) -> DecoderState {
        let dim = self.config().embedding_dim;
        let above = self.upper.as_ref().zip(state.above.as_ref());
        let fed = rows.iter().flat_map(|row| state.fed.get(row * dim..(row + 1) * dim));
        DecoderState {
            below: self.decoder.select(&state.below, rows),
            above: above.map(|(upper, state)| upper.select(state, rows)),
            fed: fed.flatten().copied().collect(),
        }
    }
}

/// Checks that no GPU is asked for: translations are made on the processor.
///
/// # Errors
/// If one is.
fn expect_processor(device: &Device) -> glossator_nn::Result<()> {
    match device.number() {
        None => Ok(()),
        Some(number) => {
            let problem =
                "translators translate on the processor only, and train on both".to_owned();
            Err(glossator_nn::Error::Device { number, problem })
        }
    }
}

/// Matrices with as many rows as one, given with their columns.
fn side_by_side(matrices: &[(&[f32], usize)]) -> Vec<f32> {
    let rows = matrices.first().map_or(0, |(values, dim)| values.len() / dim);
    let mut out = Vec::with_capacity(matrices.iter().map(|(values, _)| values.len()).sum());
    for row in 0..rows {
        for (values, dim) in matrices {
            out.extend_from_slice(&values[row * dim..(row + 1) * dim]);
        }
    }
    out
}

/// Means of the rows of each sentence, summed as in training.
fn means(rows: &[f32], lengths: &[usize], dim: usize) -> Vec<f32> {
    let mut rest = rows;
    let mean = |&length: &usize| {
        let (own, others) = rest.split_at(length * dim);
        rest = others;
        let mut mean = vec![0.0; dim];
        for row in own.chunks_exact(dim) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x * (1.0 / length as f32));
        }
        mean
    };
    lengths.iter().flat_map(mean).collect()
}

//! The encoder-decoder as a graph.

use candle_core::{Tensor, Var};
use glossator_nn::{
    Attention, Embedding, Linear, ParamSet, Precision, RecurrentInput, Result, Rng, Rnn, RnnOutput,
    dropout, ops,
};

use crate::translator::{
    BridgeKind, TiedKind, TranslatorConfig,
    subwords::{BEGIN, END},
};

/// Standard deviation of the first vectors of subwords.
const SPREAD: f32 = 0.1;

/// A translator in training.
pub(in crate::translator) struct Network {
    config: TranslatorConfig,
    precision: Precision,
    source: Embedding,
    target: Embedding,
    /// Weight and bias of the output layer.
    output: (Tensor, Var),
    encoder: Rnn,
    bridge: Option<Linear>,
    attention: Attention,
    decoder: Rnn,
    upper: Option<Rnn>,
    readout: Linear,
}

/// Pairs of sentences as ids, one sentence behind the other.
#[derive(Default)]
pub(in crate::translator) struct PairBatch {
    source: Vec<u32>,
    source_lengths: Vec<usize>,
    /// What the decoder reads: a beginning and the subwords.
    target: Vec<u32>,
    /// What it is to write: the subwords and an end.
    gold: Vec<u32>,
    target_lengths: Vec<usize>,
}

impl PairBatch {
    /// Adds a pair.
    pub(in crate::translator) fn push(&mut self, source: &[u32], target: &[u32]) {
        self.source.extend(source.iter().chain([&END]));
        self.source_lengths.push(source.len() + 1);
        self.target.extend([BEGIN].iter().chain(target));
        self.gold.extend(target.iter().chain([&END]));
        self.target_lengths.push(target.len() + 1);
    }

    /// Subwords to be written, ends included.
    pub(in crate::translator) fn targets(&self) -> usize {
        self.gold.len()
    }
}

/// What the encoder made of the source sentences.
struct Encoded {
    /// `[source subwords, context_dim]`
    states: Tensor,
    /// What the decoder's states are compared with.
    keys: Tensor,
    /// First states of the decoder's layers below and above the attention.
    first: [Vec<Tensor>; 2],
}

impl Network {
    /// Makes the parameters for so many subwords.
    pub(in crate::translator) fn new(
        params: &mut ParamSet,
        config: &TranslatorConfig,
        subwords: usize,
        precision: Precision,
        rng: &mut Rng,
    ) -> Result<Self> {
        let dim = config.embedding_dim;
        let table = |params: &mut ParamSet, name: &str, rng: &mut Rng| {
            let values = (0..subwords * dim).map(|_| SPREAD * rng.normal()).collect();
            Embedding::new(params, name, values, dim)
        };
        let (source, target) = match config.tied {
            TiedKind::All => {
                let table = table(params, "embedding", rng)?;
                (table.clone(), table)
            }
            _ => (table(params, "source", rng)?, table(params, "target", rng)?),
        };
        let weight = match config.tied {
            TiedKind::None => table(params, "output", rng)?.table().clone(),
            _ => target.table().clone(),
        };
        let bias = params.add("output.bias", vec![0.0; subwords], subwords)?;
        let first = config.first_values();
        let rnn = |params: &mut ParamSet, name: &str, shape, rng: &mut Rng| {
            Ok::<_, glossator_nn::Error>(
                Rnn::new(params, name, shape, first, rng)?.in_precision(precision),
            )
        };
        let encoder = rnn(params, "encoder", config.encoder(), rng)?;
        let decoder = rnn(params, "decoder", config.decoder(), rng)?;
        let upper = config.upper().map(|shape| rnn(params, "upper", shape, rng)).transpose()?;
        let mut linear = |name: &str, from, to| {
            let layer = Linear::new(params, name, from, to, rng)?;
            Ok::<_, glossator_nn::Error>(layer.in_precision(precision))
        };
        let has_bridge = config.bridge != BridgeKind::Zero;
        let bridge = has_bridge
            .then(|| linear("bridge", config.context_dim(), config.bridge_dim()))
            .transpose()?;
        let readout = linear("readout", config.readout_dim(), dim)?;
        let attention = Attention::new(params, "attention", config.attention(), rng)?;
        Ok(Self {
            config: config.clone(),
            precision,
            source,
            target,
            output: (weight, bias),
            encoder,
            bridge,
            attention: attention.in_precision(precision),
            decoder,
            upper,
            readout,
        })
    }

    /// Loss of a batch, in nats, smoothed, summed over its targets.
    pub(in crate::translator) fn loss(&self, batch: &PairBatch, rng: &mut Rng) -> Result<Tensor> {
        let encoded = self.encode(batch, rng)?;
        let lengths = &batch.target_lengths;
        let read = self.embedded(&self.target, &batch.target, lengths, rng)?;
        let (outputs, gold) = match self.config.input_feeding {
            true => self.decode_by_step(batch, &encoded, &read, rng)?,
            false => (self.decode(batch, &encoded, &read, rng)?, batch.gold.clone()),
        };
        let outputs = match self.config.input_feeding {
            true => dropout::plain(&outputs, self.config.output_dropout, rng)?,
            false => dropout::locked(&outputs, lengths, self.config.output_dropout, rng)?,
        };
        let (weight, bias) = &self.output;
        let smoothing = self.config.label_smoothing;
        Ok(ops::output_loss(&outputs, weight, bias, gold, smoothing, self.precision)?)
    }

    /// How much of a gradient is left over time and layers of the encoder (see
    /// [`Rnn::gradient_flow`]).
    pub(in crate::translator) fn gradient_flow(
        &self,
        sources: &[Vec<u32>],
    ) -> Result<Vec<Vec<f64>>> {
        let lengths: Vec<usize> = sources.iter().map(Vec::len).collect();
        self.encoder.gradient_flow(&self.source.forward(&sources.concat())?, &lengths)
    }

    /// Vectors of subwords, some of whose features and some of which are zeroed.
    fn embedded(
        &self,
        table: &Embedding,
        ids: &[u32],
        lengths: &[usize],
        rng: &mut Rng,
    ) -> Result<Tensor> {
        let rows = dropout::word(&table.forward(ids)?, self.config.word_dropout, rng)?;
        dropout::locked(&rows, lengths, self.config.dropout, rng)
    }

    fn encode(&self, batch: &PairBatch, rng: &mut Rng) -> Result<Encoded> {
        let (lengths, p) = (&batch.source_lengths, self.config.dropout);
        let rows = self.embedded(&self.source, &batch.source, lengths, rng)?;
        let RnnOutput { hidden, last, .. } = self.encoder.forward(&rows, lengths, p, rng)?;
        let states = dropout::locked(&hidden, lengths, p, rng)?;
        let keys = self.attention.keys(&states)?;
        let of = match self.config.bridge {
            BridgeKind::Mean => Some(means(&hidden, lengths)?),
            BridgeKind::Last => Some(last),
            BridgeKind::Zero => None,
        };
        let first = match (&self.bridge, of) {
            (Some(bridge), Some(of)) => {
                let rows = ops::tanh(&bridge.forward(&of)?)?;
                let below = self.config.bridge_dim_below();
                let above = rows.dim(1)? - below;
                let upper = self
                    .upper
                    .as_ref()
                    .map(|upper| upper.state_of(&rows.narrow(1, below, above)?.contiguous()?));
                let below = self.decoder.state_of(&rows.narrow(1, 0, below)?.contiguous()?)?;
                [below, upper.transpose()?.unwrap_or_default()]
            }
            _ => {
                let upper = self.upper.as_ref().map(|upper| upper.first_states(lengths.len()));
                [self.decoder.first_states(lengths.len())?, upper.transpose()?.unwrap_or_default()]
            }
        };
        Ok(Encoded { states, keys, first })
    }

    /// What stands before the output layer, `[targets, embedding_dim]`: all
    /// positions at once.
    fn decode(
        &self,
        batch: &PairBatch,
        encoded: &Encoded,
        read: &Tensor,
        rng: &mut Rng,
    ) -> Result<Tensor> {
        let lengths = &batch.target_lengths;
        let (p, input) = (self.config.dropout, RecurrentInput::Rows(read));
        let below = self.decoder.forward_from(input, lengths, &encoded.first[0], p, rng)?.hidden;
        let below = dropout::locked(&below, lengths, p, rng)?;
        let context = self.attention.forward(
            &below,
            &encoded.keys,
            &encoded.states,
            lengths,
            &batch.source_lengths,
        )?;
        let (state, _) = self.above(&below, &context, lengths, &encoded.first[1], rng)?;
        self.read_out(&state, &context, read)
    }

    /// The layers above the attention: what they compute is added to what they
    /// read of the decoder. Also their last states.
    fn above(
        &self,
        below: &Tensor,
        context: &Tensor,
        lengths: &[usize],
        first: &[Tensor],
        rng: &mut Rng,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let Some(upper) = &self.upper else { return Ok((below.clone(), Vec::new())) };
        let rows = Tensor::cat(&[below, context], 1)?;
        let input = RecurrentInput::Rows(&rows);
        let read = upper.forward_from(input, lengths, first, self.config.dropout, rng)?;
        Ok(((read.hidden + below)?, read.states))
    }

    fn read_out(&self, state: &Tensor, context: &Tensor, read: &Tensor) -> Result<Tensor> {
        let all = Tensor::cat(&[state, context, read], 1)?;
        Ok(ops::tanh(&self.readout.forward(&all)?)?)
    }

    /// The same step by step, for each reads what the one before put out. The
    /// rows come in another order: with their gold subwords.
    fn decode_by_step(
        &self,
        batch: &PairBatch,
        encoded: &Encoded,
        read: &Tensor,
        rng: &mut Rng,
    ) -> Result<(Tensor, Vec<u32>)> {
        let lengths = &batch.target_lengths;
        // Longest first: those that go on are always the first ones.
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&sentence| std::cmp::Reverse(lengths[sentence]));
        let (keys, source_lengths) = reordered(&encoded.keys, &batch.source_lengths, &order)?;
        let (states, _) = reordered(&encoded.states, &batch.source_lengths, &order)?;
        let firsts = firsts(lengths);
        let chosen: Vec<u32> = order.iter().map(|&sentence| sentence as u32).collect();
        let chosen = Tensor::new(chosen, read.device())?;
        let first = |states: &[Tensor]| -> Result<Vec<Tensor>> {
            let chosen = states.iter().map(|state| state.index_select(&chosen, 1));
            Ok(chosen.collect::<candle_core::Result<_>>()?)
        };
        let (mut below, mut above) = (first(&encoded.first[0])?, first(&encoded.first[1])?);
        let dim = self.config.embedding_dim;
        let mut fed = Tensor::zeros((order.len(), dim), read.dtype(), read.device())?;
        let (mut outputs, mut gold) = (Vec::new(), Vec::new());
        for step in 0..order.first().map_or(0, |&longest| lengths[longest]) {
            let going = order.iter().take_while(|&&sentence| lengths[sentence] > step);
            let rows: Vec<u32> = going.map(|&sentence| (firsts[sentence] + step) as u32).collect();
            let n = rows.len();
            gold.extend(rows.iter().map(|&row| batch.gold[row as usize]));
            let ones = vec![1; n];
            let go_on = |states: &[Tensor]| -> Result<Vec<Tensor>> {
                let states = states.iter().map(|state| state.narrow(1, 0, n)?.contiguous());
                Ok(states.collect::<candle_core::Result<_>>()?)
            };
            let now = ops::select_rows(read, &rows)?;
            let input = Tensor::cat(&[&now, &fed.narrow(0, 0, n)?], 1)?;
            let (p, input) = (self.config.dropout, RecurrentInput::Rows(&input));
            let own = self.decoder.forward_from(input, &ones, &go_on(&below)?, p, rng)?;
            below = own.states;
            let source: usize = source_lengths[..n].iter().sum();
            let context = self.attention.forward(
                &own.hidden,
                &keys.narrow(0, 0, source)?,
                &states.narrow(0, 0, source)?,
                &ones,
                &source_lengths[..n],
            )?;
            let state;
            (state, above) = self.above(&own.hidden, &context, &ones, &go_on(&above)?, rng)?;
            fed = self.read_out(&state, &context, &now)?;
            outputs.push(fed.clone());
        }
        Ok((Tensor::cat(&outputs, 0)?, gold))
    }
}

/// First row of each sequence.
fn firsts(lengths: &[usize]) -> Vec<usize> {
    let first = |sum: &mut usize, len: &usize| Some(std::mem::replace(sum, *sum + len));
    lengths.iter().scan(0, first).collect()
}

/// Sequences of rows in another order, with their lengths.
fn reordered(rows: &Tensor, lengths: &[usize], order: &[usize]) -> Result<(Tensor, Vec<usize>)> {
    let firsts = firsts(lengths);
    let places = order.iter().flat_map(|&sequence| {
        (firsts[sequence]..firsts[sequence] + lengths[sequence]).map(|row| row as u32)
    });
    let rows = ops::select_rows(rows, &places.collect::<Vec<u32>>())?;
    Ok((rows, order.iter().map(|&sequence| lengths[sequence]).collect()))
}

/// Means of the rows of each sequence: contexts of equal weights.
fn means(rows: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let weights: Vec<f32> =
        lengths.iter().flat_map(|&len| std::iter::repeat_n(1.0 / len as f32, len)).collect();
    let n = weights.len();
    let weights = Tensor::from_vec(weights, n, rows.device())?;
    Ok(ops::attention_context(&weights, rows, &vec![1; lengths.len()], lengths)?)
}

//! Recurrent layers as a graph.

use std::sync::Arc;

use candle_core::{DType, Tensor, Var};
use glossator_kernels::{
    Schedule,
    cells::CellKind,
    gemm::Precision,
    op::{self, RecurrentInput},
};

use super::{
    Connection, RnnShape, TakenLayer, group_name, highway_name, norm_name, state_name, tensors,
};
use crate::{Linear, ParamSet, Result, Rng, Weights, dropout, init};

/// Places in the weights of a direction.
const WEIGHT_HH: usize = 1;
const BIAS_IH: usize = 2;
/// First bias of the gate of a highway: at first it lets its input go on.
const SHUT: f32 = -1.0;

/// A stack of recurrent layers as a graph: trained, or at work on a GPU.
#[derive(Clone, Debug)]
pub struct Rnn {
    shape: RnnShape,
    precision: Precision,
    layers: Vec<Layer>,
}

/// A layer of the stack.
#[derive(Clone, Debug)]
struct Layer {
    /// Weights of each direction, as [`op::recurrent`] takes them.
    weights: Vec<Tensor>,
    /// Trained first states of each direction, `[states, hidden_dim]`; none if
    /// they are zeros.
    states: Vec<Tensor>,
    /// The gate of the highway around it.
    highway: Option<Linear>,
    /// Scale and shift of the normalisation behind it.
    norm: Option<(Tensor, Tensor)>,
}

/// First values of a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RnnInit {
    /// Orthogonal recurrent weights, gate by gate (Saxe et al., 2014), not
    /// uniform ones; of rectified units the identity, with biases of zero (Le et
    /// al., 2015), for a rotation sends half of what they remember below zero.
    pub orthogonal: bool,
    /// Added to the bias of the gate that keeps the state, so that it is open at
    /// first (Gers et al., 2000; Jozefowicz et al., 2015).
    pub forget_bias: f32,
}

/// What [`Rnn::forward`] computes.
#[derive(Clone, Debug)]
pub struct RnnOutput {
    /// Output of the last layer, `[tokens, output_dim]`: its hidden states and
    /// what the connection adds to them.
    pub hidden: Tensor,
    /// Final hidden states of the last layer, `[sequences, output_dim]`: that of
    /// the forward direction after the last token, of the backward one after
    /// the first.
    pub last: Tensor,
    /// Last states of each direction of each layer, `[states, sequences,
    /// hidden_dim]`: what the next part of the same sequences begins with.
    pub states: Vec<Tensor>,
}

impl Rnn {
    /// Makes the parameters of the stack, named as PyTorch names them under
    /// `prefix`, uniform within `1 / sqrt(hidden_dim)` unless `first` says
    /// otherwise.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(
        params: &mut ParamSet,
        prefix: &str,
        shape: RnnShape,
        first: RnnInit,
        rng: &mut Rng,
    ) -> Result<Self> {
        let bound = 1.0 / (shape.hidden_dim as f32).sqrt();
        let spec = shape.cell.cell().spec();
        let (dim, width) = (shape.hidden_dim, shape.output_dim());
        let is_identity = first.orthogonal && shape.cell == CellKind::ElmanRelu;
        let mut layers = Vec::new();
        for layer in 0..shape.n_layers {
            let (mut weights, mut states) = (Vec::new(), Vec::new());
            for &direction in shape.directions() {
                let group = tensors(prefix, &shape, layer, direction).into_iter();
                let group = group.enumerate().map(|(part, (name, dims))| {
                    let len = dims.iter().product();
                    let values = match part {
                        WEIGHT_HH if is_identity => init::identity(dim),
                        BIAS_IH.. if is_identity => vec![0.0; len],
                        WEIGHT_HH if first.orthogonal => {
                            (0..spec.gates).flat_map(|_| init::orthogonal(rng, dim)).collect()
                        }
                        _ => init::uniform(rng, len, bound),
                    };
                    (name, dims, values)
                });
                let mut group: Vec<_> = group.collect();
                if let Some((gate, is_open)) = spec.remember {
                    let by = if is_open { first.forget_bias } else { -first.forget_bias };
                    group[BIAS_IH].2[gate * dim..(gate + 1) * dim]
                        .iter_mut()
                        .for_each(|b| *b += by);
                }
                let name = group_name(prefix, layer, direction);
                weights.push(params.add_group(&name, group)?.into_inner());
                if shape.learned_state {
                    let zeros = vec![0.0; spec.states * dim];
                    let name = state_name(prefix, layer, direction);
                    states.push(params.add(&name, zeros, (spec.states, dim))?.into_inner());
                }
            }
            let is_highway = layer > 0 && shape.between.connection == Connection::Highway;
            let highway = is_highway.then(|| {
                let values = init::xavier(rng, width, width);
                let name = highway_name(prefix, layer);
                Linear::with_weight(params, &name, values, width, SHUT)
            });
            let is_normed = layer + 1 < shape.n_layers && shape.between.layer_norm;
            let norm = is_normed.then(|| -> Result<_> {
                let name = norm_name(prefix, layer);
                let scale = params.add(&format!("{name}.weight"), vec![1.0; width], width)?;
                let shift = params.add(&format!("{name}.bias"), vec![0.0; width], width)?;
                Ok((scale.into_inner(), shift.into_inner()))
            });
            let (highway, norm) = (highway.transpose()?, norm.transpose()?);
            layers.push(Layer { weights, states, highway, norm });
        }
        Ok(Self { shape, precision: Precision::F32, layers })
    }

    /// Takes the weights of a stack that is trained no more, to the device that
    /// they are for.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn from_weights(
        stored: &mut Weights,
        prefix: &str,
        shape: RnnShape,
        precision: Precision,
    ) -> Result<Self> {
        let device = stored.device().clone();
        let layers = (0..shape.n_layers).map(|layer| {
            let taken = TakenLayer::take(stored, prefix, &shape, layer)?;
            let states = (shape.cell.cell().spec().states, shape.hidden_dim);
            let weights = taken.directions.into_iter().map(|parts| {
                let flat = parts.concat();
                Tensor::from_slice(&flat, flat.len(), device.candle())
            });
            let states = taken
                .states
                .into_iter()
                .map(|values| Tensor::from_vec(values, states, device.candle()));
            let width = shape.output_dim();
            let highway = taken
                .highway
                .map(|name| Linear::from_weights(stored, &name, width, width, precision));
            let row = |values| Tensor::from_vec(values, width, device.candle());
            let norm =
                taken.norm.map(|(scale, shift)| Ok::<_, crate::Error>((row(scale)?, row(shift)?)));
            Ok(Layer {
                weights: weights.collect::<candle_core::Result<_>>()?,
                states: states.collect::<candle_core::Result<_>>()?,
                highway: highway.transpose()?,
                norm: norm.transpose()?,
            })
        });
        Ok(Self { shape, precision, layers: layers.collect::<Result<_>>()? })
    }

    /// What it looks like.
    pub fn shape(&self) -> &RnnShape {
        &self.shape
    }

    /// The same with its products in a number format; weights, states and
    /// gradients stay `f32`.
    #[must_use]
    pub fn in_precision(self, precision: Precision) -> Self {
        let layers = self.layers.into_iter().map(|layer| {
            let highway = layer.highway.map(|gate| gate.in_precision(precision));
            Layer { highway, ..layer }
        });
        Self { shape: self.shape, precision, layers: layers.collect() }
    }

    /// Reads unpadded sequences from the first state.
    ///
    /// `x`: `[tokens, input_dim]`; `lengths`: tokens of each sequence; between
    /// layers a share `p` of the features is dropped, locked a sequence.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(
        &self,
        x: &Tensor,
        lengths: &[usize],
        p: f32,
        rng: &mut Rng,
    ) -> Result<RnnOutput> {
        self.forward_from(
            RecurrentInput::Rows(x),
            lengths,
            &self.first_states(lengths.len())?,
            p,
            rng,
        )
    }

    /// The first states of so many sequences, trained ones or zeros, as
    /// [`forward_from`](Self::forward_from) takes them.
    ///
    /// # Errors
    /// If Candle cannot make a tensor.
    pub fn first_states(&self, sequences: usize) -> Result<Vec<Tensor>> {
        let states = self.shape.cell.cell().spec().states;
        let shape = (states, sequences, self.shape.hidden_dim);
        if self.shape.learned_state {
            let all = self.layers.iter().flat_map(|layer| &layer.states);
            let all = all.map(|state| state.unsqueeze(1)?.broadcast_as(shape)?.contiguous());
            return Ok(all.collect::<candle_core::Result<_>>()?);
        }
        let all = self.layers.iter().flat_map(|layer| &layer.weights);
        let zeros = all.map(|weights| Tensor::zeros(shape, DType::F32, weights.device()));
        Ok(zeros.collect::<candle_core::Result<_>>()?)
    }

    /// States of given values, `[sequences, layers · states · hidden_dim]`: of
    /// each layer in order, of one that reads forward only.
    ///
    /// # Errors
    /// If the shape does not fit.
    pub fn state_of(&self, rows: &Tensor) -> Result<Vec<Tensor>> {
        let (states, dim) = (self.shape.cell.cell().spec().states, self.shape.hidden_dim);
        let all = rows.reshape(((), self.layers.len(), states, dim))?;
        let layer = |layer| all.narrow(1, layer, 1)?.squeeze(1)?.transpose(0, 1)?.contiguous();
        Ok((0..self.layers.len()).map(layer).collect::<candle_core::Result<_>>()?)
    }

    /// As [`forward`](Self::forward), of rows or of a table and the ids of its
    /// rows, from given states: for each direction of each layer `[states,
    /// sequences, hidden_dim]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_from(
        &self,
        input: RecurrentInput<'_>,
        lengths: &[usize],
        states: &[Tensor],
        p: f32,
        rng: &mut Rng,
    ) -> Result<RnnOutput> {
        let n_directions = self.shape.directions().len();
        if states.len() != self.layers.len() * n_directions {
            let error = candle_core::Error::msg("a state for each direction of each layer");
            return Err(error.into());
        }
        let (RecurrentInput::Rows(x) | RecurrentInput::Table { table: x, .. }) = input;
        let mut output = RnnOutput { hidden: x.clone(), last: x.clone(), states: Vec::new() };
        for number in 0..self.layers.len() {
            let states = &states[number * n_directions..(number + 1) * n_directions];
            let read = match number {
                0 => self.layer(number, input, lengths, states)?,
                _ => {
                    let dropped = dropout::locked(&output.hidden, lengths, p, rng)?;
                    self.layer(number, RecurrentInput::Rows(&dropped), lengths, states)?
                }
            };
            (output.hidden, output.last) = (read.hidden, read.last);
            output.states.extend(read.states);
        }
        Ok(output)
    }

    /// One layer over sequences, and what stands behind it.
    fn layer(
        &self,
        number: usize,
        input: RecurrentInput<'_>,
        lengths: &[usize],
        states: &[Tensor],
    ) -> Result<RnnOutput> {
        let (shape, layer) = (&self.shape, &self.layers[number]);
        let (mut hidden, mut last, mut all) = (Vec::new(), Vec::new(), Vec::new());
        let directions = layer.weights.iter().zip(shape.directions()).zip(states);
        for ((weights, &direction), initial) in directions {
            let schedule = Arc::new(Schedule::new(lengths, lengths.len(), direction));
            let scanned =
                op::recurrent(shape.cell, &schedule, input, weights, initial, self.precision)?;
            hidden.push(scanned.hidden);
            last.push(scanned.last.get(0)?);
            all.push(scanned.last);
        }
        let new = Tensor::cat(&hidden, 1)?;
        let connected = match (input, shape.between.connection, &layer.highway) {
            (RecurrentInput::Rows(old), Connection::Residual, _) if number > 0 => (new + old)?,
            (RecurrentInput::Rows(old), _, Some(gate)) => {
                op::highway(&new, old, &gate.forward(old)?)?
            }
            _ => new,
        };
        let hidden = match &layer.norm {
            Some((scale, shift)) => op::layer_norm(&connected, scale, shift)?,
            None => connected,
        };
        Ok(RnnOutput { hidden, last: Tensor::cat(&last, 1)?, states: all })
    }

    /// How much of the gradient of the last output is left at each distance from
    /// it: whether it vanishes or explodes (Bengio et al., 1994).
    ///
    /// `x`: `[tokens, input_dim]`, read from the first states without dropout.
    /// For each layer, from the first on, the Euclidean norm of the gradient of
    /// the sum of the last layer's output after the last token with respect to
    /// what that layer reads 0, 1, … tokens before it; the mean over the
    /// sequences that are so long. It is the forward direction that this looks
    /// at: what a backward one reads of the last token is 0 tokens away.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn gradient_flow(&self, x: &Tensor, lengths: &[usize]) -> Result<Vec<Vec<f64>>> {
        let states = self.first_states(lengths.len())?;
        let n_directions = self.shape.directions().len();
        let states = |layer: usize| &states[layer * n_directions..(layer + 1) * n_directions];
        let ends = lengths.iter().scan(0_u32, |end, &len| {
            *end += len as u32;
            Some((len, *end))
        });
        let ends: Vec<(usize, u32)> = ends.filter(|(len, _)| *len > 0).collect();
        let last: Vec<u32> = ends.iter().map(|(_, end)| end - 1).collect();
        let last = Tensor::from_vec(last, ends.len(), x.device())?;
        let mut flows = Vec::new();
        let mut read = x.detach();
        for first in 0..self.layers.len() {
            let input = Var::from_tensor(&read)?;
            let mut hidden = input.as_tensor().clone();
            for layer in first..self.layers.len() {
                let rows = RecurrentInput::Rows(&hidden);
                hidden = self.layer(layer, rows, lengths, states(layer))?.hidden;
                if layer == first {
                    read = hidden.detach();
                }
            }
            let gradients = hidden.index_select(&last, 0)?.sum_all()?.backward()?;
            let norms = match gradients.get(&input) {
                Some(gradient) => gradient.sqr()?.sum(1)?.sqrt()?.to_vec1::<f32>()?,
                None => return Err(candle_core::Error::msg("no gradient").into()),
            };
            let longest = ends.iter().map(|(len, _)| *len).max().unwrap_or(0);
            let mut sums = vec![(0.0, 0.0); longest];
            for &(len, end) in &ends {
                let backward = norms[end as usize - len..end as usize].iter().rev();
                for ((sum, count), norm) in sums.iter_mut().zip(backward) {
                    *sum += f64::from(*norm);
                    *count += 1.0;
                }
            }
            flows.push(sums.into_iter().map(|(sum, count)| sum / count).collect());
        }
        Ok(flows)
    }
}

//! Recurrent layers as a graph.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use glossator_kernels::{
    Schedule,
    gemm::Precision,
    op::{self, RecurrentInput},
};

use super::{RnnShape, group_name, tensors};
use crate::{ParamSet, Result, Rng, dropout, init};

/// A stack of recurrent layers, trained.
#[derive(Clone, Debug)]
pub struct Rnn {
    shape: RnnShape,
    precision: Precision,
    /// Weights of each direction of each layer, as [`op::recurrent`] takes them.
    layers: Vec<Vec<Var>>,
}

/// What [`Rnn::forward`] computes.
#[derive(Clone, Debug)]
pub struct RnnOutput {
    /// Hidden states of the last layer, `[tokens, output_dim]`.
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
    /// `prefix`, uniform within `1 / sqrt(hidden_dim)`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(
        params: &mut ParamSet,
        prefix: &str,
        shape: RnnShape,
        rng: &mut Rng,
    ) -> Result<Self> {
        let bound = 1.0 / (shape.hidden_dim as f32).sqrt();
        let mut layers = Vec::new();
        for layer in 0..shape.n_layers {
            let mut directions = Vec::new();
            for &direction in shape.directions() {
                let group = tensors(prefix, &shape, layer, direction).into_iter();
                let group = group.map(|(name, dims)| {
                    let values = init::uniform(rng, dims.iter().product(), bound);
                    (name, dims, values)
                });
                let name = group_name(prefix, layer, direction);
                directions.push(params.add_group(&name, group.collect())?);
            }
            layers.push(directions);
        }
        Ok(Self { shape, precision: Precision::F32, layers })
    }

    /// The same with its products in a number format; weights, states and
    /// gradients stay `f32`.
    #[must_use]
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Reads unpadded sequences from a zero state.
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
            &self.zero_states(lengths.len())?,
            p,
            rng,
        )
    }

    /// The zero states of so many sequences, as
    /// [`forward_from`](Self::forward_from) takes them.
    ///
    /// # Errors
    /// If Candle cannot make a tensor.
    pub fn zero_states(&self, sequences: usize) -> Result<Vec<Tensor>> {
        let states = self.shape.cell.cell().spec().states;
        let shape = (states, sequences, self.shape.hidden_dim);
        let zeros = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
        Ok(vec![zeros; self.shape.n_layers * self.shape.directions().len()])
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
        let shape = &self.shape;
        let mut states = states.iter();
        let (RecurrentInput::Rows(x) | RecurrentInput::Table { table: x, .. }) = input;
        let mut output = RnnOutput { hidden: x.clone(), last: x.clone(), states: Vec::new() };
        for (layer, directions) in self.layers.iter().enumerate() {
            let dropped = match layer {
                0 => output.hidden.clone(),
                _ => dropout::locked(&output.hidden, lengths, p, rng)?,
            };
            let input = if layer == 0 { input } else { RecurrentInput::Rows(&dropped) };
            let (mut hidden, mut last) = (Vec::new(), Vec::new());
            for (weights, &direction) in directions.iter().zip(shape.directions()) {
                let Some(initial) = states.next() else {
                    let error = candle_core::Error::msg("a state for each direction of each layer");
                    return Err(error.into());
                };
                let schedule = Arc::new(Schedule::new(lengths, lengths.len(), direction));
                let scanned =
                    op::recurrent(shape.cell, &schedule, input, weights, initial, self.precision)?;
                hidden.push(scanned.hidden);
                last.push(scanned.last.get(0)?);
                output.states.push(scanned.last);
            }
            output.hidden = Tensor::cat(&hidden, 1)?;
            output.last = Tensor::cat(&last, 1)?;
        }
        Ok(output)
    }
}

//! A recurrent layer over a whole batch of sequences as one operation.

use std::sync::{Arc, Mutex};

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor};

use super::{copied, foreign, lock, reading, take, values};
use crate::{
    Isa, Schedule,
    cells::{
        Batch, CellKind, Features, Gradients, Pass, Precision, Saved, Scanned, Upstream, Weights,
    },
};

/// The weights travel as one flat tensor, for an operation may have three
/// arguments at most: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`. Its
/// result are the hidden states; the last states are a second operation.
struct Recurrent {
    kind: CellKind,
    schedule: Arc<Schedule>,
    input_dim: usize,
    hidden_dim: usize,
    precision: Precision,
    /// Rows of the input that the tokens pick; without them each has its own.
    ids: Option<Vec<u32>>,
    saved: Mutex<Option<Saved>>,
    last: Arc<LastStates>,
}

/// Last states on their way to [`Last`], and their gradient on its way back;
/// empty if there is none.
#[derive(Default)]
struct LastStates {
    values: Mutex<Vec<f32>>,
    gradient: Mutex<Vec<f32>>,
}

impl Recurrent {
    fn weights<'a>(&self, flat: &'a [f32]) -> Result<Weights<'a>> {
        let spec = self.kind.cell().spec();
        Weights::from_flat(flat, spec, self.input_dim, self.hidden_dim).map_err(foreign)
    }

    fn features<'a>(&'a self, matrix: &'a [f32]) -> Features<'a> {
        match &self.ids {
            Some(ids) => Features::Table { table: matrix, ids },
            None => Features::Rows(matrix),
        }
    }

    /// The gradient of the last states; zeros if they were not used.
    fn last_gradient(&self) -> Vec<f32> {
        let states = self.kind.cell().spec().states * self.schedule.sequences();
        let mut gradient = std::mem::take(&mut *lock(&self.last.gradient));
        gradient.resize(states * self.hidden_dim, 0.0);
        gradient
    }
}

impl CustomOp3 for Recurrent {
    fn name(&self) -> &'static str {
        "glossator-recurrent"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
        initial: &CpuStorage,
        initial_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let cell = self.kind.cell();
        let weights = self.weights(values(weights, weights_layout, "weights")?)?;
        let packed = cell.pack(&weights, Isa::detect(), self.precision).map_err(foreign)?;
        let initial = values(initial, initial_layout, "initial state")?;
        let batch = Batch { schedule: &self.schedule, initial: Some(initial) };
        let features = self.features(values(x, x_layout, "input")?);
        let scanned = cell.forward(&packed, features, batch).map_err(foreign)?;
        let Scanned { hidden, last, saved } = scanned;
        *lock(&self.saved) = Some(saved);
        *lock(&self.last.values) = last;
        Ok((CpuStorage::F32(hidden), (self.schedule.tokens(), self.hidden_dim).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weights: &Tensor,
        initial: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let saved = take(&self.saved, "a recurrent layer")?;
        let x_is_trained = x.track_op();
        let (first, last) = (copied(initial)?, self.last_gradient());
        let batch = Batch { schedule: &self.schedule, initial: Some(&first) };
        let back = |weights: &[f32], x: &[f32], hidden: &[f32], grad: &[f32]| {
            let features = self.features(x);
            let pass = Pass { features, batch, hidden, is_constant: !x_is_trained };
            let upstream = Upstream { hidden: grad, last: &last };
            let weights = self.weights(weights)?;
            self.kind.cell().backward(&weights, pass, saved, upstream).map_err(foreign)
        };
        let gradients = reading(weights, |weights| {
            reading(x, |x| reading(res, |res| reading(grad, |grad| back(weights, x, res, grad))))
        })?;
        let Gradients { input, weights: flat, initial: first } = gradients;
        let device = x.device();
        let input = x_is_trained.then(|| Tensor::from_vec(input, x.shape(), device));
        Ok((
            input.transpose()?,
            Some(Tensor::from_vec(flat, weights.shape(), device)?),
            initial
                .track_op()
                .then(|| Tensor::from_vec(first, initial.shape(), device))
                .transpose()?,
        ))
    }
}

/// The last states of a scan, in the graph behind its hidden states.
struct Last {
    states: Arc<LastStates>,
    shape: Shape,
}

impl CustomOp1 for Last {
    fn name(&self) -> &'static str {
        "glossator-last-states"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = std::mem::take(&mut *lock(&self.states.values));
        Ok((CpuStorage::F32(values), self.shape.clone()))
    }

    fn bwd(&self, hidden: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        *lock(&self.states.gradient) = copied(grad)?;
        // The scan finds its part of the gradient there; this keeps it in the graph.
        Ok(Some(hidden.zeros_like()?))
    }
}

/// What a recurrent layer reads.
#[derive(Clone, Copy, Debug)]
pub enum RecurrentInput<'a> {
    /// `[tokens, input_dim]`, unpadded, sequence after sequence.
    Rows(&'a Tensor),
    /// Rows of a table, picked by an id a token.
    Table {
        /// `[items, input_dim]`
        table: &'a Tensor,
        /// `[tokens]`
        ids: &'a [u32],
    },
}

/// What [`recurrent`] computes.
#[derive(Clone, Debug)]
pub struct RecurrentOutput {
    /// Hidden state after every token, `[tokens, hidden_dim]`.
    pub hidden: Tensor,
    /// State after every sequence, `[states, sequences, hidden_dim]`.
    pub last: Tensor,
}

/// Runs a cell over the sequences of a schedule, as one node of the graph.
///
/// `weights`: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` in PyTorch's layout and the
/// peepholes, flattened and concatenated; `initial`: `[states, sequences, hidden_dim]`; `precision`: number format
/// of all products of
/// the recurrent and input weights, both ways; what goes in and comes out, and the
/// gradients, stay `f32`.
///
/// # Errors
/// If the shapes do not fit the schedule or each other.
pub fn recurrent(
    kind: CellKind,
    schedule: &Arc<Schedule>,
    input: RecurrentInput<'_>,
    weights: &Tensor,
    initial: &Tensor,
    precision: Precision,
) -> Result<RecurrentOutput> {
    let (matrix, ids) = match input {
        RecurrentInput::Rows(rows) => (rows, None),
        RecurrentInput::Table { table, ids } => (table, Some(ids.to_vec())),
    };
    let weights = weights.flatten_all()?.contiguous()?;
    let initial = initial.contiguous()?;
    #[cfg(feature = "cuda")]
    if matrix.device().is_cuda() {
        let rows = match &ids {
            Some(ids) => &super::select_rows(matrix, ids)?,
            None => matrix,
        };
        return super::cuda::recurrent(kind, schedule, rows, &weights, &initial, precision);
    }
    let last = Arc::<LastStates>::default();
    let op = Recurrent {
        kind,
        schedule: Arc::clone(schedule),
        input_dim: matrix.dim(1)?,
        hidden_dim: initial.dims3()?.2,
        precision,
        ids,
        saved: Mutex::new(None),
        last: Arc::clone(&last),
    };
    let hidden = matrix.contiguous()?.apply_op3(&weights, &initial, op)?;
    let last = hidden.apply_op1(Last { states: last, shape: initial.shape().clone() })?;
    Ok(RecurrentOutput { hidden, last })
}

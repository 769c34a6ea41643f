//! A recurrent layer over a whole batch of sequences as one operation.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{copied, foreign, values};
use crate::{
    Isa, Schedule,
    cells::{Batch, CellKind, Precision, Saved, Upstream, Weights},
};

/// The weights travel as one flat tensor, for an operation may have three
/// arguments at most: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`.
struct Recurrent {
    kind: CellKind,
    schedule: Arc<Schedule>,
    input_dim: usize,
    hidden_dim: usize,
    saved: Mutex<Option<Saved>>,
}

impl Recurrent {
    fn rows(&self) -> usize {
        self.kind.cell().spec().gates * self.hidden_dim
    }

    fn split<'a>(&self, flat: &'a [f32]) -> Result<Weights<'a>> {
        let rows = self.rows();
        let want = rows * (self.input_dim + self.hidden_dim + 2);
        if flat.len() != want {
            candle_core::bail!("recurrent weights: expected {want} values, found {}", flat.len());
        }
        let (weight_ih, rest) = flat.split_at(rows * self.input_dim);
        let (weight_hh, rest) = rest.split_at(rows * self.hidden_dim);
        let (bias_ih, bias_hh) = rest.split_at(rows);
        let (input_dim, hidden_dim) = (self.input_dim, self.hidden_dim);
        Ok(Weights { input_dim, hidden_dim, weight_ih, weight_hh, bias_ih, bias_hh })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Saved>> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
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
        let weights = self.split(values(weights, weights_layout, "weights")?)?;
        let packed = cell.pack(&weights, Isa::detect(), Precision::F32).map_err(foreign)?;
        let initial = values(initial, initial_layout, "initial state")?;
        let batch = Batch { schedule: &self.schedule, initial: Some(initial) };
        let saved = cell.forward(&packed, values(x, x_layout, "input")?, batch).map_err(foreign)?;
        let out = [saved.hidden.as_slice(), &saved.last].concat();
        *self.lock() = Some(saved);
        let shape = Shape::from(out.len());
        Ok((CpuStorage::F32(out), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weights: &Tensor,
        initial: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(saved) = self.lock().take() else {
            candle_core::bail!("a recurrent layer was back-propagated twice")
        };
        let (grad, flat, first) = (copied(grad)?, copied(weights)?, copied(initial)?);
        let (hidden, last) = grad.split_at(self.schedule.tokens() * self.hidden_dim);
        let batch = Batch { schedule: &self.schedule, initial: Some(&first) };
        let gradients = self
            .kind
            .cell()
            .backward(&self.split(&flat)?, &copied(x)?, batch, saved, Upstream { hidden, last })
            .map_err(foreign)?;
        let device = x.device();
        let flat = [
            gradients.weight_ih.as_slice(),
            &gradients.weight_hh,
            &gradients.bias,
            &gradients.bias,
        ]
        .concat();
        Ok((
            Some(Tensor::from_vec(gradients.input, x.shape(), device)?),
            Some(Tensor::from_vec(flat, weights.shape(), device)?),
            Some(Tensor::from_vec(gradients.initial, initial.shape(), device)?),
        ))
    }
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
/// `input`: `[tokens, input_dim]`, unpadded, sequence after sequence; `weights`:
/// `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` in PyTorch's layout, flattened
/// and concatenated; `initial`: `[states, sequences, hidden_dim]`.
///
/// # Errors
/// If the shapes do not fit the schedule or each other.
pub fn recurrent(
    kind: CellKind,
    schedule: &Arc<Schedule>,
    input: &Tensor,
    weights: &Tensor,
    initial: &Tensor,
) -> Result<RecurrentOutput> {
    let (tokens, input_dim) = input.dims2()?;
    let (states, sequences, hidden_dim) = initial.dims3()?;
    let op = Recurrent {
        kind,
        schedule: Arc::clone(schedule),
        input_dim,
        hidden_dim,
        saved: Mutex::new(None),
    };
    let out = input.contiguous()?.apply_op3(
        &weights.flatten_all()?.contiguous()?,
        &initial.contiguous()?,
        op,
    )?;
    Ok(RecurrentOutput {
        hidden: out.narrow(0, 0, tokens * hidden_dim)?.reshape((tokens, hidden_dim))?,
        last: out
            .narrow(0, tokens * hidden_dim, states * sequences * hidden_dim)?
            .reshape((states, sequences, hidden_dim))?,
    })
}

//! Operations on NVIDIA GPUs, by their own kernels.

use std::sync::{Arc, Mutex};

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail,
    cuda_backend::cudarc::driver::CudaSlice,
};

use super::{RecurrentOutput, lock, take};
use crate::{
    Schedule,
    cells::{CellKind, Precision},
    crf::Mask,
    cuda::{Cuda, crf, rows, scan},
};

/// A scan. The weights travel as one flat tensor; the result are the hidden
/// states and, behind them, the last states.
struct Recurrent {
    kind: CellKind,
    schedule: Arc<Schedule>,
    input_dim: usize,
    hidden_dim: usize,
    precision: Precision,
    /// Whether there will be a way back.
    keep: bool,
    kept: Mutex<Option<scan::Kept<CudaSlice<f32>>>>,
}

impl Recurrent {
    fn shape(&self) -> scan::Shape<'_> {
        let Self { kind, input_dim, hidden_dim, precision, .. } = *self;
        scan::Shape { kind, schedule: &self.schedule, input_dim, hidden_dim, precision }
    }

    fn check(&self, x: &Shape, weights: &Shape, initial: &Shape) -> Result<()> {
        let spec = self.kind.cell().spec();
        let wanted = [
            ("input", x, self.schedule.tokens() * self.input_dim),
            ("weights", weights, spec.weights(self.input_dim, self.hidden_dim)),
            ("initial state", initial, self.shape().states()),
        ];
        for (name, shape, want) in wanted {
            if shape.elem_count() != want {
                bail!("{name} of a recurrent layer: {shape:?} are not {want} values");
            }
        }
        Ok(())
    }
}

impl CustomOp3 for Recurrent {
    fn name(&self) -> &'static str {
        "glossator-recurrent"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("the scan of a GPU on the processor")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weights: &CudaStorage,
        weights_layout: &Layout,
        initial: &CudaStorage,
        initial_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.check(x_layout.shape(), weights_layout.shape(), initial_layout.shape())?;
        let cuda = Cuda::new(&x.device);
        let x = cuda.read(x, x_layout, "input")?;
        let weights = cuda.read(weights, weights_layout, "weights")?;
        let initial = cuda.read(initial, initial_layout, "initial state")?;
        let arguments = scan::Arguments {
            input: x.address(),
            weights: weights.address(),
            initial: initial.address(),
        };
        let shape = self.shape();
        // SAFETY: the sizes of the arguments were checked.
        let scanned = unsafe { scan::forward(&cuda, &shape, arguments, self.keep)? };
        let scan::Scanned { out, kept } = scanned;
        *lock(&self.kept) = kept;
        let len = self.schedule.tokens() * self.hidden_dim + shape.states();
        Ok((cuda.storage(out), len.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weights: &Tensor,
        initial: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let kept = take(&self.kept, "a recurrent layer")?;
        let cuda = Cuda::of(x)?;
        let (shape, wants_input) = (self.shape(), x.track_op());
        let hidden = self.schedule.tokens() * self.hidden_dim;
        let back = |input, weights, initial, grad| {
            let arguments = scan::Arguments { input, weights, initial };
            let last = grad + (size_of::<f32>() * hidden) as u64;
            let upstream = scan::Upstream { hidden: grad, last };
            // SAFETY: the arguments are those of the way there, and the gradient
            // has the size of its result.
            unsafe { scan::backward(&cuda, &shape, arguments, &kept, upstream, wants_input) }
        };
        let gradients = cuda.reading(x, |x| {
            cuda.reading(weights, |weights| {
                cuda.reading(initial, |initial| {
                    cuda.reading(grad, |grad| back(x, weights, initial, grad))
                })
            })
        })?;
        let scan::Gradients { input, weights: flat, initial: first } = gradients;
        Ok((
            input.map(|input| cuda.tensor(input, x.shape())),
            Some(cuda.tensor(flat, weights.shape())),
            initial.track_op().then(|| cuda.tensor(first, initial.shape())),
        ))
    }
}

/// As [`super::recurrent`], of rows.
pub(super) fn recurrent(
    kind: CellKind,
    schedule: &Arc<Schedule>,
    rows: &Tensor,
    weights: &Tensor,
    initial: &Tensor,
    precision: Precision,
) -> Result<RecurrentOutput> {
    if precision == Precision::Int8 {
        bail!("GPUs compute in f32 or bf16, not in int8");
    }
    let hidden_dim = initial.dims3()?.2;
    let op = Recurrent {
        kind,
        schedule: Arc::clone(schedule),
        input_dim: rows.dim(1)?,
        hidden_dim,
        precision,
        keep: rows.track_op() || weights.track_op() || initial.track_op(),
        kept: Mutex::new(None),
    };
    let flat = rows.contiguous()?.apply_op3(weights, initial, op)?;
    let tokens = schedule.tokens();
    let last = flat.narrow(0, tokens * hidden_dim, initial.elem_count())?;
    Ok(RecurrentOutput {
        hidden: flat.narrow(0, 0, tokens * hidden_dim)?.reshape((tokens, hidden_dim))?,
        last: last.reshape(initial.shape())?,
    })
}

/// The loss of a CRF; its gradients are computed with it.
struct CrfLoss {
    mask: Mask,
    lengths: Vec<usize>,
    gold: Vec<usize>,
    gradients: Mutex<Option<[CudaSlice<f32>; 2]>>,
}

impl CustomOp2 for CrfLoss {
    fn name(&self) -> &'static str {
        "glossator-crf-loss"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("the CRF of a GPU on the processor")
    }

    fn cuda_fwd(
        &self,
        emissions: &CudaStorage,
        emissions_layout: &Layout,
        transitions: &CudaStorage,
        transitions_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (n, tokens) = (self.mask.n_tags(), self.lengths.iter().sum::<usize>());
        let sizes = [emissions_layout, transitions_layout].map(|l| l.shape().elem_count());
        if sizes != [tokens * n, (n + 2) * n] {
            bail!("CRF of {tokens} tokens and {n} tags: {sizes:?} scores");
        }
        let cuda = Cuda::new(&emissions.device);
        let emissions = cuda.read(emissions, emissions_layout, "emissions")?;
        let transitions = cuda.read(transitions, transitions_layout, "transitions")?;
        let batch = crf::Batch { mask: &self.mask, lengths: &self.lengths, gold: &self.gold };
        // SAFETY: the sizes of the scores were checked.
        let loss = unsafe { crf::loss(&cuda, batch, emissions.address(), transitions.address())? };
        *lock(&self.gradients) = Some([loss.emissions, loss.transitions]);
        Ok((cuda.storage(loss.loss), ().into()))
    }

    fn bwd(
        &self,
        emissions: &Tensor,
        transitions: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [of_emissions, of_transitions] = take(&self.gradients, "a CRF loss")?;
        let cuda = Cuda::of(emissions)?;
        let of_emissions = cuda.tensor(of_emissions, emissions.shape());
        let of_transitions = cuda.tensor(of_transitions, transitions.shape());
        Ok((Some(of_emissions.broadcast_mul(grad)?), Some(of_transitions.broadcast_mul(grad)?)))
    }
}

/// As [`super::crf_loss`].
pub(super) fn crf_loss(
    emissions: &Tensor,
    transitions: &Tensor,
    mask: &Mask,
    lengths: &[usize],
    gold: &[usize],
) -> Result<Tensor> {
    let op = CrfLoss {
        mask: mask.clone(),
        lengths: lengths.to_vec(),
        gold: gold.to_vec(),
        gradients: Mutex::new(None),
    };
    emissions.contiguous()?.apply_op2(&transitions.contiguous()?, op)
}

/// Rows picked from a table.
struct Rows {
    ids: Vec<u32>,
}

impl CustomOp1 for Rows {
    fn name(&self) -> &'static str {
        "glossator-rows"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("the rows of a GPU on the processor")
    }

    fn cuda_fwd(&self, table: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let cuda = Cuda::new(&table.device);
        let dims = layout.dims();
        let columns = dims[1..].iter().product();
        let table = cuda.read(table, layout, "table")?;
        // SAFETY: the ids were checked against the rows.
        let out = unsafe { rows::pick(&cuda, table.address(), &self.ids, columns)? };
        let shape = [&[self.ids.len()], &dims[1..]].concat();
        Ok((cuda.storage(out), shape.into()))
    }

    fn bwd(&self, table: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let cuda = Cuda::of(table)?;
        let (rows, columns) = (table.dim(0)?, table.dims()[1..].iter().product());
        let sums = cuda.reading(grad, |grad| {
            // SAFETY: the gradient is shaped as the result.
            unsafe { rows::sum(&cuda, grad, &self.ids, rows, columns) }
        })?;
        Ok(Some(cuda.tensor(sums, table.shape())))
    }
}

/// As [`super::select_rows`], of rows that are there.
pub(super) fn select_rows(table: &Tensor, ids: &[u32]) -> Result<Tensor> {
    table.contiguous()?.apply_op1(Rows { ids: ids.to_vec() })
}

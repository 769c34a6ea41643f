//! Back-propagation through time.

use rayon::prelude::*;

use super::STATES;
use crate::{
    Result,
    activation::tanh,
    buffer::{Buffer, Shared, apart},
    cells::{
        Batch, Features, Gradients, Pass, Saved, SavedLayout, Upstream, Weights, WeightsMut,
        layout::Order, parts::Parts,
    },
    error::{expect_len, size},
    gemm::{Init, Packed, Rows, product, product_on},
    simd::{Kernel, Simd, TILE_VECTORS},
};

/// Gradients of everything a batch was computed from.
pub(super) fn backward(
    weights: &Weights<'_>,
    pass: Pass<'_>,
    mut saved: Saved,
    upstream: Upstream<'_>,
) -> Result<Gradients> {
    let Pass { features, batch, hidden, is_constant } = pass;
    let (schedule, dim) = (batch.schedule, weights.hidden_dim);
    let tokens = schedule.tokens();
    let state_len = size(STATES * schedule.sequences(), dim);
    weights.check()?;
    batch.check(dim, STATES)?;
    saved.kept.check(dim, tokens)?;
    expect_len("saved hidden states", hidden.len(), size(tokens, dim))?;
    let rows = features.check(tokens, weights.input_dim)?;
    expect_len("gradient of the hidden states", upstream.hidden.len(), size(tokens, dim))?;
    expect_len("gradient of the last states", upstream.last.len(), state_len)?;

    let initial = through_time(weights, batch, &mut saved.kept, upstream);
    let SavedLayout { order, gates, .. } = &saved.kept;
    let mut gradients = vec![0.0; weights.len()];
    let WeightsMut { weight_ih, weight_hh, bias_ih, bias_hh } = weights.split(&mut gradients);
    recurrent(batch, hidden, *order, gates, weight_hh);
    let gates = features.by_row(gates, rows, order.gates());
    input_side(features, rows, weights.input_dim, *order, &gates, weight_ih);
    biases(rows, *order, &gates, bias_ih);
    bias_hh.copy_from_slice(bias_ih);
    let input = if is_constant { Vec::new() } else { inputs(weights, rows, *order, &gates) };
    Ok(Gradients { input, weights: gradients, initial })
}

/// Gradient of the recurrent weights: the products of each token's gates with
/// the hidden state before it.
fn recurrent(batch: Batch<'_>, hidden: &[f32], order: Order, gates: &[f32], gradient: &mut [f32]) {
    let (dim, rows) = (order.hidden_dim, batch.schedule.tokens());
    let before = hidden_before(batch, hidden, dim);
    let left = |token: usize| before[token];
    order.outer(rows, left, dim, gates).sum(|column| order.row(column), gradient);
}

/// Gradient of the input weights.
fn input_side(
    features: Features<'_>,
    rows: usize,
    width: usize,
    order: Order,
    gates: &[f32],
    gradient: &mut [f32],
) {
    let matrix = features.matrix();
    let left = |row: usize| Some(&matrix[row * width..(row + 1) * width]);
    order.outer(rows, left, width, gates).sum(|column| order.row(column), gradient);
}

/// Gradient of the biases: a table of one row that every token picks.
fn biases(rows: usize, order: Order, gates: &[f32], gradient: &mut [f32]) {
    let ids = vec![0; rows];
    let sums = Features::Table { table: &[], ids: &ids }.by_row(gates, 1, order.gates());
    for (column, &sum) in sums.iter().enumerate() {
        if let Some(row) = order.row(column) {
            gradient[row] = sum;
        }
    }
}

/// Gradient of the rows of the input.
fn inputs(weights: &Weights<'_>, rows: usize, order: Order, gates: &[f32]) -> Vec<f32> {
    let dim = weights.input_dim;
    let back = order.pack_rows(weights.weight_ih, dim);
    let mut gradient = vec![0.0; rows * dim];
    product(Rows::Major(gates), rows, &back, Init::Zero, &mut gradient);
    gradient
}

/// The hidden state before each token; `None` is zeros.
fn hidden_before<'a>(batch: Batch<'a>, hidden: &'a [f32], dim: usize) -> Vec<Option<&'a [f32]>> {
    let mut before = vec![None; batch.schedule.tokens()];
    let mut now: Vec<Option<&[f32]>> = vec![None; batch.schedule.lanes()];
    for step in (0..batch.schedule.n_steps()).map(|step| batch.schedule.step(step)) {
        for &(lane, s) in step.starts {
            now[lane as usize] = batch.initial(0, s as usize, dim);
        }
        for (now, &token) in now.iter_mut().zip(step.tokens) {
            before[token as usize] = now.replace(&hidden[token as usize * dim..][..dim]);
        }
    }
    before
}

/// Turns the saved gates into gradients of the pre-activations, last step
/// first; returns the gradient of the initial states.
fn through_time(
    weights: &Weights<'_>,
    batch: Batch<'_>,
    kept: &mut SavedLayout,
    upstream: Upstream<'_>,
) -> Vec<f32> {
    let order = kept.order;
    let dim = order.hidden_dim;
    let mut initial = vec![0.0; STATES * batch.schedule.sequences() * dim];
    let back = order.pack_rows(weights.weight_hh, dim);
    let parts = Parts::of(batch.schedule, weights.weight_hh.len());
    let way = WayBack {
        back: &back,
        order,
        upstream,
        gates: Shared(kept.gates.as_mut_ptr()),
        cells: &kept.cells,
        initial: Shared(initial.as_mut_ptr()),
        threads: parts.threads,
    };
    parts.schedules.par_iter().for_each(|schedule| way.run(Batch { schedule, ..batch }));
    initial
}

/// Back-propagation through the steps of a batch.
struct WayBack<'a> {
    /// Recurrent weights, `[gates, hidden_dim]`, the gates in packed order.
    back: &'a Packed,
    order: Order,
    upstream: Upstream<'a>,
    /// In: activated gates of every token; out: gradients of the pre-activations.
    gates: Shared,
    cells: &'a [f32],
    /// Out: gradient of the initial states.
    initial: Shared,
    /// Threads for one step.
    threads: usize,
}

impl WayBack<'_> {
    fn run(&self, batch: Batch<'_>) {
        let (schedule, dim, units) = (batch.schedule, self.order.hidden_dim, self.order.units());
        let row = |n: usize, s: u32| (n * schedule.sequences() + s as usize) * dim;
        let last = |n: usize, s: u32| &self.upstream.last[row(n, s)..][..dim];
        // SAFETY: each sequence has its own rows, and one lane of one part.
        let first = |n: usize, s: u32| unsafe { self.initial.slice(row(n, s), dim) };
        for &s in schedule.empty() {
            (0..STATES).for_each(|n| first(n, s as u32).copy_from_slice(last(n, s as u32)));
        }
        let mut hidden = vec![0.0; schedule.lanes() * dim];
        let mut cells = Buffer::zeros(schedule.lanes() * units);
        let stride = apart(self.order.gates());
        let mut gates = Buffer::zeros(schedule.lanes() * stride);
        for number in (0..schedule.n_steps()).rev() {
            let step = schedule.step(number);
            for &(lane, s) in step.ends {
                hidden[lane as usize * dim..][..dim].copy_from_slice(last(0, s));
                cells[lane as usize * units..][..dim].copy_from_slice(last(1, s));
            }
            self.lanes(batch, number, &hidden, &mut cells, &mut gates);
            let busy = step.tokens.len();
            let rows = Rows::Apart(&gates, stride);
            let out = &mut hidden[..busy * dim];
            product_on(self.threads, rows, busy, self.back, Init::Zero, out);
            for &(lane, s) in step.starts {
                first(0, s).copy_from_slice(&hidden[lane as usize * dim..][..dim]);
                first(1, s).copy_from_slice(&cells[lane as usize * units..][..dim]);
            }
        }
    }

    /// One step back of all busy lanes, before the product.
    fn lanes(
        &self,
        batch: Batch<'_>,
        number: usize,
        hidden: &[f32],
        cells: &mut [f32],
        gates: &mut [f32],
    ) {
        let (dim, units, width) = (self.order.hidden_dim, self.order.units(), self.order.gates());
        let previous = previous_cells(batch, self.cells, number, dim, units);
        let lane = |(lane, cells, gates): (usize, &mut [f32], &mut [f32])| {
            let token = batch.schedule.step(number).tokens[lane] as usize;
            self.back.isa().run(BackLane {
                // SAFETY: every lane has its own token, whose row lies in the buffer.
                saved: unsafe { self.gates.slice(token * width, width) },
                gates,
                cell: &self.cells[token * units..(token + 1) * units],
                previous: previous[lane],
                upstream: &self.upstream.hidden[token * dim..(token + 1) * dim],
                hidden: &hidden[lane * dim..(lane + 1) * dim],
                cells,
            });
        };
        let rows = cells.chunks_exact_mut(units).zip(gates.chunks_exact_mut(apart(width)));
        let work: Vec<_> = rows
            .take(previous.len())
            .enumerate()
            .map(|(lane, (cells, gates))| (lane, cells, gates))
            .collect();
        if self.threads > 1 {
            let least = work.len().div_ceil(4 * self.threads);
            work.into_par_iter().with_min_len(least).for_each(lane);
        } else {
            work.into_iter().for_each(lane);
        }
    }
}

/// Cell state before a step, of each busy lane; empty means zeros.
fn previous_cells<'a>(
    batch: Batch<'a>,
    cells: &'a [f32],
    step: usize,
    dim: usize,
    units: usize,
) -> Vec<&'a [f32]> {
    let now = batch.schedule.step(step);
    let mut previous: Vec<&[f32]> = if step == 0 {
        vec![&[]; now.tokens.len()]
    } else {
        let before = batch.schedule.step(step - 1).tokens;
        let cell = |&token: &u32| &cells[token as usize * units..][..dim];
        before[..now.tokens.len()].iter().map(cell).collect()
    };
    for &(lane, s) in now.starts {
        previous[lane as usize] = batch.initial(1, s as usize, dim).unwrap_or(&[]);
    }
    previous
}

/// One step back of one lane, unit by unit.
struct BackLane<'a> {
    /// In: activated gates; out: gradients of the pre-activations. Packed order.
    saved: &'a mut [f32],
    /// Out: the same gradients.
    gates: &'a mut [f32],
    /// c_t
    cell: &'a [f32],
    /// c_{t-1}; empty means zeros.
    previous: &'a [f32],
    /// Gradient of h_t from outside the recurrence.
    upstream: &'a [f32],
    /// Gradient of h_t from the next step.
    hidden: &'a [f32],
    /// In: gradient of c_t; out: of c_{t-1}.
    cells: &'a mut [f32],
}

impl Kernel for BackLane<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let width = TILE_VECTORS * S::LANES;
        let rows = self.saved.chunks_exact_mut(width).zip(self.gates.chunks_exact_mut(width));
        for (block, (saved, gates)) in rows.enumerate() {
            let first = block * S::LANES;
            // SAFETY: the features are promised by the caller; whole blocks lie
            // in the padded buffers, the others are read through `part`.
            unsafe {
                let one = S::splat(1.0);
                let gate = |n: usize| S::load(saved.as_ptr().add(n * S::LANES));
                let [i, f, g, o] = [gate(0), gate(1), gate(2), gate(3)];
                let t = tanh::<S>(S::load(self.cell.as_ptr().add(first)));
                let dh =
                    S::fma(one, part::<S>(self.upstream, first), part::<S>(self.hidden, first));
                let keep = |x: S::V| S::sub(one, S::mul(x, x));
                let slope = |x: S::V| S::mul(x, S::sub(one, x));
                let dc = S::fma(S::mul(dh, o), keep(t), S::load(self.cells.as_ptr().add(first)));
                let di = S::mul(S::mul(dc, g), slope(i));
                let df = S::mul(S::mul(dc, part::<S>(self.previous, first)), slope(f));
                let dg = S::mul(S::mul(dc, i), keep(g));
                let dout = S::mul(S::mul(dh, t), slope(o));
                for (n, d) in [di, df, dg, dout].into_iter().enumerate() {
                    S::store(saved.as_mut_ptr().add(n * S::LANES), d);
                    S::store(gates.as_mut_ptr().add(n * S::LANES), d);
                }
                S::store(self.cells.as_mut_ptr().add(first), S::mul(dc, f));
            }
        }
    }
}

/// A vector from `first` on; lanes past the end are zero.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
unsafe fn part<S: Simd>(values: &[f32], first: usize) -> S::V {
    // SAFETY: a whole vector lies in the slice, or in the array.
    unsafe {
        if first + S::LANES <= values.len() {
            return S::load(values.as_ptr().add(first));
        }
        let mut lanes = [0.0; 16];
        let rest = values.get(first..).unwrap_or(&[]);
        lanes[..rest.len()].copy_from_slice(rest);
        S::load(lanes.as_ptr())
    }
}

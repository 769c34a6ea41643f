//! Long short-term memory (Hochreiter and Schmidhuber, 1997) with forget gates
//! (Gers et al., 2000).
//!
//! ```text
//! a = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh        pre-activations, [4 * hidden]
//! i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o)      g = tanh(a_g)
//! c_t = f * c_{t-1} + i * g                        h_t = o * tanh(c_t)
//! ```
//!
//! Gate order in stored weights: i, f, g, o, as in PyTorch.

use rayon::prelude::*;

use super::{
    Batch, Cell, CellWeights, Gradients, Input, Precision, Saved, SavedLayout, Sink, Spec,
    Upstream, Weights, layout::Order,
};
use crate::{
    Isa, Result, Step,
    activation::{sigmoid, tanh},
    buffer::{Buffer, Shared},
    error::expect_len,
    gemm::{Init, Packed, Rows, Sums, Tile, for_tiles, product, tile},
    simd::{Kernel, Simd, TILE_VECTORS},
};

/// Multiplications of a step under which it stays on one thread.
const PARALLEL: usize = 1 << 20;
const STATES: usize = 2;

/// Kernels of the LSTM.
#[derive(Clone, Copy, Debug)]
pub struct Lstm;

impl Cell for Lstm {
    fn spec(&self) -> Spec {
        Spec { name: "lstm", gates: TILE_VECTORS, states: STATES }
    }

    fn pack(&self, weights: &Weights<'_>, isa: Isa, precision: Precision) -> Result<CellWeights> {
        match precision {
            Precision::F32 => CellWeights::new(weights, isa),
        }
    }

    fn infer(
        &self,
        weights: &CellWeights,
        input: Input<'_>,
        batch: Batch<'_>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        input.check(batch.schedule.tokens(), weights.gate_dim())?;
        batch.check(weights.hidden_dim(), STATES)?;
        Scan { weights, input, batch, kept: None }.run(sink);
        Ok(())
    }

    fn forward(&self, weights: &CellWeights, input: &[f32], batch: Batch<'_>) -> Result<Saved> {
        let (tokens, dim) = (batch.schedule.tokens(), weights.hidden_dim());
        batch.check(dim, STATES)?;
        let gates = weights.project(input, tokens)?;
        let mut kept = SavedLayout::new(weights.order(), tokens);
        let places =
            Kept { gates: Shared(kept.gates.as_mut_ptr()), cells: Shared(kept.cells.as_mut_ptr()) };
        let mut all = All::new(tokens, batch.schedule.sequences(), dim);
        Scan { weights, input: Input::Rows(&gates), batch, kept: Some(places) }.run(&mut all);
        Ok(Saved { hidden: all.hidden, last: all.last, kept })
    }

    fn backward(
        &self,
        weights: &Weights<'_>,
        input: &[f32],
        batch: Batch<'_>,
        saved: Saved,
        upstream: Upstream<'_>,
    ) -> Result<Gradients> {
        backward(weights, input, batch, saved, upstream)
    }
}

/// A sink that keeps everything.
struct All {
    hidden: Vec<f32>,
    last: Vec<f32>,
    dim: usize,
}

impl All {
    fn new(tokens: usize, sequences: usize, dim: usize) -> Self {
        Self { hidden: vec![0.0; tokens * dim], last: vec![0.0; STATES * sequences * dim], dim }
    }
}

impl Sink for All {
    fn token(&mut self, token: usize, hidden: &[f32]) {
        self.hidden[token * self.dim..(token + 1) * self.dim].copy_from_slice(hidden);
    }

    fn end(&mut self, sequence: usize, state: &[&[f32]]) {
        let sequences = self.last.len() / (STATES * self.dim).max(1);
        for (n, state) in state.iter().enumerate() {
            let row = n * sequences + sequence;
            self.last[row * self.dim..(row + 1) * self.dim].copy_from_slice(state);
        }
    }
}

/// Where a training scan leaves its activations.
#[derive(Clone, Copy)]
struct Kept {
    gates: Shared,
    cells: Shared,
}

/// One scan over a batch.
struct Scan<'a> {
    weights: &'a CellWeights,
    input: Input<'a>,
    batch: Batch<'a>,
    kept: Option<Kept>,
}

impl Scan<'_> {
    fn run(&self, sink: &mut dyn Sink) {
        let (schedule, order) = (self.batch.schedule, self.weights.order());
        let (units, dim) = (order.units(), order.hidden_dim);
        let mut now = Buffer::zeros(schedule.lanes() * units);
        let mut next = Buffer::zeros(schedule.lanes() * units);
        let mut cells = Buffer::zeros(schedule.lanes() * units);
        let zeros = vec![0.0; dim];
        for &s in schedule.empty() {
            let state = |n| self.batch.initial(n, s, dim).unwrap_or(&zeros);
            sink.end(s, &[state(0), state(1)]);
        }
        for step in (0..schedule.len()).map(|step| schedule.step(step)) {
            for &(lane, s) in step.starts {
                for (n, state) in [&mut now, &mut cells].into_iter().enumerate() {
                    let first = self.batch.initial(n, s as usize, dim).unwrap_or(&zeros);
                    state[lane as usize * units..][..dim].copy_from_slice(first);
                }
            }
            self.step(step, &now, Shared(next.as_mut_ptr()), Shared(cells.as_mut_ptr()));
            for (lane, &token) in step.tokens.iter().enumerate() {
                sink.token(token as usize, &next[lane * units..][..dim]);
            }
            for &(lane, s) in step.ends {
                let at = lane as usize * units;
                sink.end(s as usize, &[&next[at..at + dim], &cells[at..at + dim]]);
            }
            std::mem::swap(&mut now, &mut next);
        }
    }

    fn step(&self, step: Step<'_>, now: &[f32], next: Shared, cells: Shared) {
        let packed = &self.weights.recurrent;
        let work = |panels: (usize, usize)| {
            packed.isa().run(Panels { scan: self, tokens: step.tokens, now, next, cells, panels });
        };
        let threads = rayon::current_num_threads();
        if threads == 1 || step.tokens.len() * packed.n() * packed.k() < PARALLEL {
            return work((0, packed.panels()));
        }
        let chunks = packed.panels().min(threads);
        (0..chunks).into_par_iter().with_max_len(1).for_each(|chunk| {
            let at = |chunk: usize| chunk * packed.panels() / chunks;
            work((at(chunk), at(chunk + 1)));
        });
    }
}

/// One step of some panels of units.
struct Panels<'a> {
    scan: &'a Scan<'a>,
    tokens: &'a [u32],
    now: &'a [f32],
    next: Shared,
    cells: Shared,
    panels: (usize, usize),
}

impl Kernel for Panels<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for panel in self.panels.0..self.panels.1 {
            let mut units = Units { step: &self, panel };
            // SAFETY: the features are promised by the caller.
            unsafe { for_tiles::<S, _>(self.tokens.len(), &mut units) };
        }
    }
}

/// One step of one panel of units.
struct Units<'a, 'b> {
    step: &'b Panels<'a>,
    panel: usize,
}

impl<S: Simd> Tile<S> for Units<'_, '_> {
    #[inline(always)]
    unsafe fn rows<const R: usize>(&mut self, first: usize, index: usize, of: usize) {
        let Panels { scan, tokens, now, next, cells, panels } = *self.step;
        let packed = &scan.weights.recurrent;
        let (gates, width) = (packed.n(), TILE_VECTORS * S::LANES);
        let units = gates / TILE_VECTORS;
        // SAFETY: rows, tokens and units lie in their buffers, as `Schedule` and
        // `Input::check` ensure; no other panel has these units; the features
        // are promised by the caller.
        unsafe {
            let token: [usize; R] = std::array::from_fn(|r| tokens[first + r] as usize);
            let mut sums: Sums<S, R> = [[S::splat(0.0); TILE_VECTORS]; R];
            for r in 0..R {
                let row = scan.input.row(token[r], gates).add(self.panel * width);
                for (v, sum) in sums[r].iter_mut().enumerate() {
                    *sum = S::load(row.add(v * S::LANES));
                }
            }
            let panel = packed.panel(self.panel, 0);
            // Each tile of this panel fetches its part of the next one.
            let ahead = if self.panel + 1 < panels.1 {
                panel.as_ptr().wrapping_add(panel.len() + index * (panel.len() / of))
            } else {
                std::ptr::null()
            };
            let a = std::array::from_fn(|r| now.as_ptr().add((first + r) * units));
            tile::<S, R>(packed.k(), a, panel.as_ptr(), ahead, &mut sums);
            for r in 0..R {
                let unit = self.panel * S::LANES;
                let at = (first + r) * units + unit;
                let [i, f, g, o] = sums[r];
                let (i, f) = (sigmoid::<S>(i), sigmoid::<S>(f));
                let (g, o) = (tanh::<S>(g), sigmoid::<S>(o));
                let c = S::fma(f, S::load(cells.at(at)), S::mul(i, g));
                S::store(cells.at(at), c);
                S::store(next.at(at), S::mul(o, tanh::<S>(c)));
                if let Some(kept) = scan.kept {
                    let row = kept.gates.at(token[r] * gates + self.panel * width);
                    for (v, gate) in [i, f, g, o].into_iter().enumerate() {
                        S::store(row.add(v * S::LANES), gate);
                    }
                    S::store(kept.cells.at(token[r] * units + unit), c);
                }
            }
        }
    }
}

fn backward(
    weights: &Weights<'_>,
    input: &[f32],
    batch: Batch<'_>,
    mut saved: Saved,
    upstream: Upstream<'_>,
) -> Result<Gradients> {
    let (schedule, dim, input_dim) = (batch.schedule, weights.hidden_dim, weights.input_dim);
    let tokens = schedule.tokens();
    let state_len = STATES * schedule.sequences() * dim;
    batch.check(dim, STATES)?;
    expect_len("input", input.len(), tokens * input_dim)?;
    expect_len("gradient of the hidden states", upstream.hidden.len(), tokens * dim)?;
    expect_len("gradient of the last states", upstream.last.len(), state_len)?;
    let isa = Isa::detect();
    let order = Order { hidden_dim: dim, lanes: isa.lanes() };

    let initial = through_time(weights, order, batch, &mut saved.kept, upstream);
    // One product over all tokens gives every weight's gradient:
    // da^T · [h_{t-1}, x_t, 1].
    let columns = dim + input_dim + 1;
    let right = inputs(batch, &saved.hidden, input, dim, input_dim);
    let right = Packed::new(isa, &right, tokens, columns);
    let mut packed = vec![0.0; order.gates() * columns];
    product(Rows::Transposed(&saved.kept.gates), order.gates(), &right, Init::Zero, &mut packed);
    drop(right);
    let rows = TILE_VECTORS * dim;
    let mut gradients = Gradients {
        input: vec![0.0; tokens * input_dim],
        weight_ih: vec![0.0; rows * input_dim],
        weight_hh: vec![0.0; rows * dim],
        bias: vec![0.0; rows],
        initial,
    };
    for (column, from) in packed.chunks_exact(columns).enumerate() {
        let Some(row) = order.row(column) else { continue };
        let (hidden, rest) = from.split_at(dim);
        gradients.weight_hh[row * dim..(row + 1) * dim].copy_from_slice(hidden);
        gradients.weight_ih[row * input_dim..(row + 1) * input_dim]
            .copy_from_slice(&rest[..input_dim]);
        gradients.bias[row] = rest[input_dim];
    }
    let back = order.pack_rows(weights.weight_ih, input_dim);
    let back = Packed::new(isa, &back, order.gates(), input_dim);
    product(Rows::Major(&saved.kept.gates), tokens, &back, Init::Zero, &mut gradients.input);
    Ok(gradients)
}

/// `[h_{t-1}, x_t, 1]` of every token.
fn inputs(batch: Batch<'_>, hidden: &[f32], x: &[f32], dim: usize, input_dim: usize) -> Vec<f32> {
    let columns = dim + input_dim + 1;
    let mut rows = vec![0.0; batch.schedule.tokens() * columns];
    let mut before: Vec<Option<u32>> = vec![None; batch.schedule.lanes()];
    for step in (0..batch.schedule.len()).map(|step| batch.schedule.step(step)) {
        let mut start = vec![None; step.tokens.len()];
        for &(lane, s) in step.starts {
            before[lane as usize] = None;
            start[lane as usize] = batch.initial(0, s as usize, dim);
        }
        for (lane, &token) in step.tokens.iter().enumerate() {
            let t = token as usize;
            let row = &mut rows[t * columns..(t + 1) * columns];
            if let Some(previous) = before[lane].replace(token) {
                row[..dim].copy_from_slice(&hidden[previous as usize * dim..][..dim]);
            } else if let Some(initial) = start[lane] {
                row[..dim].copy_from_slice(initial);
            }
            row[dim..dim + input_dim].copy_from_slice(&x[t * input_dim..(t + 1) * input_dim]);
            row[dim + input_dim] = 1.0;
        }
    }
    rows
}

/// Turns the saved gates into gradients of the pre-activations, last step
/// first; returns the gradient of the initial states.
fn through_time(
    weights: &Weights<'_>,
    order: Order,
    batch: Batch<'_>,
    kept: &mut SavedLayout,
    upstream: Upstream<'_>,
) -> Vec<f32> {
    let (schedule, dim, units) = (batch.schedule, order.hidden_dim, order.units());
    let sequences = schedule.sequences();
    let mut initial = vec![0.0; STATES * sequences * dim];
    for &s in schedule.empty() {
        for n in 0..STATES {
            let at = (n * sequences + s) * dim;
            initial[at..at + dim].copy_from_slice(&upstream.last[at..at + dim]);
        }
    }
    let back = order.pack_rows(weights.weight_hh, dim);
    let back = Packed::new(Isa::detect(), &back, order.gates(), dim);
    let mut hidden = vec![0.0; schedule.lanes() * dim];
    let mut cells = Buffer::zeros(schedule.lanes() * units);
    for number in (0..schedule.len()).rev() {
        let step = schedule.step(number);
        let busy = step.tokens.len();
        for &(lane, s) in step.ends {
            let (lane, s) = (lane as usize, s as usize);
            hidden[lane * dim..][..dim].copy_from_slice(&upstream.last[s * dim..][..dim]);
            cells[lane * units..][..dim]
                .copy_from_slice(&upstream.last[(sequences + s) * dim..][..dim]);
        }
        let previous = previous_cells(batch, &kept.cells, number, dim, units);
        let gates = Shared(kept.gates.as_mut_ptr());
        let saved = &kept.cells;
        let lane = |(lane, (cells, hidden)): (usize, (&mut [f32], &mut [f32]))| {
            let token = step.tokens[lane] as usize;
            back.isa().run(BackLane {
                // SAFETY: every lane has its own token, whose row lies in the buffer.
                gates: unsafe {
                    std::slice::from_raw_parts_mut(gates.at(token * order.gates()), order.gates())
                },
                cell: &saved[token * units..(token + 1) * units],
                previous: previous[lane],
                upstream: &upstream.hidden[token * dim..(token + 1) * dim],
                hidden,
                cells,
            });
        };
        let lanes = cells[..busy * units].par_chunks_exact_mut(units);
        lanes
            .zip(hidden[..busy * dim].par_chunks_exact_mut(dim))
            .enumerate()
            .with_min_len((1 << 13) / units + 1)
            .for_each(lane);
        let rows = Rows::Picked(&kept.gates, step.tokens);
        product(rows, busy, &back, Init::Zero, &mut hidden[..busy * dim]);
        for &(lane, s) in step.starts {
            let (lane, s) = (lane as usize, s as usize);
            initial[s * dim..][..dim].copy_from_slice(&hidden[lane * dim..][..dim]);
            initial[(sequences + s) * dim..][..dim].copy_from_slice(&cells[lane * units..][..dim]);
        }
    }
    initial
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
        for (block, gates) in self.gates.chunks_exact_mut(width).enumerate() {
            let first = block * S::LANES;
            // SAFETY: the features are promised by the caller; whole blocks lie
            // in the padded buffers, the others are read through `part`.
            unsafe {
                let one = S::splat(1.0);
                let gate = |n: usize| S::load(gates.as_ptr().add(n * S::LANES));
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

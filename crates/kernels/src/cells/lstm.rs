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

mod backward;
mod forward;

use rayon::prelude::*;

use super::{
    Batch, Cell, CellWeights, Features, Gradients, Input, Pass, Precision, Saved, Scanned, Sink,
    Spec, Upstream, Weights,
};
use crate::{
    Isa, Result, Step,
    activation::Activation,
    buffer::{Buffer, Shared},
    gemm::{Bf16, F32, Format, Int8, RowSums, Tile, Walk, Words, for_tiles},
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
        CellWeights::new(weights, isa, precision)
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
        // A worker of a pool has its share of the work, and waits for nobody.
        let is_worker = rayon::current_thread_index().is_some();
        let threads = if is_worker { 1 } else { rayon::current_num_threads() };
        Scan { weights, input, batch, threads }.run(sink);
        Ok(())
    }

    fn forward(
        &self,
        weights: &CellWeights,
        features: Features<'_>,
        batch: Batch<'_>,
    ) -> Result<Scanned> {
        forward::forward(weights, features, batch)
    }

    fn backward(
        &self,
        weights: &Weights<'_>,
        pass: Pass<'_>,
        saved: Saved,
        upstream: Upstream<'_>,
    ) -> Result<Gradients> {
        backward::backward(weights, pass, saved, upstream)
    }
}

/// One scan over a batch.
struct Scan<'a> {
    weights: &'a CellWeights,
    input: Input<'a>,
    batch: Batch<'a>,
    /// Threads for one step.
    threads: usize,
}

impl Scan<'_> {
    fn run(&self, sink: &mut dyn Sink) {
        let (schedule, order) = (self.batch.schedule, self.weights.order());
        let (units, dim) = (order.units(), order.hidden_dim);
        let recurrent = &self.weights.recurrent;
        let mut words = Words::zeros(recurrent, schedule.lanes());
        let mut hidden = Buffer::zeros(schedule.lanes() * units);
        let mut cells = Buffer::zeros(schedule.lanes() * units);
        let zeros = vec![0.0; dim];
        for &s in schedule.empty() {
            let state = |n| self.batch.initial(n, s, dim).unwrap_or(&zeros);
            sink.end(s, &[state(0), state(1)]);
        }
        for step in (0..schedule.n_steps()).map(|step| schedule.step(step)) {
            for &(lane, s) in step.starts {
                let first = |n| self.batch.initial(n, s as usize, dim).unwrap_or(&zeros);
                words.set(lane as usize, first(0));
                cells[lane as usize * units..][..dim].copy_from_slice(first(1));
            }
            self.step(step, &words, Shared(hidden.as_mut_ptr()), Shared(cells.as_mut_ptr()));
            for (lane, &token) in step.tokens.iter().enumerate() {
                sink.token(token as usize, &hidden[lane * units..][..dim]);
            }
            for &(lane, s) in step.ends {
                let at = lane as usize * units;
                sink.end(s as usize, &[&hidden[at..at + dim], &cells[at..at + dim]]);
            }
            words.set_all(&hidden[..step.tokens.len() * units], units, dim);
        }
    }

    fn step(&self, step: Step<'_>, words: &Words, hidden: Shared, cells: Shared) {
        let packed = &self.weights.recurrent;
        let work = |panels: (usize, usize)| {
            let panels = Panels { scan: self, tokens: step.tokens, words, hidden, cells, panels };
            match packed.precision() {
                Precision::F32 => packed.isa().run(In(panels, F32)),
                Precision::Bf16 => packed.isa().run_short(In(panels, Bf16)),
                Precision::Int8 => packed.isa().run_short(In(panels, Int8)),
            }
        };
        let threads = self.threads;
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
    /// h_{t-1} of every lane.
    words: &'a Words,
    /// Out: h_t.
    hidden: Shared,
    /// In: c_{t-1}; out: c_t.
    cells: Shared,
    panels: (usize, usize),
}

/// The same in a number format.
struct In<'a, F>(Panels<'a>, F);

impl<F: Format> Kernel for In<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Panels { scan, tokens, words, panels, .. } = self.0;
        let packed = &scan.weights.recurrent;
        for panel in panels.0..panels.1 {
            let own = packed.panel(panel, 0);
            let is_last = panel + 1 == panels.1;
            let walk = Walk {
                isa: packed.isa(),
                panel: own.as_ptr(),
                words: packed.words(),
                starts: packed.starts(panel).as_ptr(),
                rows: words.row(0),
                stride: words.stride(),
                count: tokens.len(),
                ahead: if is_last { std::ptr::null() } else { own.as_ptr_range().end },
                ahead_len: own.len(),
            };
            let mut units = Units::<F> { step: &self.0, panel, format: self.1 };
            // SAFETY: the features are promised by the caller; the words have
            // rows for all lanes.
            unsafe { for_tiles::<S, F, _>(&walk, &mut units) };
        }
    }
}

/// One step of one panel of units.
struct Units<'a, 'b, F> {
    step: &'b Panels<'a>,
    panel: usize,
    #[expect(dead_code, reason = "names the format")]
    format: F,
}

impl<F> Units<'_, '_, F> {
    /// The input side of a lane's pre-activations.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    #[inline(always)]
    unsafe fn input<S: Simd>(&self, lane: usize) -> RowSums<S> {
        let Panels { scan, tokens, .. } = *self.step;
        // SAFETY: tokens and units lie in the input, as `Input::check` ensured.
        unsafe {
            let row = scan.input.row(tokens[lane] as usize, scan.weights.gate_dim());
            let row = row.add(self.panel * TILE_VECTORS * S::LANES);
            std::array::from_fn(|v| S::load(row.add(v * S::LANES)))
        }
    }
}

impl<S: Simd, F: Format> Tile<S> for Units<'_, '_, F> {
    #[inline(always)]
    unsafe fn start(&mut self, lane: usize) -> RowSums<S> {
        // SAFETY: promised by the caller.
        unsafe { self.input::<S>(lane) }
    }

    #[inline(always)]
    unsafe fn take(&mut self, lane: usize, mut sums: RowSums<S>) {
        let Panels { scan, words, hidden, cells, .. } = *self.step;
        let (units, unit) = (scan.weights.order().units(), self.panel * S::LANES);
        // SAFETY: lanes, tokens and units lie in their buffers, as `Schedule` and
        // `Input::check` ensure; no other panel has these units; the features
        // are promised by the caller.
        unsafe {
            if !F::CHAINED {
                let scales = scan.weights.recurrent.scales(self.panel).as_ptr();
                let input = self.input::<S>(lane);
                for (v, sum) in sums.iter_mut().enumerate() {
                    let columns = scales.wrapping_add(v * S::LANES);
                    *sum = F::value::<S>(*sum, words.scale(lane), columns, input[v]);
                }
            }
            let at = lane * units + unit;
            let [i, f, g, o] = sums;
            let (i, f) = (F::Activation::sigmoid::<S>(i), F::Activation::sigmoid::<S>(f));
            let (g, o) = (F::Activation::tanh::<S>(g), F::Activation::sigmoid::<S>(o));
            let c = S::fma(f, S::load(cells.at(at)), S::mul(i, g));
            S::store(cells.at(at), c);
            S::store(hidden.at(at), S::mul(o, F::Activation::tanh::<S>(c)));
        }
    }
}

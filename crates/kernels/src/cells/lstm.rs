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
    activation::{sigmoid, tanh},
    buffer::{Buffer, Shared},
    gemm::{Sums, Tile, for_tiles, tile},
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
        let threads = rayon::current_num_threads();
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
        let mut now = Buffer::zeros(schedule.lanes() * units);
        let mut next = Buffer::zeros(schedule.lanes() * units);
        let mut cells = Buffer::zeros(schedule.lanes() * units);
        let zeros = vec![0.0; dim];
        for &s in schedule.empty() {
            let state = |n| self.batch.initial(n, s, dim).unwrap_or(&zeros);
            sink.end(s, &[state(0), state(1)]);
        }
        for step in (0..schedule.n_steps()).map(|step| schedule.step(step)) {
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
            }
        }
    }
}

//! The scan of a training pass: what the way back needs is kept.
//!
//! Hidden states go from the registers to their row of the result, and to the
//! state that the next step reads; nothing is copied between steps.

use rayon::prelude::*;

use super::STATES;
use crate::{
    Result, Step,
    activation::{sigmoid, tanh},
    buffer::{Buffer, Shared},
    cells::{
        Batch, CellWeights, Features, Input, Saved, SavedLayout, Scanned, layout::Order,
        parts::Parts,
    },
    gemm::{Sums, Tile, for_tiles, tile},
    simd::{Kernel, Simd, TILE_VECTORS},
};

/// Hidden and last states of a batch, and what its way back needs.
pub(super) fn forward(
    weights: &CellWeights,
    features: Features<'_>,
    batch: Batch<'_>,
) -> Result<Scanned> {
    let (schedule, order) = (batch.schedule, weights.order());
    let (tokens, dim) = (schedule.tokens(), order.hidden_dim);
    batch.check(dim, STATES)?;
    let projected = features.project(weights, tokens)?;
    let input = features.input(&projected);
    input.check(tokens, weights.gate_dim())?;
    let mut gates = Buffer::blank(tokens * order.gates());
    let mut cells = Buffer::blank(tokens * order.units());
    let mut hidden = Vec::with_capacity(tokens * dim);
    let mut last = vec![0.0; STATES * schedule.sequences() * dim];
    let parts = Parts::of(schedule, TILE_VECTORS * dim * dim);
    let scan = Scan {
        weights,
        input,
        order,
        threads: parts.threads,
        gates: gates.place(),
        cells: cells.place(),
        hidden: Shared(hidden.as_mut_ptr()),
        last: Shared(last.as_mut_ptr()),
    };
    parts.schedules.par_iter().for_each(|schedule| scan.run(Batch { schedule, ..batch }));
    // SAFETY: every token is scanned once, and a step writes its whole rows.
    let kept = unsafe {
        hidden.set_len(tokens * dim);
        SavedLayout { order, gates: gates.filled(), cells: cells.filled() }
    };
    Ok(Scanned { hidden, last, saved: Saved { kept } })
}

/// A scan over a batch, and where it leaves its results.
struct Scan<'a> {
    weights: &'a CellWeights,
    input: Input<'a>,
    order: Order,
    /// Threads for one step.
    threads: usize,
    /// Activated gates, `[tokens, gates]` in packed order.
    gates: Shared,
    /// `[tokens, units]`
    cells: Shared,
    /// `[tokens, hidden_dim]`
    hidden: Shared,
    /// `[states, sequences, hidden_dim]`
    last: Shared,
}

impl Scan<'_> {
    fn run(&self, batch: Batch<'_>) {
        let (schedule, dim, units) = (batch.schedule, self.order.hidden_dim, self.order.units());
        let mut states = [(); 3].map(|()| Buffer::zeros(schedule.lanes() * units));
        let [now, next, cells] = &mut states;
        let zeros = vec![0.0; dim];
        let first = |n, s: usize| batch.initial(n, s, dim).unwrap_or(&zeros);
        let end = |n: usize, s: usize, state: &[f32]| {
            // SAFETY: every sequence ends once, and its rows lie in the matrix.
            let row = unsafe { self.last.slice((n * schedule.sequences() + s) * dim, dim) };
            row.copy_from_slice(&state[..dim]);
        };
        for &s in schedule.empty() {
            (0..STATES).for_each(|n| end(n, s, first(n, s)));
        }
        for step in (0..schedule.n_steps()).map(|step| schedule.step(step)) {
            for &(lane, s) in step.starts {
                for (n, state) in [&mut *now, &mut *cells].into_iter().enumerate() {
                    state[lane as usize * units..][..dim].copy_from_slice(first(n, s as usize));
                }
            }
            self.step(step, now, Shared(next.as_mut_ptr()), Shared(cells.as_mut_ptr()));
            for &(lane, s) in step.ends {
                let lane = lane as usize * units..;
                end(0, s as usize, &next[lane.clone()]);
                end(1, s as usize, &cells[lane]);
            }
            std::mem::swap(now, next);
        }
    }

    fn step(&self, step: Step<'_>, now: &[f32], next: Shared, cells: Shared) {
        let packed = &self.weights.recurrent;
        let work = |panels: (usize, usize)| {
            packed.isa().run(Panels { scan: self, tokens: step.tokens, now, next, cells, panels });
        };
        if self.threads == 1 {
            return work((0, packed.panels()));
        }
        // More pieces than threads: one that is held up leaves some to others.
        let pieces = packed.panels().min(4 * self.threads);
        (0..pieces).into_par_iter().with_max_len(1).for_each(|piece| {
            let at = |piece: usize| piece * packed.panels() / pieces;
            work((at(piece), at(piece + 1)));
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
        let Panels { scan, tokens, now, .. } = *self.step;
        let packed = &scan.weights.recurrent;
        let (width, units) = (TILE_VECTORS * S::LANES, scan.order.units());
        // SAFETY: rows, tokens and units lie in their buffers, as `Schedule` and
        // `Input::check` ensure; no other panel has these units; the features
        // are promised by the caller.
        unsafe {
            let token: [usize; R] = std::array::from_fn(|r| tokens[first + r] as usize);
            let mut sums: Sums<S, R> = [[S::splat(0.0); TILE_VECTORS]; R];
            for r in 0..R {
                let row = scan.input.row(token[r], scan.order.gates()).add(self.panel * width);
                for (v, sum) in sums[r].iter_mut().enumerate() {
                    *sum = S::load(row.add(v * S::LANES));
                }
            }
            let panel = packed.panel(self.panel, 0);
            // Each tile of this panel fetches its part of the next one.
            let ahead = if self.panel + 1 < packed.panels() {
                panel.as_ptr().wrapping_add(panel.len() + index * (panel.len() / of))
            } else {
                std::ptr::null()
            };
            let a = std::array::from_fn(|r| now.as_ptr().add((first + r) * units));
            tile::<S, R>(packed.k(), a, panel.as_ptr(), ahead, &mut sums);
            for r in 0..R {
                self.unit::<S>(first + r, token[r], sums[r]);
            }
        }
    }
}

impl Units<'_, '_> {
    /// Gates, cell and hidden state of one lane's units, kept and handed on.
    ///
    /// # Safety
    /// As for [`Tile::rows`]; `token` is that of the lane at this step.
    #[inline(always)]
    unsafe fn unit<S: Simd>(&self, lane: usize, token: usize, sums: [S::V; TILE_VECTORS]) {
        let Panels { scan, next, cells, .. } = *self.step;
        let Order { hidden_dim: dim, .. } = scan.order;
        let (units, unit) = (scan.order.units(), self.panel * S::LANES);
        // SAFETY: promised by the caller; a row of the result is written only
        // as far as it goes.
        unsafe {
            let [i, f, g, o] = sums;
            let (i, f) = (sigmoid::<S>(i), sigmoid::<S>(f));
            let (g, o) = (tanh::<S>(g), sigmoid::<S>(o));
            let at = lane * units + unit;
            let c = S::fma(f, S::load(cells.at(at)), S::mul(i, g));
            S::store(cells.at(at), c);
            S::store(next.at(at), S::mul(o, tanh::<S>(c)));
            let row = scan.gates.at(token * scan.order.gates() + unit * TILE_VECTORS);
            for (v, gate) in [i, f, g, o].into_iter().enumerate() {
                S::store(row.add(v * S::LANES), gate);
            }
            S::store(scan.cells.at(token * units + unit), c);
            let hidden = scan.hidden.at(token * dim + unit);
            std::ptr::copy_nonoverlapping(next.at(at), hidden, S::LANES.min(dim - unit));
        }
    }
}

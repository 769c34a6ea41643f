//! The scan of a training pass: what the way back needs is kept.
//!
//! Hidden states go from the registers to their row of the result; between steps
//! they become the words that the next one reads.

use std::marker::PhantomData;

use rayon::prelude::*;

use super::STATES;
use crate::{
    Result, Step,
    activation::{Activation, Exact},
    buffer::{Buffer, Shared},
    cells::{
        Batch, CellWeights, Features, Input, Saved, SavedLayout, Scanned, layout::Order,
        parts::Parts,
    },
    gemm::{Bf16, F32, Format, Int8, Precision, RowSums, Tile, Walk, Words, for_tiles},
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
        let mut words = Words::zeros(&self.weights.recurrent, schedule.lanes());
        let mut states = [(); 2].map(|()| Buffer::zeros(schedule.lanes() * units));
        let [hidden, cells] = &mut states;
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
                words.set(lane as usize, first(0, s as usize));
                cells[lane as usize * units..][..dim].copy_from_slice(first(1, s as usize));
            }
            self.step(step, &words, Shared(hidden.as_mut_ptr()), Shared(cells.as_mut_ptr()));
            for &(lane, s) in step.ends {
                let lane = lane as usize * units..;
                end(0, s as usize, &hidden[lane.clone()]);
                end(1, s as usize, &cells[lane]);
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
    words: &'a Words,
    hidden: Shared,
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
            let is_last = panel + 1 == packed.panels();
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
            let mut units = Units::<F> { step: &self.0, panel, format: PhantomData };
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
    format: PhantomData<F>,
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
            let row = scan.input.row(tokens[lane] as usize, scan.order.gates());
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

    /// Gates, cell and hidden state of one lane's units, kept and handed on.
    #[inline(always)]
    unsafe fn take(&mut self, lane: usize, mut sums: RowSums<S>) {
        let Panels { scan, tokens, words, hidden, cells, .. } = *self.step;
        let (dim, units, unit) = (scan.order.hidden_dim, scan.order.units(), self.panel * S::LANES);
        let token = tokens[lane] as usize;
        // SAFETY: lanes, tokens and units lie in their buffers, as `Schedule` and
        // `Input::check` ensure; no other panel has these units, and a row of
        // the result is written only as far as it goes; the features are
        // promised by the caller.
        unsafe {
            if !F::CHAINED {
                let scales = scan.weights.recurrent.scales(self.panel).as_ptr();
                let input = self.input::<S>(lane);
                for (v, sum) in sums.iter_mut().enumerate() {
                    let columns = scales.wrapping_add(v * S::LANES);
                    *sum = F::value::<S>(*sum, words.scale(lane), columns, input[v]);
                }
            }
            // The way back wants them as exact as they can be.
            let [i, f, g, o] = sums;
            let (i, f) = (Exact::sigmoid::<S>(i), Exact::sigmoid::<S>(f));
            let (g, o) = (Exact::tanh::<S>(g), Exact::sigmoid::<S>(o));
            let at = lane * units + unit;
            let c = S::fma(f, S::load(cells.at(at)), S::mul(i, g));
            S::store(cells.at(at), c);
            S::store(hidden.at(at), S::mul(o, Exact::tanh::<S>(c)));
            let row = scan.gates.at(token * scan.order.gates() + unit * TILE_VECTORS);
            for (v, gate) in [i, f, g, o].into_iter().enumerate() {
                S::store(row.add(v * S::LANES), gate);
            }
            S::store(scan.cells.at(token * units + unit), c);
            let row = scan.hidden.at(token * dim + unit);
            std::ptr::copy_nonoverlapping(hidden.at(at), row, S::LANES.min(dim - unit));
        }
    }
}

//! The scan of a batch: step by step, phase by phase.
//!
//! The sums of a few panels rest for all lanes before the formula of the cell is
//! applied to them, so that products are compiled once for all cells; against
//! the products, that costs nothing that could be measured.

use std::marker::PhantomData;

use rayon::prelude::*;

use super::{
    Batch, CellWeights, Features, Input, Saved, SavedLayout, Scanned, Sink,
    formula::{Form, Formula, Phase, Unit},
    layout::Order,
    parts::Parts,
};
use crate::{
    Isa, Result, Step,
    activation::{Exact, Short},
    buffer::{Buffer, Shared},
    gemm::{Bf16, F32, Format, Int8, Precision, RowSums, Tile, Walk, Words, for_tiles},
    simd::{Kernel, Simd, TILE_VECTORS},
};

/// Multiplications of a product under which it stays on one thread.
const PARALLEL: usize = 1 << 20;
/// Lanes whose sums rest before the formula is applied to them: few enough for
/// the first-level cache, whole tiles of any height.
const LANES: usize = 48;

/// Scans a batch and keeps nothing.
pub(super) fn infer<C: Formula>(
    weights: &CellWeights,
    input: Input<'_>,
    batch: Batch<'_>,
    sink: &mut dyn Sink,
) -> Result<()> {
    C::FORM.expect("packed weights", weights.order().form)?;
    input.check(batch.schedule.tokens(), weights.gate_dim())?;
    batch.check(weights.hidden_dim(), C::FORM.spec.states)?;
    // A worker of a pool has its share of the work, and waits for nobody.
    let is_worker = rayon::current_thread_index().is_some();
    let threads = if is_worker { 1 } else { rayon::current_num_threads() };
    let precision = weights.precision();
    let apply = if precision == Precision::F32 { apply::<C, Exact> } else { apply::<C, Short> };
    let order = weights.order();
    Scan { weights, input, order, pieces: threads, kept: None, apply }.run(batch, sink);
    Ok(())
}

/// Hidden and last states of a batch, and what its way back needs.
pub(super) fn forward<C: Formula>(
    weights: &CellWeights,
    features: Features<'_>,
    batch: Batch<'_>,
) -> Result<Scanned> {
    let (schedule, order, spec) = (batch.schedule, weights.order(), C::FORM.spec);
    let (tokens, dim) = (schedule.tokens(), order.hidden_dim);
    C::FORM.expect("packed weights", order.form)?;
    batch.check(dim, spec.states)?;
    let projected = features.project(weights, tokens)?;
    let input = features.input(&projected);
    input.check(tokens, weights.gate_dim())?;
    let of = |there: bool| Buffer::blank(if there { tokens * order.units() } else { 0 });
    let mut kept = Buffer::blank(tokens * order.kept());
    let (mut cells, mut gated) = (of(spec.states > 1), of(C::FORM.phases.len() > 1));
    let mut hidden = Vec::with_capacity(tokens * dim);
    let mut last = vec![0.0; spec.states * schedule.sequences() * dim];
    let parts = Parts::of(schedule, spec.gates * dim * dim);
    let places = Kept {
        values: kept.place(),
        cells: cells.place(),
        gated: gated.place(),
        hidden: Shared(hidden.as_mut_ptr()),
    };
    let last_states = Shared(last.as_mut_ptr());
    // More pieces than threads: one that is held up leaves some to others.
    let pieces = if parts.threads > 1 { 4 * parts.threads } else { 1 };
    // The way back wants activations as exact as they can be.
    let apply = apply::<C, Exact>;
    let scan = Scan { weights, input, order, pieces, kept: Some(places), apply };
    parts.schedules.par_iter().for_each(|schedule| {
        let mut sink = LastStates { last: last_states, sequences: schedule.sequences() };
        scan.run(Batch { schedule, ..batch }, &mut sink);
    });
    // SAFETY: every token is scanned once, and a step writes its whole rows.
    let kept = unsafe {
        hidden.set_len(tokens * dim);
        SavedLayout { order, kept: kept.filled(), cells: cells.filled(), gated: gated.filled() }
    };
    Ok(Scanned { hidden, last, saved: Saved { kept } })
}

/// Writes the state after each sequence, `[states, sequences, hidden_dim]`.
struct LastStates {
    last: Shared,
    sequences: usize,
}

impl Sink for LastStates {
    fn token(&mut self, _: usize, _: &[f32]) {}

    fn end(&mut self, sequence: usize, state: &[&[f32]]) {
        for (n, state) in state.iter().enumerate() {
            let first = (n * self.sequences + sequence) * state.len();
            // SAFETY: every sequence ends once, and its rows lie in the matrix.
            unsafe { self.last.slice(first, state.len()) }.copy_from_slice(state);
        }
    }
}

/// Where a training scan leaves what it keeps, a row a token.
#[derive(Clone, Copy)]
struct Kept {
    /// `[tokens, kept * units]`
    values: Shared,
    /// `[tokens, units]`, if the cell has them.
    cells: Shared,
    /// `[tokens, units]`, if there are two phases.
    gated: Shared,
    /// `[tokens, hidden_dim]`
    hidden: Shared,
}

/// A scan over batches.
struct Scan<'a> {
    weights: &'a CellWeights,
    input: Input<'a>,
    order: Order,
    /// Pieces that a product is cut into for threads.
    pieces: usize,
    kept: Option<Kept>,
    /// Applies the formula of the cell to sums.
    apply: fn(Isa, &Sums<'_>),
}

/// States of all lanes, `[lanes, units]` each but for the values.
#[derive(Clone, Copy)]
struct Lanes {
    hidden: Shared,
    cells: Shared,
    gated: Shared,
    /// `[lanes, kept * units]`: between two phases, if values are not kept.
    values: Shared,
}

impl Lanes {
    /// Values of the hidden (0) or cell state (1) from a place on.
    fn state<'a>(self, n: usize, at: usize, dim: usize) -> &'a mut [f32] {
        let place = if n == 0 { self.hidden } else { self.cells };
        // SAFETY: `Scan::run` asks for rows of its lanes, one at a time, and
        // never while a phase is under way.
        unsafe { place.slice(at, dim) }
    }

    /// The rows of all lanes that are busy in a step.
    fn all<'a>(self, place: Shared, step: Step<'_>, units: usize) -> &'a [f32] {
        // SAFETY: as above.
        unsafe { place.slice(0, step.tokens.len() * units) }
    }
}

impl Scan<'_> {
    fn form(&self) -> &'static Form {
        self.order.form
    }

    fn run(&self, batch: Batch<'_>, sink: &mut dyn Sink) {
        let (schedule, dim, units) = (batch.schedule, self.order.hidden_dim, self.order.units());
        let (states, phases) = (self.form().spec.states, self.form().phases.len());
        let mut words: Vec<Words> = (0..phases)
            .map(|phase| Words::zeros(&self.weights.phase(phase).recurrent, schedule.lanes()))
            .collect();
        let room = |there: bool| Buffer::zeros(if there { schedule.lanes() * units } else { 0 });
        let (mut hidden, mut cells) = (room(true), room(states > 1));
        let mut gated = room(phases > 1);
        let is_scratch = phases > 1 && self.kept.is_none();
        let mut values =
            Buffer::zeros(if is_scratch { schedule.lanes() * self.order.kept() } else { 0 });
        let lanes = Lanes {
            hidden: Shared(hidden.as_mut_ptr()),
            cells: Shared(cells.as_mut_ptr()),
            gated: Shared(gated.as_mut_ptr()),
            values: Shared(values.as_mut_ptr()),
        };
        let zeros = vec![0.0; dim];
        let first = |n, s: usize| batch.initial(n, s, dim).unwrap_or(&zeros);
        for &s in schedule.empty() {
            let state = [first(0, s), first(states - 1, s)];
            sink.end(s, &state[..states]);
        }
        for step in (0..schedule.n_steps()).map(|step| schedule.step(step)) {
            for &(lane, s) in step.starts {
                let lane = lane as usize;
                words[0].set(lane, first(0, s as usize));
                lanes.state(0, lane * units, dim).copy_from_slice(first(0, s as usize));
                if states > 1 {
                    lanes.state(1, lane * units, dim).copy_from_slice(first(1, s as usize));
                }
            }
            for phase in 0..phases {
                self.phase(phase, step, &words[phase], lanes);
                if phase + 1 < phases {
                    words[phase + 1].set_all(lanes.all(lanes.gated, step, units), units, dim);
                }
            }
            for (lane, &token) in step.tokens.iter().enumerate() {
                sink.token(token as usize, lanes.state(0, lane * units, dim));
            }
            for &(lane, s) in step.ends {
                let at = lane as usize * units;
                let state =
                    |n: usize| -> &[f32] { if n < states { lanes.state(n, at, dim) } else { &[] } };
                sink.end(s as usize, &[state(0), state(1)][..states]);
            }
            words[0].set_all(lanes.all(lanes.hidden, step, units), units, dim);
        }
    }

    /// One phase of a step, its panels shared out to threads.
    fn phase(&self, number: usize, step: Step<'_>, words: &Words, lanes: Lanes) {
        let (packed, phase) = (&self.weights.phase(number).recurrent, &self.form().phases[number]);
        let work = |groups: (usize, usize)| {
            let panels = Panels { scan: self, number, phase, tokens: step.tokens, words, lanes };
            panels.run(groups);
        };
        let groups = packed.panels() / phase.panels();
        let pieces = groups.min(self.pieces);
        if pieces <= 1 || step.tokens.len() * packed.n() * packed.k() < PARALLEL {
            return work((0, groups));
        }
        (0..pieces).into_par_iter().with_max_len(1).for_each(|piece| {
            let at = |piece: usize| piece * groups / pieces;
            work((at(piece), at(piece + 1)));
        });
    }
}

/// Some panels of a phase of a step.
struct Panels<'a> {
    scan: &'a Scan<'a>,
    number: usize,
    phase: &'static Phase,
    tokens: &'a [u32],
    /// What is multiplied, of every lane.
    words: &'a Words,
    lanes: Lanes,
}

impl Panels<'_> {
    /// Groups of panels, each of which has all sums of some units.
    fn run(&self, groups: (usize, usize)) {
        let packed = &self.scan.weights.phase(self.number).recurrent;
        let width = TILE_VECTORS * packed.isa().lanes();
        let panels = self.phase.panels();
        let stride = panels * width;
        let lanes = self.tokens.len();
        let mut sums = vec![0.0; lanes.min(LANES) * stride];
        let parts = (groups.0..groups.1)
            .flat_map(|group| (0..lanes).step_by(LANES).map(move |lane| (group, lane)));
        for (group, lane) in parts {
            let place = Shared(sums.as_mut_ptr());
            let lanes = (lane, lanes.min(lane + LANES));
            let gates = Gates { panels: self, first: group * panels, lanes, place, stride };
            match packed.precision() {
                Precision::F32 => packed.isa().run(In(&gates, F32)),
                Precision::Bf16 => packed.isa().run_short(In(&gates, Bf16)),
                Precision::Int8 => packed.isa().run_short(In(&gates, Int8)),
            }
            (self.scan.apply)(
                packed.isa(),
                &Sums { panels: self, group, lanes, sums: &sums, stride },
            );
        }
    }
}

/// The sums of a group of panels for all lanes.
struct Gates<'a> {
    panels: &'a Panels<'a>,
    /// The first panel of the group.
    first: usize,
    /// The first lane, and the one after the last.
    lanes: (usize, usize),
    /// Out: `[lanes, stride]`
    place: Shared,
    stride: usize,
}

/// The same in a number format.
struct In<'a, F>(&'a Gates<'a>, F);

impl<F: Format> Kernel for In<'_, F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Gates { panels, first, lanes, place, stride } = *self.0;
        let packed = &panels.scan.weights.phase(panels.number).recurrent;
        for n in 0..panels.phase.panels() {
            let panel = first + n;
            let own = packed.panel(panel, 0);
            // The first lanes fetch the next panel.
            let is_last = panel + 1 == packed.panels() || lanes.0 > 0;
            let walk = Walk {
                isa: packed.isa(),
                panel: own.as_ptr(),
                words: packed.words(),
                starts: packed.starts(panel).as_ptr(),
                rows: panels.words.row(lanes.0),
                stride: panels.words.stride(),
                count: lanes.1 - lanes.0,
                ahead: if is_last { std::ptr::null() } else { own.as_ptr_range().end },
                ahead_len: own.len(),
            };
            // SAFETY: the panel lies in the sums of each lane.
            let place = Shared(unsafe { place.at(n * TILE_VECTORS * S::LANES) });
            let mut tile = Panel::<F>::new::<S>(panels, panel, lanes.0, place, stride);
            // SAFETY: the features are promised by the caller; the words have
            // rows for all lanes.
            unsafe { for_tiles::<S, F, _>(&walk, &mut tile) };
        }
    }
}

/// The sums of one panel.
struct Panel<'a, F> {
    panels: &'a Panels<'a>,
    panel: usize,
    /// The first lane.
    lane: usize,
    place: Shared,
    stride: usize,
    /// Of each vector, where in a row of the input side it starts from; a sum
    /// that does not start there has [`Panel::OWN`].
    from: [usize; TILE_VECTORS],
    format: PhantomData<F>,
}

impl<'a, F> Panel<'a, F> {
    const OWN: usize = usize::MAX;

    fn new<S: Simd>(
        panels: &'a Panels<'a>,
        panel: usize,
        lane: usize,
        place: Shared,
        stride: usize,
    ) -> Self {
        let (phase, gates) = (panels.phase, panels.scan.form().spec.gates);
        let from = std::array::from_fn(|v| {
            let vector = panel * TILE_VECTORS + v;
            let (block, n) = (vector / phase.gates.len(), vector % phase.gates.len());
            let at = (block * gates + phase.gates[n]) * S::LANES;
            if phase.from_input[n] { at } else { Self::OWN }
        });
        Self { panels, panel, lane, place, stride, from, format: PhantomData }
    }

    /// What the sums of a lane start from.
    ///
    /// # Safety
    /// The processor has the features of `S`.
    #[inline(always)]
    unsafe fn init<S: Simd>(&self, lane: usize) -> RowSums<S> {
        let Panels { scan, tokens, number, .. } = *self.panels;
        // SAFETY: tokens and units lie in the input, as `Input::check` ensured,
        // and in the start values, which are as many as the panels have columns.
        unsafe {
            let row = scan.input.row(tokens[self.lane + lane] as usize, scan.order.gates());
            let own = scan.weights.phase(number).start.as_ptr();
            let own = own.add(self.panel * TILE_VECTORS * S::LANES);
            std::array::from_fn(|v| match self.from[v] {
                Self::OWN => S::load(own.add(v * S::LANES)),
                at => S::load(row.add(at)),
            })
        }
    }
}

impl<S: Simd, F: Format> Tile<S> for Panel<'_, F> {
    #[inline(always)]
    unsafe fn start(&mut self, lane: usize) -> RowSums<S> {
        // SAFETY: promised by the caller.
        unsafe { self.init::<S>(lane) }
    }

    #[inline(always)]
    unsafe fn take(&mut self, lane: usize, mut sums: RowSums<S>) {
        // SAFETY: a row of sums has room for the panel; the rest was promised by
        // the caller.
        unsafe {
            if !F::CHAINED {
                let packed = &self.panels.scan.weights.phase(self.panels.number).recurrent;
                let scales = packed.scales(self.panel).as_ptr();
                let init = self.init::<S>(lane);
                let scale = self.panels.words.scale(self.lane + lane);
                for (v, sum) in sums.iter_mut().enumerate() {
                    let columns = scales.wrapping_add(v * S::LANES);
                    *sum = F::value::<S>(*sum, scale, columns, init[v]);
                }
            }
            for (v, sum) in sums.into_iter().enumerate() {
                S::store(self.place.at(lane * self.stride + v * S::LANES), sum);
            }
        }
    }
}

/// Sums of a group of panels, finished.
struct Sums<'a> {
    panels: &'a Panels<'a>,
    group: usize,
    /// The first lane, and the one after the last.
    lanes: (usize, usize),
    /// `[lanes, stride]`
    sums: &'a [f32],
    stride: usize,
}

/// Applies the formula of a cell to the units of a group, for all lanes.
fn apply<C: Formula, A: crate::activation::Activation>(isa: Isa, sums: &Sums<'_>) {
    isa.run(Apply::<C, A>(sums, PhantomData));
}

struct Apply<'a, C, A>(&'a Sums<'a>, PhantomData<(C, A)>);

impl<C: Formula, A: crate::activation::Activation> Kernel for Apply<'_, C, A> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Sums { panels, group, lanes: (from, to), sums, stride } = *self.0;
        let Panels { scan, number, phase, tokens, lanes, .. } = *panels;
        let (order, form) = (scan.order, C::FORM);
        let (dim, units) = (order.hidden_dim, order.units());
        let is_last = number + 1 == form.phases.len();
        let vectors = scan.weights.vectors();
        for (lane, &token) in tokens.iter().enumerate().take(to).skip(from) {
            let token = token as usize;
            // SAFETY: lanes, tokens and units lie in their buffers, as `Schedule`
            // and `Input::check` ensure; no other group has these units; a row
            // of the result is written only as far as it goes; the features are
            // promised by the caller.
            unsafe {
                let input = scan.input.row(token, order.gates());
                for n in 0..phase.blocks() {
                    let block = group * phase.blocks() + n;
                    let first = block * S::LANES;
                    let kept = block * form.kept * S::LANES;
                    let unit = Unit {
                        sums: sums
                            .as_ptr()
                            .add((lane - from) * stride + n * phase.gates.len() * S::LANES),
                        input: input.add(block * form.spec.gates * S::LANES),
                        hidden: lanes.hidden.at(lane * units + first),
                        cell: lanes.cells.0.wrapping_add(lane * units + first),
                        gated: lanes.gated.0.wrapping_add(lane * units + first),
                        kept: match scan.kept {
                            Some(to) => to.values.at(token * order.kept() + kept),
                            None if form.phases.len() > 1 => {
                                lanes.values.at(lane * order.kept() + kept)
                            }
                            None => std::ptr::null_mut(),
                        },
                        vectors: vectors.wrapping_add(first),
                        units,
                    };
                    C::forward::<S, A>(number, &unit);
                    let Some(to) = scan.kept else { continue };
                    let row = token * units + first;
                    if !is_last {
                        S::store(to.gated.at(row), S::load(unit.gated));
                        continue;
                    }
                    if form.spec.states > 1 {
                        S::store(to.cells.at(row), S::load(unit.cell));
                    }
                    let columns = S::LANES.min(dim.saturating_sub(first));
                    let row = to.hidden.0.wrapping_add(token * dim + first);
                    std::ptr::copy_nonoverlapping(unit.hidden, row, columns);
                }
            }
        }
    }
}

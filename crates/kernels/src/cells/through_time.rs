//! The way back through the steps of a batch: what was kept becomes gradients.

use std::marker::PhantomData;

use rayon::prelude::*;

use super::{
    Batch, SavedLayout, Upstream, Weights,
    formula::{Form, Formula, UnitBack},
    layout::Order,
    parts::Parts,
};
use crate::{
    Isa,
    buffer::{Buffer, Shared, apart},
    gemm::{Init, Packed, Rows, product_on},
    simd::{Kernel, Simd},
};

/// Turns what was kept into gradients, last step first; returns the gradient of
/// the initial states.
pub(super) fn through_time<C: Formula>(
    weights: &Weights<'_>,
    batch: Batch<'_>,
    hidden: &[f32],
    saved: &mut SavedLayout,
    upstream: Upstream<'_>,
) -> Vec<f32> {
    let order = saved.order;
    let dim = order.hidden_dim;
    let mut initial = vec![0.0; C::FORM.spec.states * batch.schedule.sequences() * dim];
    let phases = C::FORM.phases.iter();
    let backs = phases.map(|phase| order.pack_rows(phase.gates, weights.weight_hh, dim));
    let backs: Vec<Packed> = backs.collect();
    let parts = Parts::of(batch.schedule, weights.weight_hh.len());
    let way = WayBack {
        backs: &backs,
        order,
        upstream,
        hidden,
        vectors: &order.vectors(weights),
        kept: Shared(saved.kept.as_mut_ptr()),
        cells: &saved.cells,
        initial: Shared(initial.as_mut_ptr()),
        threads: parts.threads,
        apply: apply::<C>,
    };
    parts.schedules.par_iter().for_each(|schedule| way.run(Batch { schedule, ..batch }));
    initial
}

/// Back-propagation through the steps of a batch.
struct WayBack<'a> {
    /// Recurrent weights of each phase, `[gates, hidden_dim]`, the gates in
    /// packed order.
    backs: &'a [Packed],
    order: Order,
    upstream: Upstream<'a>,
    /// h_t of every token, `[tokens, hidden_dim]`.
    hidden: &'a [f32],
    vectors: &'a [f32],
    /// In: what was kept of every token; out: gradients.
    kept: Shared,
    /// c_t of every token, `[tokens, units]`, if there are cell states.
    cells: &'a [f32],
    /// Out: gradient of the initial states.
    initial: Shared,
    /// Threads for one step.
    threads: usize,
    /// Applies the formula of the cell to a lane.
    apply: fn(Isa, Lane<'_>),
}

/// Gradients of all lanes between steps.
struct Carried {
    /// Of h, `[lanes, hidden_dim]`.
    hidden: Vec<f32>,
    /// Of c, `[lanes, units]`; empty if there is none.
    cells: Buffer,
    /// Of what the next phase multiplied, `[lanes, hidden_dim]`; empty if there
    /// is one phase.
    gated: Vec<f32>,
}

impl WayBack<'_> {
    fn form(&self) -> &'static Form {
        self.order.form
    }

    fn run(&self, batch: Batch<'_>) {
        let (schedule, dim, units) = (batch.schedule, self.order.hidden_dim, self.order.units());
        let (states, phases) = (self.form().spec.states, self.form().phases);
        let row = |n: usize, s: u32| (n * schedule.sequences() + s as usize) * dim;
        let last = |n: usize, s: u32| &self.upstream.last[row(n, s)..][..dim];
        // SAFETY: each sequence has its own rows, and one lane of one part.
        let first = |n: usize, s: u32| unsafe { self.initial.slice(row(n, s), dim) };
        for &s in schedule.empty() {
            (0..states).for_each(|n| first(n, s as u32).copy_from_slice(last(n, s as u32)));
        }
        let lanes = schedule.lanes();
        let mut carried = Carried {
            hidden: vec![0.0; lanes * dim],
            cells: Buffer::zeros(if states > 1 { lanes * units } else { 0 }),
            gated: vec![0.0; if phases.len() > 1 { lanes * dim } else { 0 }],
        };
        let stride = |phase: usize| apart(phases[phase].gates.len() * units);
        let mut sums: Vec<Buffer> =
            (0..phases.len()).map(|phase| Buffer::zeros(lanes * stride(phase))).collect();
        for number in (0..schedule.n_steps()).rev() {
            let step = schedule.step(number);
            for &(lane, s) in step.ends {
                carried.hidden[lane as usize * dim..][..dim].copy_from_slice(last(0, s));
                if states > 1 {
                    carried.cells[lane as usize * units..][..dim].copy_from_slice(last(1, s));
                }
            }
            let busy = step.tokens.len();
            for phase in (0..phases.len()).rev() {
                self.lanes(batch, number, phase, &mut carried, &mut sums[phase]);
                let (out, init) = match phase {
                    0 if self.form().carries => (&mut carried.hidden, Init::Add),
                    0 => (&mut carried.hidden, Init::Zero),
                    _ => (&mut carried.gated, Init::Zero),
                };
                let rows = Rows::Apart(&sums[phase], stride(phase));
                let out = &mut out[..busy * dim];
                product_on(self.threads, rows, busy, &self.backs[phase], init, out);
            }
            for &(lane, s) in step.starts {
                first(0, s).copy_from_slice(&carried.hidden[lane as usize * dim..][..dim]);
                if states > 1 {
                    first(1, s).copy_from_slice(&carried.cells[lane as usize * units..][..dim]);
                }
            }
        }
    }

    /// One phase of a step back of all busy lanes, before the product.
    fn lanes(
        &self,
        batch: Batch<'_>,
        number: usize,
        phase: usize,
        carried: &mut Carried,
        sums: &mut [f32],
    ) {
        let (dim, units) = (self.order.hidden_dim, self.order.units());
        let tokens = batch.schedule.step(number).tokens;
        let hidden = states_before(batch, self.hidden, dim, 0, number, dim);
        let cells = match self.form().spec.states {
            1 => vec![&[][..]; tokens.len()],
            _ => states_before(batch, self.cells, units, 1, number, dim),
        };
        let stride = apart(self.form().phases[phase].gates.len() * units);
        let place = Shared(carried.cells.as_mut_ptr());
        let rows = carried.hidden.par_chunks_exact_mut(dim).zip(sums.par_chunks_exact_mut(stride));
        let work = rows.zip(tokens).zip(&hidden).zip(&cells).enumerate();
        let least =
            if self.threads > 1 { tokens.len().div_ceil(4 * self.threads) } else { usize::MAX };
        work.with_min_len(least).for_each(
            |(lane, ((((carried_hidden, sums), &token), &hidden), &cell_before))| {
                let token = token as usize;
                let kept = self.order.kept();
                (self.apply)(
                    self.order.isa,
                    Lane {
                        phase,
                        order: self.order,
                        // SAFETY: every lane has its own token, whose row lies in the
                        // buffer.
                        kept: unsafe { self.kept.slice(token * kept, kept) },
                        sums,
                        upstream: &self.upstream.hidden[token * dim..(token + 1) * dim],
                        gated: carried.gated.get(lane * dim..(lane + 1) * dim).unwrap_or_default(),
                        hidden,
                        cell: self
                            .cells
                            .get(token * units..(token + 1) * units)
                            .unwrap_or_default(),
                        cell_before,
                        carried: carried_hidden,
                        // SAFETY: every lane has its own row, if there are rows.
                        carried_cell: match self.cells.is_empty() {
                            true => &mut [],
                            false => unsafe { place.slice(lane * units, units) },
                        },
                        vectors: self.vectors,
                    },
                );
            },
        );
    }
}

/// A state before a step, of each busy lane, out of `[tokens, stride]`; empty
/// means zeros.
pub(super) fn states_before<'a>(
    batch: Batch<'a>,
    states: &'a [f32],
    stride: usize,
    n: usize,
    step: usize,
    dim: usize,
) -> Vec<&'a [f32]> {
    let now = batch.schedule.step(step);
    let mut before: Vec<&[f32]> = if step == 0 {
        vec![&[]; now.tokens.len()]
    } else {
        let tokens = batch.schedule.step(step - 1).tokens;
        let state = |&token: &u32| &states[token as usize * stride..][..dim];
        tokens[..now.tokens.len()].iter().map(state).collect()
    };
    for &(lane, s) in now.starts {
        before[lane as usize] = batch.initial(n, s as usize, dim).unwrap_or(&[]);
    }
    before
}

/// One phase of a step back of one lane.
struct Lane<'a> {
    phase: usize,
    order: Order,
    kept: &'a mut [f32],
    /// Out: gradients of the sums of the phase.
    sums: &'a mut [f32],
    /// Gradient of h_t from outside the recurrence.
    upstream: &'a [f32],
    /// Gradient of what the next phase multiplied.
    gated: &'a [f32],
    /// h_{t-1}; empty means zeros.
    hidden: &'a [f32],
    /// c_t
    cell: &'a [f32],
    /// c_{t-1}; empty means zeros.
    cell_before: &'a [f32],
    /// In: gradient of h_t from the next step; out: of h_{t-1}, without products.
    carried: &'a mut [f32],
    /// In: gradient of c_t; out: of c_{t-1}.
    carried_cell: &'a mut [f32],
    vectors: &'a [f32],
}

fn apply<C: Formula>(isa: Isa, lane: Lane<'_>) {
    isa.run(Apply::<C>(lane, PhantomData));
}

struct Apply<'a, C>(Lane<'a>, PhantomData<C>);

impl<C: Formula> Kernel for Apply<'_, C> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let lane = self.0;
        let (form, order) = (C::FORM, lane.order);
        let (n_gates, has_cell) = (form.phases[lane.phase].gates.len(), form.spec.states > 1);
        let is_last = lane.phase + 1 == form.phases.len();
        for block in 0..order.units() / S::LANES {
            let first = block * S::LANES;
            // SAFETY: the features are promised by the caller; whole vectors lie
            // in the padded buffers, the others are read through `part`.
            unsafe {
                let zero = S::splat(0.0);
                let of_cell =
                    |values: &[f32]| if has_cell { part::<S>(values, first) } else { zero };
                let unit = UnitBack::<S> {
                    kept: lane.kept.as_mut_ptr().add(block * form.kept * S::LANES),
                    sums: lane.sums.as_mut_ptr().add(block * n_gates * S::LANES),
                    gated: if is_last { zero } else { part::<S>(lane.gated, first) },
                    hidden: if form.carries { part::<S>(lane.hidden, first) } else { zero },
                    cell: of_cell(lane.cell),
                    cell_before: of_cell(lane.cell_before),
                    vectors: lane.vectors.as_ptr().wrapping_add(first),
                    units: order.units(),
                };
                let mut hidden = part::<S>(lane.carried, first);
                if is_last {
                    let one = S::splat(1.0);
                    hidden = S::fma(one, part::<S>(lane.upstream, first), hidden);
                }
                let mut cell = of_cell(lane.carried_cell);
                C::backward::<S>(lane.phase, &unit, &mut hidden, &mut cell);
                if form.carries {
                    store_part::<S>(lane.carried, first, hidden);
                }
                if has_cell {
                    S::store(lane.carried_cell.as_mut_ptr().add(first), cell);
                }
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

/// Writes a vector from `first` on, as far as there are values.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
unsafe fn store_part<S: Simd>(values: &mut [f32], first: usize, vector: S::V) {
    // SAFETY: a whole vector lies in the slice, or in the array.
    unsafe {
        if first + S::LANES <= values.len() {
            return S::store(values.as_mut_ptr().add(first), vector);
        }
        let mut lanes = [0.0; 16];
        S::store(lanes.as_mut_ptr(), vector);
        let rest = values.get_mut(first..).unwrap_or_default();
        rest.copy_from_slice(&lanes[..rest.len()]);
    }
}

//! Back-propagation through time.

use std::marker::PhantomData;

use rayon::prelude::*;

use super::{
    Batch, Features, Gradients, Pass, Saved, SavedLayout, Upstream, Weights, WeightsMut,
    formula::{Form, Formula, UnitBack},
    layout::Order,
    parts::Parts,
};
use crate::{
    Isa, Result,
    buffer::{Buffer, Shared, apart},
    error::{expect_len, size},
    gemm::{Init, Outer, Packed, Right, Rows, product, product_on},
    simd::{Kernel, Simd},
};

/// Gradients of everything a batch was computed from.
pub(super) fn backward<C: Formula>(
    weights: &Weights<'_>,
    pass: Pass<'_>,
    mut saved: Saved,
    upstream: Upstream<'_>,
) -> Result<Gradients> {
    let Pass { features, batch, hidden, is_constant } = pass;
    let (schedule, dim) = (batch.schedule, weights.hidden_dim);
    let (tokens, states) = (schedule.tokens(), C::FORM.spec.states);
    let state_len = size(states * schedule.sequences(), dim);
    weights.check(C::FORM)?;
    batch.check(dim, states)?;
    saved.kept.check(C::FORM, dim, tokens)?;
    expect_len("saved hidden states", hidden.len(), size(tokens, dim))?;
    let rows = features.check(tokens, weights.input_dim)?;
    expect_len("gradient of the hidden states", upstream.hidden.len(), size(tokens, dim))?;
    expect_len("gradient of the last states", upstream.last.len(), state_len)?;

    let initial = through_time::<C>(weights, batch, hidden, &mut saved.kept, upstream);
    let SavedLayout { order, kept, cells, gated } = &saved.kept;
    let mut gradients = vec![0.0; weights.len()];
    let WeightsMut { weight_ih, weight_hh, bias_ih, bias_hh, vectors } =
        weights.split(&mut gradients);
    recurrent(batch, hidden, *order, kept, gated, weight_hh);
    peepholes(batch, *order, kept, cells, vectors);
    let sums = token_sums(*order, kept);
    let by_row = features.by_row(kept, rows, order.kept());
    let ih = order.slots(&by_row, C::FORM.input_slots);
    input_side(features, rows, weights.input_dim, *order, ih, weight_ih);
    biases(*order, &sums, bias_ih, bias_hh);
    let input = match is_constant {
        true => Vec::new(),
        false => inputs(weights, rows, *order, &by_row),
    };
    Ok(Gradients { input, weights: gradients, initial })
}

/// Gradient of the recurrent weights: the products of each sum's gradient with
/// what was multiplied.
fn recurrent(
    batch: Batch<'_>,
    hidden: &[f32],
    order: Order,
    kept: &[f32],
    gated: &[f32],
    gradient: &mut [f32],
) {
    let (dim, units) = (order.hidden_dim, order.units());
    let before = hidden_before(batch, hidden, dim);
    for (number, phase) in order.form.phases.iter().enumerate() {
        let left = |token: usize| match number {
            0 => before[token],
            _ => Some(&gated[token * units..][..dim]),
        };
        let right = order.slots(kept, phase.slots);
        let rows = batch.schedule.tokens();
        outer(order, rows, left, dim, right, phase.gates, gradient);
    }
}

/// Gradient of the input weights.
fn input_side(
    features: Features<'_>,
    rows: usize,
    width: usize,
    order: Order,
    right: Right<'_>,
    gradient: &mut [f32],
) {
    let matrix = features.matrix();
    let left = |row: usize| Some(&matrix[row * width..(row + 1) * width]);
    outer(order, rows, left, width, right, order.all(), gradient);
}

/// Writes the products of rows with gradients of some gates, summed over the
/// rows, into the rows of the weights of these gates.
fn outer<'b>(
    order: Order,
    rows: usize,
    left: impl Fn(usize) -> Option<&'b [f32]> + Sync,
    width: usize,
    right: Right<'_>,
    gates: &[usize],
    gradient: &mut [f32],
) {
    let Order { isa, precision, .. } = order;
    let columns = gates.len() * order.units();
    Outer { isa, precision, rows, left, width, right, columns }
        .sum(|column| order.row(gates, column), gradient);
}

/// Sums over all tokens of what is kept, `[kept * units]`: a table of one row
/// that every token picks.
fn token_sums(order: Order, kept: &[f32]) -> Vec<f32> {
    let ids = vec![0; kept.len() / order.kept()];
    Features::Table { table: &[], ids: &ids }.by_row(kept, 1, order.kept()).into_owned()
}

/// Gradients of the biases, from the sums over all tokens.
fn biases(order: Order, sums: &[f32], bias_ih: &mut [f32], bias_hh: &mut [f32]) {
    let fill = |bias: &mut [f32], gates: &[usize], slots: &[usize]| {
        for (column, &sum) in order.picked(sums, slots).iter().enumerate() {
            if let Some(row) = order.row(gates, column) {
                bias[row] = sum;
            }
        }
    };
    fill(bias_ih, order.all(), order.form.input_slots);
    for phase in order.form.phases {
        fill(bias_hh, phase.gates, phase.slots);
    }
}

/// Gradients of the diagonal weights: the sums of each gate's gradient times
/// the cell state that it saw.
fn peepholes(batch: Batch<'_>, order: Order, kept: &[f32], cells: &[f32], gradient: &mut [f32]) {
    let (dim, units, lanes) = (order.hidden_dim, order.units(), order.lanes());
    let rows = gradient.par_chunks_mut(dim.max(1)).zip(order.form.peepholes);
    rows.for_each(|(gradient, peephole)| {
        for step in 0..batch.schedule.n_steps() {
            let tokens = batch.schedule.step(step).tokens;
            let before = states_before(batch, cells, units, 1, step, dim);
            for (&token, before) in tokens.iter().zip(before) {
                let token = token as usize;
                let kept = &kept[token * order.kept()..][..order.kept()];
                let now = &cells[token * units..][..dim];
                let cell = if peephole.is_before { before } else { now };
                for (unit, (sum, cell)) in gradient.iter_mut().zip(cell).enumerate() {
                    let block = unit / lanes * order.form.kept + peephole.slot;
                    *sum += kept[block * lanes + unit % lanes] * cell;
                }
            }
        }
    });
}

/// Gradient of the rows of the input.
fn inputs(weights: &Weights<'_>, rows: usize, order: Order, kept: &[f32]) -> Vec<f32> {
    let dim = weights.input_dim;
    let back = order.pack_rows(order.all(), weights.weight_ih, dim);
    let mut gradient = vec![0.0; rows * dim];
    let own;
    let gates = if order.form.input_slots.iter().copied().eq(0..order.form.kept) {
        kept
    } else {
        own = order.picked(kept, order.form.input_slots);
        &own
    };
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

/// Turns what was kept into gradients, last step first; returns the gradient of
/// the initial states.
fn through_time<C: Formula>(
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
fn states_before<'a>(
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

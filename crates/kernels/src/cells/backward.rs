//! Gradients of everything that a batch was computed from.

use rayon::prelude::*;

use super::{
    Batch, Features, Gradients, Pass, Saved, SavedLayout, Upstream, Weights, WeightsMut,
    formula::Formula,
    layout::Order,
    through_time::{states_before, through_time},
};
use crate::{
    Result,
    error::{expect_len, size},
    gemm::{Init, Outer, Right, Rows, product},
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

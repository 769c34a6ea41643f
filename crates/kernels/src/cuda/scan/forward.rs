//! The way there.

use candle_core::Result;

use super::{
    Arguments, Begin, Factor, Kept, Multiplied, Scanned, Shape, Uploaded,
    resident::{Read, Residence},
    value,
};
use crate::cuda::{Address, Device, Kernel, Matrix, Module, Product};

/// `Forward` in `cells.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct ForwardArguments {
    tokens: Address,
    ends: Address,
    sums: Address,
    input: Address,
    bias_ih: Address,
    bias_hh: Address,
    vectors: Address,
    hidden: Address,
    cell: Address,
    next_hidden: Address,
    next_cell: Address,
    words: Address,
    gated: Address,
    gated_words: Address,
    kept: Address,
    out: Address,
    last: Address,
    lanes: u32,
    units: u32,
    sequences: u32,
    gates: u32,
}

/// Scans a batch, keeping what the way back needs if `keep` says so.
///
/// # Safety
/// The arguments are shaped as they should be.
pub(crate) unsafe fn forward<D: Device>(
    device: &D,
    shape: &Shape<'_>,
    arguments: Arguments,
    keep: bool,
) -> Result<Scanned<D::Memory>> {
    shape.check()?;
    let (form, dim, rows, gates) = (shape.form(), shape.hidden_dim, shape.rows(), shape.gates());
    let (is_short, lanes) = (shape.is_short(), shape.schedule.lanes());
    let parts = shape.parts(arguments.weights);
    let out = device.alloc(rows * dim + shape.states())?;
    let last = value(device.address(&out), rows * dim);
    // Sequences without a token end as they began.
    // SAFETY: both have the size of all states.
    unsafe { device.copy(arguments.initial, last, shape.states())? };

    let input = device.alloc(rows * gates)?;
    let input_address = device.address(&input);
    // SAFETY: sizes are those of the arguments and of the memory just made.
    let recurrent = unsafe {
        let x = Factor::of(device, arguments.input, rows * shape.input_dim, is_short)?;
        let weights = gates * shape.input_dim;
        let weight_ih = Factor::of(device, parts.weight_ih, weights, is_short)?;
        device.multiply(Product {
            size: [rows, gates, shape.input_dim],
            left: Matrix::new(x.at(device, 0), shape.input_dim),
            right: Matrix::transposed(weight_ih.at(device, 0), shape.input_dim),
            out: input_address,
            out_stride: gates,
            is_added: false,
            is_short,
        })?;
        Factor::of(device, parts.weight_hh, gates * dim, is_short)?
    };

    // Without a way back, the states of two steps and the values of one are enough.
    let room = if keep { rows } else { lanes };
    let plan = Uploaded::new(device, shape)?;
    let states = if keep { rows } else { 2 * lanes };
    let hidden = Multiplied::new(device, states * dim, is_short)?;
    let has_cell = form.spec.states > 1;
    let cell = has_cell.then(|| device.alloc(states * dim)).transpose()?;
    let is_gated = form.phases.len() > 1;
    let gated = is_gated.then(|| Multiplied::new(device, room * dim, is_short)).transpose()?;
    let values = device.alloc(room * form.kept * dim)?;
    let sums = device.alloc(lanes * gates)?;
    let sums_address = device.address(&sums);

    // Where the states before a step, and before the next one, begin.
    let state = |number: usize, row: usize| match keep {
        true => row * dim,
        false => number % 2 * lanes * dim,
    };
    let cell_at = |at: usize| cell.as_ref().map_or(0, |cell| value(device.address(cell), at));
    // A step from where its states, those of the next one, and what it keeps begin.
    let arguments_of = |first_row: usize, busy: usize, before: usize, after: usize, row: usize| {
        let of_step = |gated: &Multiplied<D::Memory>| {
            [gated.values(device, row * dim), gated.words(device, row * dim)]
        };
        let [gated, gated_words] = gated.as_ref().map_or([0; 2], of_step);
        ForwardArguments {
            tokens: plan.tokens(device, first_row),
            ends: plan.ends(device, first_row),
            sums: sums_address,
            input: input_address,
            bias_ih: parts.bias_ih,
            bias_hh: parts.bias_hh,
            vectors: parts.vectors,
            hidden: hidden.values(device, before),
            cell: cell_at(before),
            next_hidden: hidden.values(device, after),
            next_cell: cell_at(after),
            words: hidden.words(device, after),
            gated,
            gated_words,
            kept: value(device.address(&values), row * form.kept * dim),
            out: device.address(&out),
            last,
            lanes: busy as u32,
            units: dim as u32,
            sequences: shape.schedule.sequences() as u32,
            gates: form.spec.gates as u32,
        }
    };
    if let Some(residence) = Residence::of(device, shape) {
        let first = arguments_of(0, lanes, 0, 0, 0);
        let read = Read { plan: &plan, initial: arguments.initial, weights: parts.weight_hh, keep };
        // SAFETY: all has the sizes of the shape.
        unsafe { residence.forward(device, shape, first, read)? };
        let kept = Kept { plan, hidden, cell, gated, values };
        return Ok(Scanned { out, kept: keep.then_some(kept) });
    }
    for (number, place) in shape.steps() {
        let busy = place.lanes();
        let before = state(number, place.row);
        let after = state(number + 1, place.row + busy);
        let row = if keep { place.row } else { 0 };
        if !place.step.starts.is_empty() {
            let [lanes, sequences] = plan.starts(device, &place);
            let begin = Begin {
                lanes,
                sequences,
                states: arguments.initial,
                hidden: hidden.values(device, before),
                cell: cell_at(before),
                words: hidden.words(device, before),
                count: place.step.starts.len() as u32,
                units: dim as u32,
                all: shape.schedule.sequences() as u32,
                unused: 0,
            };
            let count = place.step.starts.len() * dim;
            // SAFETY: starting lanes and sequences are those of the schedule.
            unsafe { device.launch_each(Kernel(Module::Cells, "begin"), count, &begin)? };
        }
        for (phase, own) in form.phases.iter().enumerate() {
            let factor = match (phase, &gated) {
                (1.., Some(gated)) => gated.factor(device, row * dim),
                _ => hidden.factor(device, before),
            };
            let first = own.first_gate() * dim;
            let step = arguments_of(place.row, busy, before, after, row);
            // SAFETY: the step's lanes lie in what was made for all; a state after
            // the last step is written by no lane.
            unsafe {
                device.multiply(Product {
                    size: [busy, own.gates.len() * dim, dim],
                    left: Matrix::new(factor, dim),
                    right: Matrix::transposed(recurrent.at(device, first * dim), dim),
                    out: value(sums_address, first),
                    out_stride: gates,
                    is_added: false,
                    is_short,
                })?;
                shape.kernel("forward", phase, |kernel| {
                    device.launch_each(kernel, busy * dim, &step)
                })?;
            }
        }
    }
    let kept = Kept { plan, hidden, cell, gated, values };
    Ok(Scanned { out, kept: keep.then_some(kept) })
}

//! The way back.

use candle_core::Result;

use super::{
    Arguments, Begin, Factor, Gradients, Kept, Multiplied, Shape, Upstream,
    resident::{Read, Residence},
    value,
};
use crate::cuda::{Address, Device, Kernel, Matrix, Module, Product};

/// `Backward` in `cells.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct BackwardArguments {
    tokens: Address,
    ends: Address,
    vectors: Address,
    hidden: Address,
    cell: Address,
    kept: Address,
    upstream: Address,
    last: Address,
    d_gated: Address,
    d_hidden: Address,
    d_cell: Address,
    d_sums: Address,
    words: Address,
    d_input: Address,
    lanes: u32,
    units: u32,
    sequences: u32,
    gates: u32,
}

/// `Peepholes` in `cells.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Peepholes {
    d_sums: Address,
    cell: Address,
    kept: Address,
    parts: Address,
    d_vectors: Address,
    rows: u32,
    units: u32,
    part: u32,
    count: u32,
}

/// Rows whose gradients of peepholes one thread adds up.
const PART: usize = 64;

/// Gradients of a scan's arguments.
///
/// # Safety
/// The arguments are those of the scan that kept `kept`, and all are shaped as
/// they should be.
pub(crate) unsafe fn backward<D: Device>(
    device: &D,
    shape: &Shape<'_>,
    arguments: Arguments,
    kept: &Kept<D::Memory>,
    upstream: Upstream,
    wants_input: bool,
) -> Result<Gradients<D::Memory>> {
    let (form, dim, rows, gates) = (shape.form(), shape.hidden_dim, shape.rows(), shape.gates());
    let (is_short, lanes) = (shape.is_short(), shape.schedule.lanes());
    let parts = shape.parts(arguments.weights);
    let initial = device.alloc(shape.states())?;
    // SAFETY: both have the size of all states.
    unsafe { device.copy(upstream.last, device.address(&initial), shape.states())? };
    // SAFETY: the size is that of the argument.
    let recurrent = unsafe { Factor::of(device, parts.weight_hh, gates * dim, is_short)? };

    let d_sums = Multiplied::new(device, rows * gates, is_short)?;
    let d_input = device.alloc(rows * gates)?;
    let d_hidden = device.alloc(lanes * dim)?;
    let has_cell = form.spec.states > 1;
    let d_cell = has_cell.then(|| device.alloc(lanes * dim)).transpose()?;
    let d_gated = (form.phases.len() > 1).then(|| device.alloc(lanes * dim)).transpose()?;
    let address = |memory: &Option<D::Memory>, at| {
        memory.as_ref().map_or(0, |memory| value(device.address(memory), at))
    };
    let arguments_of = |row: usize, busy: usize| BackwardArguments {
        tokens: kept.plan.tokens(device, row),
        ends: kept.plan.ends(device, row),
        vectors: parts.vectors,
        hidden: kept.hidden.values(device, row * dim),
        cell: address(&kept.cell, row * dim),
        kept: value(device.address(&kept.values), row * form.kept * dim),
        upstream: upstream.hidden,
        last: upstream.last,
        d_gated: address(&d_gated, 0),
        d_hidden: device.address(&d_hidden),
        d_cell: address(&d_cell, 0),
        d_sums: d_sums.values(device, row * gates),
        words: d_sums.words(device, row * gates),
        d_input: device.address(&d_input),
        lanes: busy as u32,
        units: dim as u32,
        sequences: shape.schedule.sequences() as u32,
        gates: form.spec.gates as u32,
    };
    let residence = Residence::of(device, shape);
    if let Some(residence) = &residence {
        let initial = device.address(&initial);
        let read = Read { plan: &kept.plan, initial, weights: parts.weight_hh, keep: true };
        // SAFETY: all has the sizes of the shape.
        unsafe { residence.backward(device, shape, arguments_of(0, lanes), read)? };
    }
    let steps = shape.steps().rev().filter(|_| residence.is_none());
    for (_, place) in steps {
        let (busy, row) = (place.lanes(), place.row);
        let step = arguments_of(row, busy);
        for (phase, own) in form.phases.iter().enumerate().rev() {
            let first = own.first_gate() * dim;
            let out = if phase == 0 { device.address(&d_hidden) } else { address(&d_gated, 0) };
            // SAFETY: the step's lanes lie in what was made for all.
            unsafe {
                shape.kernel("backward", phase, |kernel| {
                    device.launch_each(kernel, busy * dim, &step)
                })?;
                device.multiply(Product {
                    size: [busy, dim, own.gates.len() * dim],
                    left: Matrix::new(d_sums.factor(device, row * gates + first), gates),
                    right: Matrix::new(recurrent.at(device, first * dim), dim),
                    out,
                    out_stride: dim,
                    is_added: phase == 0,
                    is_short,
                })?;
            }
        }
        if !place.step.starts.is_empty() {
            let [lanes, sequences] = kept.plan.starts(device, &place);
            let begin = Begin {
                lanes,
                sequences,
                states: device.address(&initial),
                hidden: device.address(&d_hidden),
                cell: address(&d_cell, 0),
                words: 0,
                count: place.step.starts.len() as u32,
                units: dim as u32,
                all: shape.schedule.sequences() as u32,
                unused: 0,
            };
            let count = place.step.starts.len() * dim;
            // SAFETY: starting lanes and sequences are those of the schedule.
            unsafe { device.launch_each(Kernel(Module::Cells, "begin_back"), count, &begin)? };
        }
    }
    // SAFETY: promised by the caller, and made above.
    let (weights, input) = unsafe {
        let back = Weighted { device, shape, arguments, kept, d_sums: &d_sums, d_input: &d_input };
        (back.weights()?, wants_input.then(|| back.input()).transpose()?)
    };
    Ok(Gradients { input, weights, initial })
}

/// The gradients of all sums, about to become those of weights and input.
struct Weighted<'a, D: Device> {
    device: &'a D,
    shape: &'a Shape<'a>,
    arguments: Arguments,
    kept: &'a Kept<D::Memory>,
    /// `[rows, gates]`, in the order of the scan.
    d_sums: &'a Multiplied<D::Memory>,
    /// `[tokens, gates]`
    d_input: &'a D::Memory,
}

impl<D: Device> Weighted<'_, D> {
    /// # Safety
    /// All is shaped as it should be.
    unsafe fn weights(&self) -> Result<D::Memory> {
        let Self { device, shape, kept, d_sums, .. } = *self;
        let (form, dim, rows, gates) =
            (shape.form(), shape.hidden_dim, shape.rows(), shape.gates());
        let is_short = shape.is_short();
        let flat = device.zeros(form.spec.weights(shape.input_dim, dim))?;
        if rows == 0 {
            return Ok(flat);
        }
        let parts = shape.parts(device.address(&flat));
        // SAFETY: promised by the caller.
        unsafe {
            let d_input = device.address(self.d_input);
            let short = Factor::of(device, d_input, rows * gates, is_short)?;
            let x = Factor::of(device, self.arguments.input, rows * shape.input_dim, is_short)?;
            device.multiply(Product {
                size: [gates, shape.input_dim, rows],
                left: Matrix::transposed(short.at(device, 0), gates),
                right: Matrix::new(x.at(device, 0), shape.input_dim),
                out: parts.weight_ih,
                out_stride: shape.input_dim,
                is_added: false,
                is_short,
            })?;
            for (phase, own) in form.phases.iter().enumerate() {
                let first = own.first_gate() * dim;
                let right = match (phase, &kept.gated) {
                    (1.., Some(gated)) => gated.factor(device, 0),
                    _ => kept.hidden.factor(device, 0),
                };
                device.multiply(Product {
                    size: [own.gates.len() * dim, dim, rows],
                    left: Matrix::transposed(d_sums.factor(device, first), gates),
                    right: Matrix::new(right, dim),
                    out: value(parts.weight_hh, first * dim),
                    out_stride: dim,
                    is_added: false,
                    is_short,
                })?;
            }
            // Sums over rows are products with ones.
            let ones = device.upload(&vec![1.0_f32.to_bits(); rows])?;
            let both = [(parts.bias_ih, d_input), (parts.bias_hh, d_sums.values(device, 0))];
            for (out, rows_of) in both {
                device.multiply(Product {
                    size: [1, gates, rows],
                    left: Matrix::new(device.address(&ones), rows),
                    right: Matrix::new(rows_of, gates),
                    out,
                    out_stride: gates,
                    is_added: false,
                    is_short: false,
                })?;
            }
            if let (Some(cell), 1..) = (&kept.cell, form.peepholes.len()) {
                let (count, values) = (rows.div_ceil(PART), form.spec.vectors * dim);
                let parts_of = device.alloc(count * values)?;
                let peepholes = Peepholes {
                    d_sums: d_sums.values(device, 0),
                    cell: device.address(cell),
                    kept: device.address(&kept.values),
                    parts: device.address(&parts_of),
                    d_vectors: parts.vectors,
                    rows: rows as u32,
                    units: dim as u32,
                    part: PART as u32,
                    count: count as u32,
                };
                let kernel = |name| Kernel(Module::Cells, name);
                device.launch_each(kernel("peepholes_parts"), count * values, &peepholes)?;
                device.launch_each(kernel("peepholes_back"), values, &peepholes)?;
            }
        }
        Ok(flat)
    }

    /// # Safety
    /// All is shaped as it should be.
    unsafe fn input(&self) -> Result<D::Memory> {
        let Self { device, shape, .. } = *self;
        let (rows, gates, is_short) = (shape.rows(), shape.gates(), shape.is_short());
        let out = device.alloc(rows * shape.input_dim)?;
        let parts = shape.parts(self.arguments.weights);
        // SAFETY: promised by the caller.
        unsafe {
            let weights = gates * shape.input_dim;
            let weight_ih = Factor::of(device, parts.weight_ih, weights, is_short)?;
            let short = Factor::of(device, device.address(self.d_input), rows * gates, is_short)?;
            device.multiply(Product {
                size: [rows, shape.input_dim, gates],
                left: Matrix::new(short.at(device, 0), gates),
                right: Matrix::new(weight_ih.at(device, 0), shape.input_dim),
                out: device.address(&out),
                out_stride: shape.input_dim,
                is_added: false,
                is_short,
            })?;
        }
        Ok(out)
    }
}

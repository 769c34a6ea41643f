//! The scan of a batch on a device, and its way back.
//!
//! The input side of all tokens is one product. Then each step is, phase by
//! phase, a product of the states before it with the recurrent weights and one
//! kernel that applies the formula of the cell. On the way back the gradients of
//! all sums are kept, so that those of the weights are one product each.

use candle_core::{Result, bail};

use super::{Address, Device, Kernel, Matrix, Module, Product};
use crate::{
    Schedule, Step,
    cells::{CellKind, Form, Phase, Precision},
};

/// Bytes of a value.
const VALUE: u64 = 4;
/// Bytes of a bf16 value.
const WORD: u64 = 2;

/// What a scan is of.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) kind: CellKind,
    pub(crate) schedule: &'a Schedule,
    pub(crate) input_dim: usize,
    pub(crate) hidden_dim: usize,
    pub(crate) precision: Precision,
}

/// Addresses of what a scan reads.
#[derive(Clone, Copy)]
pub(crate) struct Arguments {
    /// `[tokens, input_dim]`
    pub(crate) input: Address,
    /// All weights, one behind the other in the order of `Weights`.
    pub(crate) weights: Address,
    /// `[states, sequences, hidden_dim]`
    pub(crate) initial: Address,
}

/// Addresses of the gradients that come into the way back.
#[derive(Clone, Copy)]
pub(crate) struct Upstream {
    /// `[tokens, hidden_dim]`
    pub(crate) hidden: Address,
    /// `[states, sequences, hidden_dim]`
    pub(crate) last: Address,
}

/// Gradients, as [`crate::cells::Gradients`].
pub(crate) struct Gradients<M> {
    /// `[tokens, input_dim]`, if it is wanted.
    pub(crate) input: Option<M>,
    pub(crate) weights: M,
    pub(crate) initial: M,
}

/// What a scan computes.
pub(crate) struct Scanned<M> {
    /// Hidden states and, behind them, the last states: `[tokens, hidden_dim]` and
    /// `[states, sequences, hidden_dim]`.
    pub(crate) out: M,
    /// What the way back needs, if there will be one.
    pub(crate) kept: Option<Kept<M>>,
}

/// What a scan keeps for its way back. Rows are those of the scan, step by step.
pub(crate) struct Kept<M> {
    plan: Uploaded<M>,
    /// States before each step, `[rows, hidden_dim]`.
    hidden: Multiplied<M>,
    cell: Option<M>,
    /// What the second phase multiplied.
    gated: Option<Multiplied<M>>,
    /// `[rows, kept * hidden_dim]`
    values: M,
}

/// Rows that are multiplied with recurrent weights, also as bf16 if the products
/// are.
struct Multiplied<M> {
    values: M,
    words: Option<M>,
}

/// A schedule in the device's memory.
struct Uploaded<M> {
    memory: M,
    rows: usize,
    starts: usize,
}

/// Where the parts of the flat weights begin.
#[derive(Clone, Copy)]
struct Parts {
    weight_ih: Address,
    weight_hh: Address,
    bias_ih: Address,
    bias_hh: Address,
    vectors: Address,
}

/// `Forward` in `cells.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct ForwardArguments {
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
    unused: u32,
}

/// `Backward` in `cells.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct BackwardArguments {
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
    unused: u32,
}

/// `Begin` in `cells.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Begin {
    lanes: Address,
    sequences: Address,
    states: Address,
    hidden: Address,
    cell: Address,
    words: Address,
    count: u32,
    units: u32,
    all: u32,
    unused: u32,
}

/// `Peepholes` in `cells.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Peepholes {
    d_sums: Address,
    cell: Address,
    kept: Address,
    d_vectors: Address,
    rows: u32,
    units: u32,
}

impl Shape<'_> {
    fn form(&self) -> &'static Form {
        self.kind.form()
    }

    fn is_short(&self) -> bool {
        self.precision != Precision::F32
    }

    /// Rows of the scan: one a token.
    fn rows(&self) -> usize {
        self.schedule.tokens()
    }

    /// Sums of a row.
    fn gates(&self) -> usize {
        self.form().spec.gates * self.hidden_dim
    }

    /// Values of the states of all sequences.
    pub(crate) fn states(&self) -> usize {
        self.form().spec.states * self.schedule.sequences() * self.hidden_dim
    }

    fn parts(&self, weights: Address) -> Parts {
        let (rows, dims) = (self.gates(), [self.input_dim, self.hidden_dim]);
        let weight_hh = value(weights, rows * dims[0]);
        let bias_ih = value(weight_hh, rows * dims[1]);
        let bias_hh = value(bias_ih, rows);
        Parts { weight_ih: weights, weight_hh, bias_ih, bias_hh, vectors: value(bias_hh, rows) }
    }

    /// Row of the scan at which each step begins.
    fn steps(&self) -> impl DoubleEndedIterator<Item = (usize, Place<'_>)> {
        let (mut row, mut start) = (0, 0);
        let places: Vec<Place<'_>> = (0..self.schedule.n_steps())
            .map(|number| {
                let step = self.schedule.step(number);
                let place = Place { step, row, start };
                row += step.tokens.len();
                start += step.starts.len();
                place
            })
            .collect();
        places.into_iter().enumerate()
    }

    fn kernel<R>(&self, way: &str, phase: usize, run: impl FnOnce(Kernel<'_>) -> R) -> R {
        let cell = self.form().spec.name.replace('-', "_");
        run(Kernel(Module::Cells, &format!("{cell}_{way}_{phase}")))
    }

    fn check(&self) -> Result<()> {
        let largest = self.gates().max(self.rows()).max(self.input_dim);
        match i32::try_from(largest) {
            Ok(_) => Ok(()),
            Err(_) => bail!("a recurrent layer of {largest} rows or columns on a GPU"),
        }
    }
}

/// A step and where its rows and starting sequences lie.
#[derive(Clone, Copy)]
struct Place<'a> {
    step: Step<'a>,
    row: usize,
    start: usize,
}

impl Place<'_> {
    fn lanes(&self) -> usize {
        self.step.tokens.len()
    }
}

/// Address of a value, counted from another.
fn value(at: Address, count: usize) -> Address {
    at + VALUE * count as u64
}

impl Phase {
    /// The gates of a phase, which lie side by side.
    fn first_gate(&self) -> usize {
        self.gates[0]
    }
}

impl<M> Uploaded<M> {
    /// Tokens and ends of all rows, then lanes and sequences of all starts.
    fn new<D: Device<Memory = M>>(device: &D, shape: &Shape<'_>) -> Result<Self> {
        let rows = shape.rows();
        let mut ends = vec![u32::MAX; rows];
        let (mut tokens, mut lanes, mut sequences) = (Vec::with_capacity(rows), vec![], vec![]);
        for (_, Place { step, row, .. }) in shape.steps() {
            tokens.extend_from_slice(step.tokens);
            lanes.extend(step.starts.iter().map(|start| start.0));
            sequences.extend(step.starts.iter().map(|start| start.1));
            for &(lane, sequence) in step.ends {
                ends[row + lane as usize] = sequence;
            }
        }
        let starts = lanes.len();
        let memory = device.upload(&[tokens, ends, lanes, sequences].concat())?;
        Ok(Self { memory, rows, starts })
    }

    fn tokens<D: Device<Memory = M>>(&self, device: &D, place: &Place<'_>) -> Address {
        value(device.address(&self.memory), place.row)
    }

    fn ends<D: Device<Memory = M>>(&self, device: &D, place: &Place<'_>) -> Address {
        value(device.address(&self.memory), self.rows + place.row)
    }

    /// Lanes and sequences of the starts of a step.
    fn starts<D: Device<Memory = M>>(&self, device: &D, place: &Place<'_>) -> [Address; 2] {
        let first = value(device.address(&self.memory), 2 * self.rows + place.start);
        [first, value(first, self.starts)]
    }
}

impl<M> Multiplied<M> {
    fn new<D: Device<Memory = M>>(device: &D, len: usize, is_short: bool) -> Result<Self> {
        let words = is_short.then(|| device.alloc(len.div_ceil(2))).transpose()?;
        Ok(Self { values: device.alloc(len)?, words })
    }

    fn values<D: Device<Memory = M>>(&self, device: &D, at: usize) -> Address {
        value(device.address(&self.values), at)
    }

    fn words<D: Device<Memory = M>>(&self, device: &D, at: usize) -> Address {
        self.words.as_ref().map_or(0, |words| device.address(words) + WORD * at as u64)
    }

    /// What is multiplied, from a value on.
    fn factor<D: Device<Memory = M>>(&self, device: &D, at: usize) -> Address {
        match self.words(device, at) {
            0 => self.values(device, at),
            words => words,
        }
    }
}

/// Values as a factor of a product in the precision of a scan: where they lie, or
/// a copy as bf16.
enum Factor<M> {
    There(Address),
    Words(M),
}

impl<M> Factor<M> {
    /// # Safety
    /// There are so many values.
    unsafe fn of<D>(device: &D, at: Address, count: usize, is_short: bool) -> Result<Self>
    where
        D: Device<Memory = M>,
    {
        if !is_short || count == 0 {
            return Ok(Self::There(at));
        }
        let words = device.alloc(count.div_ceil(2))?;
        // SAFETY: promised by the caller; the room was just made.
        unsafe { device.to_words(at, device.address(&words), count)? };
        Ok(Self::Words(words))
    }

    /// From a value on.
    fn at<D: Device<Memory = M>>(&self, device: &D, at: usize) -> Address {
        match self {
            Self::There(address) => value(*address, at),
            Self::Words(words) => device.address(words) + WORD * at as u64,
        }
    }
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
            let of_step = |gated: &Multiplied<D::Memory>| {
                [gated.values(device, row * dim), gated.words(device, row * dim)]
            };
            let [gated, gated_words] = gated.as_ref().map_or([0; 2], of_step);
            let step = ForwardArguments {
                tokens: plan.tokens(device, &place),
                ends: plan.ends(device, &place),
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
                unused: 0,
            };
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
    for (_, place) in shape.steps().rev() {
        let (busy, row) = (place.lanes(), place.row);
        let step = BackwardArguments {
            tokens: kept.plan.tokens(device, &place),
            ends: kept.plan.ends(device, &place),
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
            unused: 0,
        };
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
                let peepholes = Peepholes {
                    d_sums: d_sums.values(device, 0),
                    cell: device.address(cell),
                    kept: device.address(&kept.values),
                    d_vectors: parts.vectors,
                    rows: rows as u32,
                    units: dim as u32,
                };
                let kernel = Kernel(Module::Cells, "peepholes_back");
                device.launch_each(kernel, form.spec.vectors * dim, &peepholes)?;
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

#[cfg(all(test, target_os = "linux"))]
#[path = "scan_tests.rs"]
mod tests;

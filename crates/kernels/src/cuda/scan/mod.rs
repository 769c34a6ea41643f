//! The scan of a batch on a device, and its way back.
//!
//! The input side of all tokens is one product. Then each step is, phase by
//! phase, a product of the states before it with the recurrent weights and one
//! kernel that applies the formula of the cell. Where the recurrent weights fit into
//! what the multiprocessors share, all steps are one kernel ([`resident`]). On the way back the gradients of
//! all sums are kept, so that those of the weights are one product each.

mod backward;
mod forward;
mod resident;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use candle_core::{Result, bail};

pub(crate) use self::{backward::backward, forward::forward};
use super::{Address, Device, Kernel, Module};
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

/// A schedule in the device's memory: tokens, ends and begins of all rows, the first row of
/// each step, and lanes and sequences of all starts.
struct Uploaded<M> {
    memory: M,
    rows: usize,
    steps: usize,
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

    /// The cell, as the kernels call it.
    fn name(&self) -> String {
        self.form().spec.name.replace('-', "_")
    }

    fn kernel<R>(&self, way: &str, phase: usize, run: impl FnOnce(Kernel<'_>) -> R) -> R {
        run(Kernel(Module::Cells, &format!("{}_{way}_{phase}_step", self.name())))
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
    fn new<D: Device<Memory = M>>(device: &D, shape: &Shape<'_>) -> Result<Self> {
        let rows = shape.rows();
        let (mut ends, mut begins) = (vec![u32::MAX; rows], vec![u32::MAX; rows]);
        let (mut tokens, mut lanes, mut sequences) = (Vec::with_capacity(rows), vec![], vec![]);
        let mut firsts = vec![0];
        for (_, Place { step, row, .. }) in shape.steps() {
            tokens.extend_from_slice(step.tokens);
            firsts.push((row + step.tokens.len()) as u32);
            for &(lane, sequence) in step.starts {
                lanes.push(lane);
                sequences.push(sequence);
                begins[row + lane as usize] = sequence;
            }
            for &(lane, sequence) in step.ends {
                ends[row + lane as usize] = sequence;
            }
        }
        let (starts, steps) = (lanes.len(), firsts.len() - 1);
        let parts = [tokens, ends, begins, firsts, lanes, sequences];
        let memory = device.upload(&parts.concat())?;
        Ok(Self { memory, rows, steps, starts })
    }

    fn at<D: Device<Memory = M>>(&self, device: &D, at: usize) -> Address {
        value(device.address(&self.memory), at)
    }

    fn tokens<D: Device<Memory = M>>(&self, device: &D, row: usize) -> Address {
        self.at(device, row)
    }

    fn ends<D: Device<Memory = M>>(&self, device: &D, row: usize) -> Address {
        self.at(device, self.rows + row)
    }

    fn begins<D: Device<Memory = M>>(&self, device: &D) -> Address {
        self.at(device, 2 * self.rows)
    }

    /// The first row of each step, and their number.
    fn firsts<D: Device<Memory = M>>(&self, device: &D) -> Address {
        self.at(device, 3 * self.rows)
    }

    /// Lanes and sequences of the starts of a step.
    fn starts<D: Device<Memory = M>>(&self, device: &D, place: &Place<'_>) -> [Address; 2] {
        let first = 3 * self.rows + self.steps + 1 + place.start;
        [self.at(device, first), self.at(device, first + self.starts)]
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

//! What a cell computes between the products, vector of units by vector.

use super::Spec;
use crate::{
    Error, Result,
    activation::Activation,
    simd::{Simd, TILE_VECTORS},
};

/// A product with recurrent weights, and what is computed from its sums.
///
/// The first phase multiplies the hidden state, one after it what the phase
/// before it left in [`Unit::gated`].
#[derive(Debug)]
pub(crate) struct Phase {
    /// Gates whose weights it multiplies, in the order of the sums.
    pub(crate) gates: &'static [usize],
    /// Of each, whether its sum starts from the input side, biases included;
    /// else it starts from `bias_hh`, and the formula adds the input.
    pub(crate) from_input: &'static [bool],
    /// Where the way back leaves the gradient of each sum among what is kept.
    pub(crate) slots: &'static [usize],
}

impl Phase {
    /// Vectors of units whose sums fill whole panels.
    pub(crate) const fn blocks(&self) -> usize {
        match self.gates.len() {
            4 => 1,
            2 => 2,
            1 | 3 => 4,
            // Of no form: they are constants, and every test of a cell comes by here.
            _ => panic!("a phase has one to four gates"),
        }
    }

    /// Panels that these fill.
    pub(crate) const fn panels(&self) -> usize {
        self.blocks() * self.gates.len() / TILE_VECTORS
    }
}

/// A diagonal weight between the cell state and a gate.
#[derive(Debug)]
pub(crate) struct Peephole {
    /// Where the way back leaves the gradient of its gate.
    pub(crate) slot: usize,
    /// Whether it sees the cell state before the step, not after it.
    pub(crate) is_before: bool,
}

/// The shape of a cell's step.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) spec: Spec,
    pub(crate) phases: &'static [Phase],
    /// Values a unit keeps of a step for the way back, beside its states.
    pub(crate) kept: usize,
    /// Where the way back leaves the gradient of the input side of each gate.
    pub(crate) input_slots: &'static [usize],
    /// Whether h_{t-1} reaches h_t past the products, too.
    pub(crate) carries: bool,
    /// The diagonal weights, as many as [`Spec::vectors`].
    pub(crate) peepholes: &'static [Peephole],
}

impl Form {
    /// Checks that an argument is one of this cell.
    pub(super) fn expect(&self, what: &'static str, other: &Self) -> Result<()> {
        // Of two cells the names differ, whatever the compiler shares.
        let (want, found) = (self.spec.name, other.spec.name);
        if want == found { Ok(()) } else { Err(Error::Cell { what, want, found }) }
    }

    /// Vectors of units that the hidden size is rounded up to.
    pub(super) fn blocks(&self) -> usize {
        self.phases.iter().map(Phase::blocks).max().unwrap_or(1)
    }
}

/// A vector of units of one lane in one phase of a step.
///
/// The pointers are good for a vector, or for as many as the method that reads
/// them says.
#[derive(Clone, Copy)]
pub(super) struct Unit {
    /// The sums of the phase, gate by gate.
    pub(super) sums: *const f32,
    /// The input side, gate by gate.
    pub(super) input: *const f32,
    /// In: h_{t-1}; out, in the last phase: h_t.
    pub(super) hidden: *mut f32,
    /// In: c_{t-1}; out, in the last phase: c_t.
    pub(super) cell: *mut f32,
    /// Out, but in the last phase: what the next one multiplies.
    pub(super) gated: *mut f32,
    /// What is kept, slot by slot; null if nothing is, and never between the
    /// phases of a step.
    pub(super) kept: *mut f32,
    /// Diagonal weights, `units` apart.
    pub(super) vectors: *const f32,
    pub(super) units: usize,
}

/// Every method needs the processor features of `S`.
impl Unit {
    /// The sum of a gate of this phase.
    #[inline(always)]
    pub(super) unsafe fn sum<S: Simd>(&self, n: usize) -> S::V {
        // SAFETY: there is one for each gate of the phase.
        unsafe { S::load(self.sums.add(n * S::LANES)) }
    }

    /// The input side of a gate of the cell.
    #[inline(always)]
    pub(super) unsafe fn input<S: Simd>(&self, gate: usize) -> S::V {
        // SAFETY: there is one for each gate of the cell.
        unsafe { S::load(self.input.add(gate * S::LANES)) }
    }

    /// A diagonal weight.
    #[inline(always)]
    pub(super) unsafe fn vector<S: Simd>(&self, n: usize) -> S::V {
        // SAFETY: there is one for each diagonal weight of the cell.
        unsafe { S::load(self.vectors.add(n * self.units)) }
    }

    /// Keeps a value, if values are kept.
    #[inline(always)]
    pub(super) unsafe fn keep<S: Simd>(&self, slot: usize, value: S::V) {
        if !self.kept.is_null() {
            // SAFETY: there is room for each slot.
            unsafe { S::store(self.kept.add(slot * S::LANES), value) }
        }
    }

    /// A value that an earlier phase kept.
    #[inline(always)]
    pub(super) unsafe fn kept<S: Simd>(&self, slot: usize) -> S::V {
        // SAFETY: each slot was written by an earlier phase of this step.
        unsafe { S::load(self.kept.add(slot * S::LANES)) }
    }
}

/// The same on the way back.
#[derive(Clone, Copy)]
pub(super) struct UnitBack<S: Simd> {
    /// In: what was kept; out: gradients of the sums and of the input side, in
    /// the slots that the form names.
    pub(super) kept: *mut f32,
    /// Out: gradients of the sums of the phase, gate by gate.
    pub(super) sums: *mut f32,
    /// Gradient of what the next phase multiplied; of no use in the last one.
    pub(super) gated: S::V,
    /// h_{t-1}
    pub(super) hidden: S::V,
    /// c_t
    pub(super) cell: S::V,
    /// c_{t-1}
    pub(super) cell_before: S::V,
    /// Diagonal weights, `units` apart.
    pub(super) vectors: *const f32,
    pub(super) units: usize,
}

/// Every method needs the processor features of `S`.
impl<S: Simd> UnitBack<S> {
    /// What was kept in a slot.
    #[inline(always)]
    pub(super) unsafe fn kept(&self, slot: usize) -> S::V {
        // SAFETY: there is room for each slot.
        unsafe { S::load(self.kept.add(slot * S::LANES)) }
    }

    /// Leaves a gradient in a slot.
    #[inline(always)]
    pub(super) unsafe fn leave(&self, slot: usize, value: S::V) {
        // SAFETY: there is room for each slot.
        unsafe { S::store(self.kept.add(slot * S::LANES), value) }
    }

    /// Hands the gradient of a sum of this phase to the product.
    #[inline(always)]
    pub(super) unsafe fn multiply(&self, n: usize, value: S::V) {
        // SAFETY: there is room for each gate of the phase.
        unsafe { S::store(self.sums.add(n * S::LANES), value) }
    }

    /// A diagonal weight.
    #[inline(always)]
    pub(super) unsafe fn vector(&self, n: usize) -> S::V {
        // SAFETY: there is one for each diagonal weight of the cell.
        unsafe { S::load(self.vectors.add(n * self.units)) }
    }
}

/// The mathematics of a cell.
pub(super) trait Formula: Copy + Send + Sync + 'static {
    /// The shape of its step.
    const FORM: &'static Form;

    /// One phase of a step.
    ///
    /// # Safety
    /// The processor has the features of `S`, and the pointers are good.
    unsafe fn forward<S: Simd, A: Activation>(phase: usize, unit: &Unit);

    /// One phase of a step back, the last phase first.
    ///
    /// `hidden`: in the last phase the gradient of h_t comes in; what goes out,
    /// and into the phase before, is that part of the gradient of h_{t-1} that
    /// is no product. `cell`: in the last phase the gradient of c_t comes in, and
    /// that of c_{t-1} goes out.
    ///
    /// # Safety
    /// The processor has the features of `S`, and the pointers are good.
    unsafe fn backward<S: Simd>(
        phase: usize,
        unit: &UnitBack<S>,
        hidden: &mut S::V,
        cell: &mut S::V,
    );
}

/// `1 - x²`: the slope of `tanh` where its value is `x`.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
pub(super) unsafe fn tanh_slope<S: Simd>(x: S::V) -> S::V {
    // SAFETY: promised by the caller.
    unsafe { S::sub(S::splat(1.0), S::mul(x, x)) }
}

/// `x (1 - x)`: the slope of the logistic function where its value is `x`.
///
/// # Safety
/// The processor has the features of `S`.
#[inline(always)]
pub(super) unsafe fn sigmoid_slope<S: Simd>(x: S::V) -> S::V {
    // SAFETY: promised by the caller.
    unsafe { S::mul(x, S::sub(S::splat(1.0), x)) }
}

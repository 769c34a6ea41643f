//! How a cell's weights and activations lie in memory.
//!
//! Units go by vectors, the hidden size rounded up to as many of them as the
//! cell's [`Form`] asks for. Values of a unit (gates, sums, what is kept) lie
//! vector of units by vector, in each value by value, in each unit by unit:
//! this is the packed order. Units past the last one have zero weights, and stay
//! zero in a scan.

use rayon::prelude::*;

use super::{
    Batch, Input, Weights,
    formula::{Form, Phase},
};
use crate::{
    Isa, Result,
    buffer::Buffer,
    error::{expect_len, size},
    gemm::{Init, Packed, Precision, Right, Rows, product},
};

/// Packed weights of a cell.
#[derive(Clone, Debug)]
pub struct CellWeights {
    form: &'static Form,
    phases: Vec<PhaseWeights>,
    input: Packed,
    /// What the input side starts from, in packed order.
    bias: Buffer,
    /// Diagonal weights, `[vectors, units]`.
    vectors: Buffer,
    hidden_dim: usize,
}

/// Recurrent weights of a phase.
#[derive(Clone, Debug)]
pub(super) struct PhaseWeights {
    pub(super) recurrent: Packed,
    /// What sums start from that do not start from the input side, in the order
    /// of the sums; zeros for the others.
    pub(super) start: Buffer,
}

impl CellWeights {
    pub(super) fn new(
        form: &'static Form,
        weights: &Weights<'_>,
        isa: Isa,
        precision: Precision,
    ) -> Result<Self> {
        weights.check(form)?;
        let hidden_dim = weights.hidden_dim;
        let order = Order { form, hidden_dim, isa, precision };
        let phases = form.phases.iter().map(|phase| {
            let n = order.units() * phase.gates.len();
            let row = |column| order.row(phase.gates, column);
            let mut start = Buffer::zeros(n);
            for (column, start) in start.iter_mut().enumerate() {
                let is_own = !phase.from_input[order.value(phase.gates.len(), column)];
                if let Some(row) = row(column).filter(|_| is_own) {
                    *start = weights.bias_hh[row];
                }
            }
            let recurrent =
                Packed::of_columns(isa, precision, weights.weight_hh, hidden_dim, n, row);
            PhaseWeights { recurrent, start }
        });
        Ok(Self {
            form,
            phases: phases.collect(),
            input: order.pack_input(weights),
            bias: order.bias(weights),
            vectors: order.vectors(weights),
            hidden_dim,
        })
    }

    /// Units.
    pub fn hidden_dim(&self) -> usize {
        self.hidden_dim
    }

    /// Columns of the input.
    pub fn input_dim(&self) -> usize {
        self.input.k()
    }

    /// Values of a row of the input side in packed order.
    pub fn gate_dim(&self) -> usize {
        self.bias.len()
    }

    /// Number format of the products.
    pub(super) fn precision(&self) -> Precision {
        self.phases[0].recurrent.precision()
    }

    pub(super) fn phase(&self, phase: usize) -> &PhaseWeights {
        &self.phases[phase]
    }

    pub(super) fn vectors(&self) -> *const f32 {
        self.vectors.as_ptr()
    }

    pub(super) fn order(&self) -> Order {
        let (isa, precision) = (self.phases[0].recurrent.isa(), self.precision());
        Order { form: self.form, hidden_dim: self.hidden_dim, isa, precision }
    }

    /// The input side of the pre-activations of `input`, `[tokens, input_dim]`:
    /// `[tokens, gate_dim]` in packed order.
    ///
    /// # Errors
    /// If `input` is no whole number of rows.
    pub fn project(&self, input: &[f32], tokens: usize) -> Result<Vec<f32>> {
        expect_len("input", input.len(), size(tokens, self.input_dim()))?;
        let mut gates = vec![0.0; tokens * self.gate_dim()];
        product(Rows::Major(input), tokens, &self.input, Init::Bias(&self.bias), &mut gates);
        Ok(gates)
    }
}

impl Weights<'_> {
    /// Checks the sizes.
    pub(super) fn check(&self, form: &Form) -> Result<()> {
        if self.hidden_dim == 0 {
            return Err(crate::Error::Length { what: "units", want: 1, found: 0 });
        }
        let rows = size(form.spec.gates, self.hidden_dim);
        expect_len("weight_ih", self.weight_ih.len(), size(rows, self.input_dim))?;
        expect_len("weight_hh", self.weight_hh.len(), size(rows, self.hidden_dim))?;
        expect_len("bias_ih", self.bias_ih.len(), rows)?;
        expect_len("bias_hh", self.bias_hh.len(), rows)?;
        expect_len("peephole", self.vectors.len(), size(form.spec.vectors, self.hidden_dim))
    }
}

/// The packed order of a cell's values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) form: &'static Form,
    pub(super) hidden_dim: usize,
    pub(super) isa: Isa,
    /// Number format of the products.
    pub(super) precision: Precision,
}

impl Order {
    pub(super) fn lanes(self) -> usize {
        self.isa.lanes()
    }

    /// Hidden units, rounded up.
    pub(super) fn units(self) -> usize {
        self.hidden_dim.next_multiple_of(self.lanes() * self.form.blocks())
    }

    /// Values of a row of the input side.
    pub(super) fn gates(self) -> usize {
        self.form.spec.gates * self.units()
    }

    /// Values of a row of what is kept.
    pub(super) fn kept(self) -> usize {
        self.form.kept * self.units()
    }

    /// The value, of `of` a unit, that a column holds.
    fn value(self, of: usize, column: usize) -> usize {
        column / self.lanes() % of
    }

    /// The unit that a column belongs to, if it is one, at `of` values a unit.
    pub(super) fn unit(self, of: usize, column: usize) -> Option<usize> {
        let unit = column / (self.lanes() * of) * self.lanes() + column % self.lanes();
        (unit < self.hidden_dim).then_some(unit)
    }

    /// Row of the stored weights that a column of some gates holds.
    pub(super) fn row(self, gates: &[usize], column: usize) -> Option<usize> {
        let unit = self.unit(gates.len(), column)?;
        Some(gates[self.value(gates.len(), column)] * self.hidden_dim + unit)
    }

    /// All gates of the cell.
    pub(super) fn all(self) -> &'static [usize] {
        &[0, 1, 2, 3][..self.form.spec.gates]
    }

    /// The input weights.
    pub(super) fn pack_input(self, weights: &Weights<'_>) -> Packed {
        let Self { isa, precision, .. } = self;
        let (k, n, b) = (weights.input_dim, self.gates(), weights.weight_ih);
        Packed::of_columns(isa, precision, b, k, n, |column| self.row(self.all(), column))
    }

    /// What the input side of each gate starts from: `bias_ih`, and `bias_hh`
    /// where the recurrent sum starts from the input side.
    pub(super) fn bias(self, weights: &Weights<'_>) -> Buffer {
        let joins = |gate: usize| {
            let at = |phase: &Phase| {
                phase.gates.iter().position(|&g| g == gate).is_some_and(|n| phase.from_input[n])
            };
            self.form.phases.iter().any(at)
        };
        let mut bias = Buffer::zeros(self.gates());
        for (column, bias) in bias.iter_mut().enumerate() {
            if let Some(row) = self.row(self.all(), column) {
                *bias = weights.bias_ih[row];
                if joins(self.value(self.form.spec.gates, column)) {
                    *bias += weights.bias_hh[row];
                }
            }
        }
        bias
    }

    /// Diagonal weights, `[vectors, units]`.
    pub(super) fn vectors(self, weights: &Weights<'_>) -> Buffer {
        let (n, dim) = (self.form.spec.vectors, self.hidden_dim);
        let mut vectors = Buffer::zeros(n * self.units());
        for (to, from) in vectors.chunks_exact_mut(self.units()).zip(weights.vectors.chunks(dim)) {
            to[..dim].copy_from_slice(from);
        }
        vectors
    }

    /// Weights `[gates * hidden_dim, columns]` as the right operand of a product
    /// with some gates in packed order.
    pub(super) fn pack_rows(self, gates: &[usize], weights: &[f32], columns: usize) -> Packed {
        let Self { isa, precision, .. } = self;
        let k = gates.len() * self.units();
        Packed::of_rows(isa, precision, weights, k, columns, |column| self.row(gates, column))
    }

    /// Some slots of rows of what is kept.
    pub(super) fn slots<'a>(self, kept: &'a [f32], slots: &'a [usize]) -> Right<'a> {
        Right::slots(kept, self.kept(), self.lanes(), self.form.kept, slots)
    }

    /// The same, copied: `[rows, slots * units]`.
    pub(super) fn picked(self, kept: &[f32], slots: &[usize]) -> Vec<f32> {
        // Every vector is a whole number of these.
        const PIECE: usize = 8;
        let (pieces, of) = (self.lanes() / PIECE, self.form.kept * self.units());
        let mut picked = vec![0.0; kept.len() / self.form.kept * slots.len()];
        let rows = picked.par_chunks_exact_mut(slots.len() * self.units());
        rows.zip(kept.par_chunks_exact(of)).for_each(|(to, from)| {
            let from = from.as_chunks::<PIECE>().0.chunks_exact(self.form.kept * pieces);
            let to = to.as_chunks_mut::<PIECE>().0.chunks_exact_mut(slots.len() * pieces);
            for (to, from) in to.zip(from) {
                for (to, slot) in to.chunks_exact_mut(pieces).zip(slots) {
                    to.copy_from_slice(&from[slot * pieces..(slot + 1) * pieces]);
                }
            }
        });
        picked
    }
}

/// What a forward pass keeps.
#[derive(Debug)]
pub(super) struct Saved {
    /// The order of the values, and the instruction set that computed them.
    pub(super) order: Order,
    /// Values for the way back, `[tokens, kept * units]` in packed order.
    pub(super) kept: Buffer,
    /// Cell states, `[tokens, units]`, if the cell has them.
    pub(super) cells: Buffer,
    /// What the second phase multiplied, `[tokens, units]`, if there is one.
    pub(super) gated: Buffer,
}

impl Saved {
    /// Checks that a forward pass over so many tokens and units kept this.
    pub(super) fn check(&self, form: &Form, hidden_dim: usize, tokens: usize) -> Result<()> {
        form.expect("saved values", self.order.form)?;
        expect_len("saved units", self.order.hidden_dim, hidden_dim)?;
        expect_len("saved gates", self.kept.len(), size(tokens, self.order.kept()))
    }
}

impl<'a> Batch<'a> {
    pub(super) fn check(&self, hidden_dim: usize, states: usize) -> Result<()> {
        let want = size(states * self.schedule.sequences(), hidden_dim);
        self.initial.map_or(Ok(()), |initial| expect_len("initial state", initial.len(), want))
    }

    /// Initial state number `state` of a sequence, if any was given.
    pub(super) fn initial(&self, state: usize, sequence: usize, dim: usize) -> Option<&'a [f32]> {
        let row = state * self.schedule.sequences() + sequence;
        self.initial.map(|initial| &initial[row * dim..(row + 1) * dim])
    }
}

impl Input<'_> {
    pub(super) fn check(&self, tokens: usize, gate_dim: usize) -> Result<()> {
        match *self {
            Self::Rows(rows) => expect_len("projected input", rows.len(), size(tokens, gate_dim)),
            Self::Table { table, ids } => {
                expect_len("ids", ids.len(), tokens)?;
                let limit = table.len() / gate_dim.max(1);
                match ids.iter().find(|&&id| id as usize >= limit) {
                    Some(&id) => Err(crate::Error::Range { what: "id", index: id as usize, limit }),
                    None => Ok(()),
                }
            }
        }
    }

    /// The row of a token.
    ///
    /// # Safety
    /// [`Input::check`] passed, and `token` is below its count.
    #[inline(always)]
    pub(super) unsafe fn row(&self, token: usize, gate_dim: usize) -> *const f32 {
        // SAFETY: promised by the caller.
        unsafe {
            match *self {
                Self::Rows(rows) => rows.as_ptr().add(token * gate_dim),
                Self::Table { table, ids } => {
                    table.as_ptr().add(*ids.get_unchecked(token) as usize * gate_dim)
                }
            }
        }
    }
}

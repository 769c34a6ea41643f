//! How a cell's weights and activations lie in memory.

use super::{Batch, Input, Weights};
use crate::{
    Isa, Result,
    buffer::Buffer,
    error::{expect_len, size},
    gemm::{Init, Outer, Packed, Precision, Rows, product},
    simd::TILE_VECTORS,
};

/// Packed weights of a cell with four gates.
///
/// The packed order of the gate pre-activations: block of units by block, as
/// many units as a vector has lanes; in a block gate by gate; in a gate unit by
/// unit. Units past the last one have zero weights, and stay zero in a scan.
#[derive(Clone, Debug)]
pub struct CellWeights {
    pub(super) recurrent: Packed,
    input: Packed,
    bias: Buffer,
    hidden_dim: usize,
}

impl CellWeights {
    pub(super) fn new(weights: &Weights<'_>, isa: Isa, precision: Precision) -> Result<Self> {
        weights.check()?;
        let Weights { input_dim, hidden_dim, .. } = *weights;
        let order = Order { hidden_dim, isa, precision };
        let pack =
            |rows, k| Packed::of_columns(isa, precision, rows, k, order.gates(), |c| order.row(c));
        Ok(Self {
            recurrent: pack(weights.weight_hh, hidden_dim),
            input: pack(weights.weight_ih, input_dim),
            bias: order.bias(weights),
            hidden_dim,
        })
    }

    /// The input side of the pre-activations of each row of a table of inputs,
    /// `[items, gate_dim]` in packed order, for [`Input::Table`]. It is made in
    /// `f32`, once; the weights of the scan may then be packed without those of
    /// the input (`input_dim` 0).
    ///
    /// # Errors
    /// If a matrix has another size than the dimensions say, or `table` is no
    /// whole number of rows.
    pub fn tabulate(weights: &Weights<'_>, isa: Isa, table: &[f32]) -> Result<Vec<f32>> {
        weights.check()?;
        let items = table.len() / weights.input_dim.max(1);
        expect_len("table", table.len(), size(items, weights.input_dim))?;
        let order = Order { hidden_dim: weights.hidden_dim, isa, precision: Precision::F32 };
        let (k, n) = (weights.input_dim, order.gates());
        let input =
            Packed::of_columns(isa, Precision::F32, weights.weight_ih, k, n, |c| order.row(c));
        let mut gates = vec![0.0; items * n];
        let init = Init::Bias(&order.bias(weights));
        product(Rows::Major(table), items, &input, init, &mut gates);
        Ok(gates)
    }

    /// Units.
    pub fn hidden_dim(&self) -> usize {
        self.hidden_dim
    }

    /// Columns of the input.
    pub fn input_dim(&self) -> usize {
        self.input.k()
    }

    /// Values of a row of pre-activations in packed order.
    pub fn gate_dim(&self) -> usize {
        self.bias.len()
    }

    pub(super) fn order(&self) -> Order {
        let (isa, precision) = (self.recurrent.isa(), self.recurrent.precision());
        Order { hidden_dim: self.hidden_dim, isa, precision }
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
    /// Checks the sizes of a cell with four gates.
    pub(super) fn check(&self) -> Result<()> {
        let rows = size(TILE_VECTORS, self.hidden_dim);
        expect_len("weight_ih", self.weight_ih.len(), size(rows, self.input_dim))?;
        expect_len("weight_hh", self.weight_hh.len(), size(rows, self.hidden_dim))?;
        expect_len("bias_ih", self.bias_ih.len(), rows)?;
        expect_len("bias_hh", self.bias_hh.len(), rows)
    }
}

/// The packed order of gate rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) hidden_dim: usize,
    pub(super) isa: Isa,
    /// Number format of the products.
    pub(super) precision: Precision,
}

impl Order {
    fn lanes(self) -> usize {
        self.isa.lanes()
    }

    /// Hidden units, rounded up to whole vectors.
    pub(super) fn units(self) -> usize {
        self.hidden_dim.next_multiple_of(self.lanes())
    }

    /// Values of a row of pre-activations.
    pub(super) fn gates(self) -> usize {
        TILE_VECTORS * self.units()
    }

    /// Row of the stored weights that a packed column holds.
    pub(super) fn row(self, column: usize) -> Option<usize> {
        let (vector, lane) = (column / self.lanes(), column % self.lanes());
        let (block, gate) = (vector / TILE_VECTORS, vector % TILE_VECTORS);
        let unit = block * self.lanes() + lane;
        (unit < self.hidden_dim).then_some(gate * self.hidden_dim + unit)
    }

    /// The sum of outer products of gates `[rows, gates]` with other rows.
    pub(super) fn outer<L>(
        self,
        rows: usize,
        left: L,
        width: usize,
        gates: &[f32],
    ) -> Outer<'_, L> {
        let Self { isa, precision, .. } = self;
        Outer { isa, precision, rows, left, width, right: gates, columns: self.gates() }
    }

    /// Both biases, added up.
    fn bias(self, weights: &Weights<'_>) -> Buffer {
        let mut bias = Buffer::zeros(self.gates());
        for (column, bias) in bias.iter_mut().enumerate() {
            if let Some(row) = self.row(column) {
                *bias = weights.bias_ih[row] + weights.bias_hh[row];
            }
        }
        bias
    }

    /// Weights `[gates * hidden_dim, columns]` as the right operand of a product
    /// with gates in packed order.
    pub(super) fn pack_rows(self, weights: &[f32], columns: usize) -> Packed {
        let Self { isa, precision, .. } = self;
        Packed::of_rows(isa, precision, weights, self.gates(), columns, |gate| self.row(gate))
    }
}

/// What a forward pass keeps, with units padded to whole vectors.
#[derive(Debug)]
pub(super) struct Saved {
    /// The order of the gates, and the instruction set that computed them.
    pub(super) order: Order,
    /// Activated gates, `[tokens, gates]` in packed order.
    pub(super) gates: Buffer,
    /// Cell states, `[tokens, units]`.
    pub(super) cells: Buffer,
}

impl Saved {
    /// Checks that a forward pass over so many tokens and units kept this.
    pub(super) fn check(&self, hidden_dim: usize, tokens: usize) -> Result<()> {
        expect_len("saved units", self.order.hidden_dim, hidden_dim)?;
        expect_len("saved gates", self.gates.len(), size(tokens, self.order.gates()))?;
        expect_len("saved cells", self.cells.len(), size(tokens, self.order.units()))
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

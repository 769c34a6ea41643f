//! How a cell's weights and activations lie in memory.

use super::{Batch, Input, Weights};
use crate::{
    Isa, Result,
    buffer::Buffer,
    error::{expect_len, size},
    gemm::{Init, Packed, Rows, product},
    simd::TILE_VECTORS,
};

/// Number format of packed weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
}

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
    pub(super) fn new(weights: &Weights<'_>, isa: Isa) -> Result<Self> {
        weights.check()?;
        let Weights { input_dim, hidden_dim, .. } = *weights;
        let order = Order { hidden_dim, isa };
        let n = order.gates();
        let mut bias = Buffer::zeros(n);
        for (column, bias) in bias.iter_mut().enumerate() {
            if let Some(row) = order.row(column) {
                *bias = weights.bias_ih[row] + weights.bias_hh[row];
            }
        }
        let row_of = |column| order.row(column);
        Ok(Self {
            recurrent: Packed::gathered(isa, weights.weight_hh, hidden_dim, n, row_of),
            input: Packed::gathered(isa, weights.weight_ih, input_dim, n, row_of),
            bias,
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

    /// Values of a row of pre-activations in packed order.
    pub fn gate_dim(&self) -> usize {
        self.bias.len()
    }

    pub(super) fn order(&self) -> Order {
        Order { hidden_dim: self.hidden_dim, isa: self.recurrent.isa() }
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

    /// Weights `[gates * hidden_dim, columns]` with their rows in packed order.
    pub(super) fn pack_rows(self, weights: &[f32], columns: usize) -> Vec<f32> {
        let mut packed = vec![0.0; self.gates() * columns];
        if columns == 0 {
            return packed;
        }
        for (to, row) in packed.chunks_exact_mut(columns).zip((0..).map(|c| self.row(c))) {
            if let Some(row) = row {
                to.copy_from_slice(&weights[row * columns..(row + 1) * columns]);
            }
        }
        packed
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

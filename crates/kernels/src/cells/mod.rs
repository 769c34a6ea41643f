//! Recurrent cells behind one interface.
//!
//! A cell packs its weights once and then scans whole batches of sequences.
//! [`Cell::infer`] keeps nothing but what its sink asks for; [`Cell::forward`]
//! keeps what [`Cell::backward`] needs. All matrices are unpadded: token `t` of
//! sequence `s` is row `offset[s] + t` (see [`Schedule`]).
//!
//! The gates of a block of units lie side by side in the packed weights, so that
//! one or a few panels of the product yield all gates of those units, and the
//! formula of the cell is applied to their sums while they are near.
//!
//! A new cell is a `Formula` in a file of its own, an arm of [`CellKind`], its
//! mathematics in [`crate::reference`], two functions a phase and a line of the list in
//! `cuda/cells.h`, and a graph in `benches/cells.rs`: the MGU, the last one, touched these
//! five, and a line of the guide.

mod backward;
mod cho_gru;
mod elman;
mod features;
mod formula;
mod gru;
mod layout;
mod lstm;
mod mgu;
mod parts;
mod peephole_lstm;
mod scan;
mod through_time;

pub use crate::gemm::Precision;
pub use cho_gru::ChoGru;
pub use elman::{Elman, ElmanRelu};
pub use features::Features;
pub use gru::Gru;
pub use layout::CellWeights;
pub use lstm::Lstm;
pub use mgu::Mgu;
pub use peephole_lstm::PeepholeLstm;

use crate::{
    Isa, Result, Schedule,
    error::{expect_len, size},
    gemm::{Init, Rows, product},
};
use formula::Formula;
#[cfg(any(feature = "cuda", all(test, target_os = "linux")))]
pub(crate) use formula::{Form, Phase};
use layout::{Order, Saved as SavedLayout};

/// What sets one cell apart from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Name in configurations and files.
    pub name: &'static str,
    /// Rows of its weight matrices, in units of the hidden size.
    pub gates: usize,
    /// Vectors a state consists of: hidden, and cell if there is one.
    pub states: usize,
    /// Diagonal weights, vectors of the hidden size: peepholes.
    pub vectors: usize,
    /// The gate that keeps the state when it is open, or, with `false`, when it is
    /// shut; none without gates.
    pub remember: Option<(usize, bool)>,
}

impl Spec {
    /// Weights of a layer of so many columns and units.
    pub fn weights(&self, input_dim: usize, hidden_dim: usize) -> usize {
        let row = input_dim.saturating_add(hidden_dim).saturating_add(2);
        let rows = size(self.gates, hidden_dim);
        size(rows, row).saturating_add(size(self.vectors, hidden_dim))
    }
}

/// A recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CellKind {
    /// Elman's network ([`Elman`]).
    Elman,
    /// Elman's network with rectified linear units ([`ElmanRelu`]).
    ElmanRelu,
    /// Long short-term memory ([`Lstm`]).
    Lstm,
    /// LSTM with peepholes ([`PeepholeLstm`]).
    PeepholeLstm,
    /// Gated recurrent unit that resets after the product ([`Gru`]).
    Gru,
    /// Gated recurrent unit that resets before the product ([`ChoGru`]).
    ChoGru,
    /// Minimal gated unit ([`Mgu`]).
    Mgu,
}

impl CellKind {
    /// Every cell there is.
    pub const ALL: [Self; 7] = [
        Self::Elman,
        Self::ElmanRelu,
        Self::Lstm,
        Self::PeepholeLstm,
        Self::Gru,
        Self::ChoGru,
        Self::Mgu,
    ];

    /// The kernels of this cell.
    pub fn cell(self) -> &'static dyn Cell {
        match self {
            Self::Elman => &Elman,
            Self::ElmanRelu => &ElmanRelu,
            Self::Lstm => &Lstm,
            Self::PeepholeLstm => &PeepholeLstm,
            Self::Gru => &Gru,
            Self::ChoGru => &ChoGru,
            Self::Mgu => &Mgu,
        }
    }

    /// The shape of its step.
    #[cfg(any(feature = "cuda", all(test, target_os = "linux")))]
    pub(crate) fn form(self) -> &'static Form {
        match self {
            Self::Elman => Elman::FORM,
            Self::ElmanRelu => ElmanRelu::FORM,
            Self::Lstm => Lstm::FORM,
            Self::PeepholeLstm => PeepholeLstm::FORM,
            Self::Gru => Gru::FORM,
            Self::ChoGru => ChoGru::FORM,
            Self::Mgu => Mgu::FORM,
        }
    }

    /// The cell of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.cell().spec().name == name)
    }
}

/// Weights as they are trained and stored, in PyTorch's layout and gate order.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// Columns of `weight_ih`.
    pub input_dim: usize,
    /// Units.
    pub hidden_dim: usize,
    /// `[gates * hidden_dim, input_dim]`
    pub weight_ih: &'a [f32],
    /// `[gates * hidden_dim, hidden_dim]`
    pub weight_hh: &'a [f32],
    /// `[gates * hidden_dim]`
    pub bias_ih: &'a [f32],
    /// `[gates * hidden_dim]`
    pub bias_hh: &'a [f32],
    /// Peepholes, `[vectors, hidden_dim]`; empty for most cells.
    pub vectors: &'a [f32],
}

/// Parts of the gradient of [`Weights`], shaped as those.
struct WeightsMut<'a> {
    weight_ih: &'a mut [f32],
    weight_hh: &'a mut [f32],
    bias_ih: &'a mut [f32],
    bias_hh: &'a mut [f32],
    vectors: &'a mut [f32],
}

impl<'a> Weights<'a> {
    /// The parts of one flat array, in the order of the fields.
    ///
    /// # Errors
    /// If it has another length than all of them together.
    pub fn from_flat(
        flat: &'a [f32],
        spec: Spec,
        input_dim: usize,
        hidden_dim: usize,
    ) -> Result<Self> {
        expect_len("weights", flat.len(), spec.weights(input_dim, hidden_dim))?;
        let rows = spec.gates * hidden_dim;
        let (weight_ih, rest) = flat.split_at(rows * input_dim);
        let (weight_hh, rest) = rest.split_at(rows * hidden_dim);
        let (bias_ih, rest) = rest.split_at(rows);
        let (bias_hh, vectors) = rest.split_at(rows);
        Ok(Self { input_dim, hidden_dim, weight_ih, weight_hh, bias_ih, bias_hh, vectors })
    }

    /// Values of all parts.
    fn len(&self) -> usize {
        let matrices = self.weight_ih.len() + self.weight_hh.len();
        matrices + self.bias_ih.len() + self.bias_hh.len() + self.vectors.len()
    }

    /// Parts of as many values as these weights have, sized as those.
    fn split<'b>(&self, flat: &'b mut [f32]) -> WeightsMut<'b> {
        let (weight_ih, rest) = flat.split_at_mut(self.weight_ih.len());
        let (weight_hh, rest) = rest.split_at_mut(self.weight_hh.len());
        let (bias_ih, rest) = rest.split_at_mut(self.bias_ih.len());
        let (bias_hh, vectors) = rest.split_at_mut(self.bias_hh.len());
        WeightsMut { weight_ih, weight_hh, bias_ih, bias_hh, vectors }
    }
}

/// Where a scan finds the input side of the gates' pre-activations, biases
/// included, in the cell's packed order (see [`CellWeights::project`]).
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// One row a token.
    Rows(&'a [f32]),
    /// Rows of a table, picked by an id a token: characters.
    Table {
        /// One row an id.
        table: &'a [f32],
        /// `[tokens]`
        ids: &'a [u32],
    },
}

/// Receives what a scan computes.
pub trait Sink: Send {
    /// Hidden state `[hidden_dim]` after a token.
    fn token(&mut self, token: usize, hidden: &[f32]);

    /// State after a sequence's last token: hidden, then cell if there is one,
    /// `[hidden_dim]` each.
    fn end(&mut self, sequence: usize, state: &[&[f32]]);
}

/// A batch of sequences with its initial states.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The plan of the scan.
    pub schedule: &'a Schedule,
    /// `[states, sequences, hidden_dim]`; zeros if absent.
    pub initial: Option<&'a [f32]>,
}

/// What [`Cell::forward`] computes.
#[derive(Debug)]
pub struct Scanned {
    /// `[tokens, hidden_dim]`
    pub hidden: Vec<f32>,
    /// `[states, sequences, hidden_dim]`
    pub last: Vec<f32>,
    /// What [`Cell::backward`] needs.
    pub saved: Saved,
}

/// What [`Cell::forward`] keeps for [`Cell::backward`].
#[derive(Debug)]
pub struct Saved {
    kept: SavedLayout,
}

/// A forward pass as its way back sees it.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// What it read.
    pub features: Features<'a>,
    /// The sequences.
    pub batch: Batch<'a>,
    /// Hidden states it computed, `[tokens, hidden_dim]`.
    pub hidden: &'a [f32],
    /// Whether nobody wants the gradient of the features.
    pub is_constant: bool,
}

/// Gradients of a loss with respect to a scan's arguments, shaped as those.
#[derive(Debug)]
pub struct Gradients {
    /// `[tokens, input_dim]`, or that of the table, `[items, input_dim]`; empty if
    /// nobody wants it.
    pub input: Vec<f32>,
    /// Those of the weights, one behind the other in the order of [`Weights`].
    pub weights: Vec<f32>,
    /// `[states, sequences, hidden_dim]`
    pub initial: Vec<f32>,
}

/// Gradients of a loss with respect to a scan's results.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a> {
    /// `[tokens, hidden_dim]`
    pub hidden: &'a [f32],
    /// `[states, sequences, hidden_dim]`
    pub last: &'a [f32],
}

/// The kernels of a recurrent cell.
pub trait Cell: Send + Sync {
    /// What sets it apart.
    fn spec(&self) -> Spec;

    /// Packs weights for an instruction set.
    ///
    /// # Errors
    /// If a matrix has another size than the dimensions say.
    ///
    /// # Panics
    /// If this processor lacks the instruction set.
    fn pack(&self, weights: &Weights<'_>, isa: Isa, precision: Precision) -> Result<CellWeights>;

    /// The input side of the pre-activations of each row of a table of inputs,
    /// `[items, gate_dim]` in packed order, for [`Input::Table`]. It is made in
    /// `f32`, once; the weights of the scan may then be packed without those of
    /// the input (`input_dim` 0).
    ///
    /// # Errors
    /// If a matrix has another size than the dimensions say, or `table` is no
    /// whole number of rows.
    fn tabulate(&self, weights: &Weights<'_>, isa: Isa, table: &[f32]) -> Result<Vec<f32>>;

    /// Scans a batch, keeping nothing. On a worker of a thread pool it stays on
    /// that thread: independent scans are what threads share out. Elsewhere a
    /// long step is shared out to the threads of the pool.
    ///
    /// # Errors
    /// If the input or the initial state does not fit the schedule.
    fn infer(
        &self,
        weights: &CellWeights,
        input: Input<'_>,
        batch: Batch<'_>,
        sink: &mut dyn Sink,
    ) -> Result<()>;

    /// Scans a batch, keeping what the way back needs.
    ///
    /// # Errors
    /// If the features or the initial state do not fit the schedule.
    fn forward(
        &self,
        weights: &CellWeights,
        features: Features<'_>,
        batch: Batch<'_>,
    ) -> Result<Scanned>;

    /// Back-propagates through time, on the instruction set of the forward pass.
    ///
    /// # Errors
    /// If a matrix has another size than the dimensions say, or the features, what
    /// was saved, or a gradient does not fit the schedule.
    fn backward(
        &self,
        weights: &Weights<'_>,
        pass: Pass<'_>,
        saved: Saved,
        upstream: Upstream<'_>,
    ) -> Result<Gradients>;
}

impl<C: Formula> Cell for C {
    fn spec(&self) -> Spec {
        C::FORM.spec
    }

    fn pack(&self, weights: &Weights<'_>, isa: Isa, precision: Precision) -> Result<CellWeights> {
        CellWeights::new(C::FORM, weights, isa, precision)
    }

    fn tabulate(&self, weights: &Weights<'_>, isa: Isa, table: &[f32]) -> Result<Vec<f32>> {
        weights.check(C::FORM)?;
        let items = table.len() / weights.input_dim.max(1);
        expect_len("table", table.len(), size(items, weights.input_dim))?;
        let (form, precision) = (C::FORM, Precision::F32);
        let order = Order { form, hidden_dim: weights.hidden_dim, isa, precision };
        let mut gates = vec![0.0; items * order.gates()];
        let init = Init::Bias(&order.bias(weights));
        product(Rows::Major(table), items, &order.pack_input(weights), init, &mut gates);
        Ok(gates)
    }

    fn infer(
        &self,
        weights: &CellWeights,
        input: Input<'_>,
        batch: Batch<'_>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        scan::infer::<C>(weights, input, batch, sink)
    }

    fn forward(
        &self,
        weights: &CellWeights,
        features: Features<'_>,
        batch: Batch<'_>,
    ) -> Result<Scanned> {
        scan::forward::<C>(weights, features, batch)
    }

    fn backward(
        &self,
        weights: &Weights<'_>,
        pass: Pass<'_>,
        saved: Saved,
        upstream: Upstream<'_>,
    ) -> Result<Gradients> {
        backward::backward::<C>(weights, pass, saved, upstream)
    }
}

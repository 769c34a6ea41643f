//! Recurrent layers with packed weights.

use std::borrow::Cow;

use glossator_kernels::{
    Direction, Isa, Schedule,
    cells::{self, Batch, CellWeights, Input, Precision, Sink},
    layer::{highway, layer_norm},
};

use super::{Connection, RnnShape, TakenLayer, on_device::OnDevice};
use crate::{PackedLinear, Result, Weights};

/// Rows of a batch: enough to read the weights, which may not fit the cache,
/// once for many sentences.
const LANES: usize = 256;

/// What a stack of layers reads: unpadded sequences, one after the other.
#[derive(Clone, Copy, Debug)]
pub enum RnnInput<'a> {
    /// `[tokens, input_dim]`
    Rows(&'a [f32]),
    /// Rows of the table that the stack was made with, by an id a token,
    /// `[tokens]`: characters.
    Ids(&'a [u32]),
}

/// Which hidden states of the last layer are kept.
#[derive(Clone, Copy, Debug)]
pub enum Keep<'a> {
    /// Those of every token, `[tokens, output_dim]`.
    Tokens,
    /// The final ones, `[sequences, output_dim]`: of the forward direction
    /// after the last token, of the backward one after the first.
    Last,
    /// Those of chosen tokens: the row of each token in the result, or
    /// [`Keep::NONE`].
    At(&'a [u32]),
}

impl Keep<'_> {
    /// Stands for no row.
    pub const NONE: u32 = u32::MAX;

    /// Rows of the result.
    fn rows(&self, lengths: &[usize]) -> usize {
        match self {
            Self::Tokens => lengths.iter().sum(),
            Self::Last => lengths.len(),
            Self::At(rows) => {
                let last = rows.iter().filter(|row| **row != Self::NONE).max();
                last.map_or(0, |last| *last as usize + 1)
            }
        }
    }
}

/// States of a stack of layers between two parts of the same sequences: of
/// each direction of each layer, `[states, sequences, hidden_dim]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RnnState(pub(super) Vec<Vec<f32>>);

/// A stack of recurrent layers for inference. It keeps nothing between calls
/// and may be shared by threads.
#[derive(Clone, Debug)]
pub struct PackedRnn {
    shape: RnnShape,
    layers: Vec<Layer>,
    /// The input side of the first layer for every row of a table, one a
    /// direction; none if its input is no table.
    tables: Vec<Vec<f32>>,
    /// The stack if it computes on a GPU: then there is nothing here.
    on_device: Option<OnDevice>,
}

/// A layer of the stack.
#[derive(Clone, Debug)]
struct Layer {
    /// Weights of each direction.
    directions: Vec<CellWeights>,
    /// First state of each direction, `[states, hidden_dim]`; none if it is
    /// zeros.
    states: Vec<Vec<f32>>,
    /// The gate of the highway around it.
    highway: Option<PackedLinear>,
    /// Scale and shift of the normalisation behind it.
    norm: Option<(Vec<f32>, Vec<f32>)>,
}

impl PackedRnn {
    /// Takes the weights of the [`Rnn`](super::Rnn) of that prefix, to be
    /// computed with in a number format.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn new(
        weights: &mut Weights,
        prefix: &str,
        shape: RnnShape,
        precision: Precision,
    ) -> Result<Self> {
        Self::build(weights, prefix, shape, precision, None)
    }

    /// As [`PackedRnn::new`], for an input that is always a row of a table of
    /// characters, `[items, input_dim]`.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape, or `table` is no whole
    /// number of rows.
    pub fn of_table(
        weights: &mut Weights,
        prefix: &str,
        shape: RnnShape,
        precision: Precision,
        table: &[f32],
    ) -> Result<Self> {
        Self::build(weights, prefix, shape, precision, Some(table))
    }

    fn build(
        stored: &mut Weights,
        prefix: &str,
        shape: RnnShape,
        precision: Precision,
        table: Option<&[f32]>,
    ) -> Result<Self> {
        if !stored.device().is_cpu() {
            let stack = OnDevice::new(stored, prefix, shape, precision, table)?;
            return Ok(Self {
                shape,
                layers: Vec::new(),
                tables: Vec::new(),
                on_device: Some(stack),
            });
        }
        let (cell, isa) = (shape.cell.cell(), Isa::detect());
        let (mut layers, mut tables) = (Vec::new(), Vec::new());
        for layer in 0..shape.n_layers {
            let taken = TakenLayer::take(stored, prefix, &shape, layer)?;
            let mut directions = Vec::new();
            for values in taken.directions {
                let mut weights = cells::Weights {
                    input_dim: shape.layer_input(layer),
                    hidden_dim: shape.hidden_dim,
                    weight_ih: &values[0],
                    weight_hh: &values[1],
                    bias_ih: &values[2],
                    bias_hh: &values[3],
                    vectors: values.get(4).map_or(&[], Vec::as_slice),
                };
                if let (0, Some(table)) = (layer, table) {
                    tables.push(cell.tabulate(&weights, isa, table)?);
                    (weights.input_dim, weights.weight_ih) = (0, &[]);
                }
                directions.push(cell.pack(&weights, isa, precision)?);
            }
            let width = shape.output_dim();
            let gate = |name: String| PackedLinear::new(stored, &name, width, width, precision);
            let highway = taken.highway.map(gate).transpose()?;
            layers.push(Layer { directions, states: taken.states, highway, norm: taken.norm });
        }
        Ok(Self { shape, layers, tables, on_device: None })
    }

    /// The first state of so many sequences: trained, or zeros.
    ///
    /// # Errors
    /// If a GPU fails.
    pub fn first_state(&self, sequences: usize) -> Result<RnnState> {
        if let Some(stack) = &self.on_device {
            return stack.first_state(sequences);
        }
        let layers = 0..self.layers.len();
        Ok(RnnState(layers.flat_map(|layer| self.first_of_layer(layer, sequences)).collect()))
    }

    /// A state of given values, `[sequences, layers · states · hidden_dim]`: of
    /// each layer in order, of one that reads forward only.
    ///
    /// # Panics
    /// If `rows` is no whole number of rows.
    pub fn state_of(&self, rows: &[f32]) -> RnnState {
        let (states, dim) = (self.shape.cell.cell().spec().states, self.shape.hidden_dim);
        let width = self.shape.n_layers * states * dim;
        assert!(rows.len().is_multiple_of(width), "rows of states");
        let layer = |layer: usize| {
            let parts = (0..states).flat_map(|state| {
                let first = (layer * states + state) * dim;
                rows.chunks_exact(width).flat_map(move |row| &row[first..first + dim])
            });
            parts.copied().collect()
        };
        RnnState((0..self.shape.n_layers).map(layer).collect())
    }

    /// Hidden states of the last layer in a state, `[sequences, output_dim]`: as
    /// [`Keep::Last`] gives them.
    pub fn last_hidden(&self, state: &RnnState) -> Vec<f32> {
        let (states, dim) = (self.shape.cell.cell().spec().states, self.shape.hidden_dim);
        let n_directions = self.shape.directions().len();
        let last = state.0.iter().skip(state.0.len().saturating_sub(n_directions));
        let hidden = last.map(|all| all[..all.len() / states].to_vec());
        side_by_side(hidden.collect(), dim)
    }

    /// The states of chosen sequences, one of which may be chosen often.
    ///
    /// # Panics
    /// If a sequence is out of range.
    pub fn select(&self, state: &RnnState, sequences: &[usize]) -> RnnState {
        let (states, dim) = (self.shape.cell.cell().spec().states, self.shape.hidden_dim);
        let chosen = state.0.iter().map(|all| {
            let mut chosen = Vec::with_capacity(states * sequences.len() * dim);
            for one in all.chunks_exact((all.len() / states).max(1)) {
                for &sequence in sequences {
                    chosen.extend_from_slice(&one[sequence * dim..(sequence + 1) * dim]);
                }
            }
            chosen
        });
        RnnState(chosen.collect())
    }

    /// The same of each direction of a layer.
    fn first_of_layer(&self, layer: usize, sequences: usize) -> Vec<Vec<f32>> {
        let states = self.shape.cell.cell().spec().states;
        if !self.shape.learned_state {
            let zeros = vec![0.0; states * sequences * self.shape.hidden_dim];
            return vec![zeros; self.shape.directions().len()];
        }
        let of_one = self.layers[layer].states.iter();
        of_one
            .map(|state| {
                let states = state.chunks_exact(self.shape.hidden_dim);
                states.flat_map(|state| state.repeat(sequences)).collect()
            })
            .collect()
    }

    /// Hidden states of the last layer, `[tokens, output_dim]`, of unpadded
    /// sequences `x`, `[tokens, input_dim]`, from the first state.
    ///
    /// # Errors
    /// If `x` does not hold the tokens that `lengths` add up to.
    pub fn apply(&self, x: &[f32], lengths: &[usize]) -> Result<Vec<f32>> {
        self.read(RnnInput::Rows(x), lengths, None, Keep::Tokens)
    }

    /// Output of the last layer, as far as it is asked for, of unpadded
    /// sequences. They begin with `state`, if there is one, and leave their
    /// last states in it; else with the first state.
    ///
    /// # Errors
    /// If the input does not hold the tokens that `lengths` add up to, an id
    /// is out of range, or `state` belongs to another number of sequences.
    ///
    /// # Panics
    /// If [`Keep::At`] does not have one entry a token.
    pub fn read(
        &self,
        input: RnnInput<'_>,
        lengths: &[usize],
        mut state: Option<&mut RnnState>,
        keep: Keep<'_>,
    ) -> Result<Vec<f32>> {
        let tokens = lengths.iter().sum();
        if let Keep::At(rows) = keep {
            assert_eq!(rows.len(), tokens, "one row for each token");
        }
        let n_directions = self.shape.directions().len();
        let want = self.shape.n_layers * n_directions;
        if let Some(found) = state.as_ref().map(|state| state.0.len()).filter(|&n| n != want) {
            let what = "states of directions of layers";
            return Err(glossator_kernels::Error::Length { what, want, found }.into());
        }
        if let Some(stack) = &self.on_device {
            return stack.read(input, lengths, state, keep);
        }
        let mut hidden: Option<Vec<f32>> = None;
        for (layer, parts) in self.layers.iter().enumerate() {
            let keep = if layer + 1 < self.layers.len() { Keep::Tokens } else { keep };
            let mut own = match &state {
                None if self.shape.learned_state => self.first_of_layer(layer, lengths.len()),
                _ => Vec::new(),
            };
            let states = match &mut state {
                Some(state) => {
                    let first = layer * n_directions;
                    state.0.get_mut(first..first + n_directions).unwrap_or_default()
                }
                None => &mut own,
            };
            let mut inputs = Vec::with_capacity(n_directions);
            for (number, weights) in parts.directions.iter().enumerate() {
                inputs.push(match (&hidden, input) {
                    (Some(rows), _) => Projected::Rows(weights.project(rows, tokens)?),
                    (None, RnnInput::Rows(rows)) => Projected::Rows(weights.project(rows, tokens)?),
                    (None, RnnInput::Ids(ids)) => {
                        Projected::Table(self.tables.get(number).map_or(&[], |table| table), ids)
                    }
                });
            }
            let new = self.scan(layer, lengths, inputs, states, keep)?;
            hidden = Some(self.connected(parts, new, hidden.as_deref(), keep));
        }
        Ok(hidden.unwrap_or_default())
    }

    /// What a layer puts out, given what it computed and what it read; final
    /// states are what they are.
    fn connected(
        &self,
        layer: &Layer,
        mut new: Vec<f32>,
        old: Option<&[f32]>,
        keep: Keep<'_>,
    ) -> Vec<f32> {
        let connection = self.shape.between.connection;
        if let Some(old) = old.filter(|_| connection != Connection::None) {
            let old = match keep {
                Keep::Last => return new,
                Keep::Tokens => Cow::Borrowed(old),
                Keep::At(rows) => Cow::Owned(chosen(old, rows, new.len(), self.shape.output_dim())),
            };
            match &layer.highway {
                Some(gate) => {
                    let open = gate.apply(&old, old.len() / self.shape.output_dim());
                    highway(&mut new, &old, &open);
                }
                None => new.iter_mut().zip(&*old).for_each(|(new, old)| *new += old),
            }
        }
        if let Some((scale, shift)) = &layer.norm {
            layer_norm(&mut new, scale, shift);
        }
        new
    }

    /// Scans all directions of a layer, in parallel; `states` is empty or has
    /// one entry a direction.
    fn scan(
        &self,
        layer: usize,
        lengths: &[usize],
        inputs: Vec<Projected<'_>>,
        states: &mut [Vec<f32>],
        keep: Keep<'_>,
    ) -> Result<Vec<f32>> {
        let (dim, rows) = (self.shape.hidden_dim, keep.rows(lengths));
        let mut matrices = vec![vec![0.0; rows * dim]; inputs.len()];
        let mut states = states.iter_mut();
        let mut work = Vec::new();
        let directions = self.layers[layer].directions.iter().zip(self.shape.directions());
        for (((weights, &direction), input), values) in directions.zip(inputs).zip(&mut matrices) {
            work.push((weights, direction, input, values, states.next()));
        }
        let run = |(weights, direction, input, values, state): Work<'_>| {
            let schedule = Schedule::new(lengths, LANES, direction);
            let initial = state.as_deref().cloned();
            let batch = Batch { schedule: &schedule, initial: initial.as_deref() };
            let mut sink = Matrix {
                values,
                dim,
                keep,
                sequences: lengths.len(),
                states: state.map_or(&mut [], |state| &mut state[..]),
            };
            self.shape.cell.cell().infer(weights, input.as_input(), batch, &mut sink)
        };
        let second = (work.len() > 1).then(|| work.pop()).flatten();
        let first = work.pop();
        match second {
            Some(second) => {
                let (first, second) = rayon::join(|| first.map_or(Ok(()), run), || run(second));
                first.and(second)?;
            }
            // By this thread, which may share out a long step.
            None => first.map_or(Ok(()), run)?,
        }
        Ok(side_by_side(matrices, dim))
    }
}

/// The scan of one direction: weights, direction, input, result, state.
type Work<'a> =
    (&'a CellWeights, Direction, Projected<'a>, &'a mut Vec<f32>, Option<&'a mut Vec<f32>>);

/// The input side of a scan.
enum Projected<'a> {
    Rows(Vec<f32>),
    Table(&'a [f32], &'a [u32]),
}

impl Projected<'_> {
    fn as_input(&self) -> Input<'_> {
        match self {
            Self::Rows(rows) => Input::Rows(rows),
            Self::Table(table, ids) => Input::Table { table, ids },
        }
    }
}

/// Some rows of `width` values of a matrix, as [`Keep::At`] says.
fn chosen(matrix: &[f32], rows: &[u32], len: usize, width: usize) -> Vec<f32> {
    let mut out = vec![0.0; len];
    for (from, &row) in matrix.chunks_exact(width).zip(rows) {
        if row != Keep::NONE {
            out[row as usize * width..][..width].copy_from_slice(from);
        }
    }
    out
}

/// Matrices of `dim` columns as one.
fn side_by_side(mut matrices: Vec<Vec<f32>>, dim: usize) -> Vec<f32> {
    if let [one] = &mut matrices[..] {
        return std::mem::take(one);
    }
    let rows = matrices.first().map_or(0, |matrix| matrix.len() / dim);
    let mut out = Vec::with_capacity(matrices.len() * rows * dim);
    for row in 0..rows {
        for matrix in &matrices {
            out.extend_from_slice(&matrix[row * dim..(row + 1) * dim]);
        }
    }
    out
}

/// A sink for the hidden states that are kept, and for the last states.
struct Matrix<'a> {
    values: &'a mut [f32],
    dim: usize,
    keep: Keep<'a>,
    sequences: usize,
    /// `[states, sequences, dim]`, or nothing.
    states: &'a mut [f32],
}

impl Matrix<'_> {
    fn put(&mut self, row: usize, hidden: &[f32]) {
        self.values[row * self.dim..(row + 1) * self.dim].copy_from_slice(hidden);
    }
}

impl Sink for Matrix<'_> {
    fn token(&mut self, token: usize, hidden: &[f32]) {
        match self.keep {
            Keep::Tokens => self.put(token, hidden),
            Keep::Last => {}
            Keep::At(rows) => {
                if rows[token] != Keep::NONE {
                    self.put(rows[token] as usize, hidden);
                }
            }
        }
    }

    fn end(&mut self, sequence: usize, state: &[&[f32]]) {
        if matches!(self.keep, Keep::Last) {
            self.put(sequence, state[0]);
        }
        if self.states.is_empty() {
            return;
        }
        for (n, state) in state.iter().enumerate() {
            let at = (n * self.sequences + sequence) * self.dim;
            self.states[at..at + self.dim].copy_from_slice(state);
        }
    }
}

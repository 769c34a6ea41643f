//! Recurrent layers with packed weights.

use glossator_kernels::{
    Direction, Isa, Schedule,
    cells::{self, Batch, CellWeights, Input, Precision, Sink},
};

use super::{RnnShape, tensors};
use crate::{Result, Weights};

/// Rows of a batch: enough to read the weights once for many sentences, few
/// enough that the states stay in the cache.
const LANES: usize = 64;

/// A stack of recurrent layers for inference. It keeps nothing between calls
/// and may be shared by threads.
#[derive(Clone, Debug)]
pub struct PackedRnn {
    shape: RnnShape,
    layers: Vec<Vec<CellWeights>>,
}

impl PackedRnn {
    /// Takes the weights of the [`Rnn`](super::Rnn) of that prefix.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn new(weights: &mut Weights, prefix: &str, shape: RnnShape) -> Result<Self> {
        let cell = shape.cell.cell();
        let mut layers = Vec::new();
        for layer in 0..shape.n_layers {
            let mut directions = Vec::new();
            for &direction in shape.directions() {
                let [w_ih, w_hh, b_ih, b_hh] = tensors(prefix, &shape, layer, direction);
                let mut take = |(name, dims): (String, Vec<usize>)| weights.take(&name, &dims);
                let values = [take(w_ih)?, take(w_hh)?, take(b_ih)?, take(b_hh)?];
                let weights = cells::Weights {
                    input_dim: shape.layer_input(layer),
                    hidden_dim: shape.hidden_dim,
                    weight_ih: &values[0],
                    weight_hh: &values[1],
                    bias_ih: &values[2],
                    bias_hh: &values[3],
                };
                directions.push(cell.pack(&weights, Isa::detect(), Precision::F32)?);
            }
            layers.push(directions);
        }
        Ok(Self { shape, layers })
    }

    /// Hidden states of the last layer, `[tokens, output_dim]`, of unpadded
    /// sequences `x`, `[tokens, input_dim]`, from a zero state.
    ///
    /// # Errors
    /// If `x` does not hold the tokens that `lengths` add up to.
    pub fn apply(&self, x: &[f32], lengths: &[usize]) -> Result<Vec<f32>> {
        let tokens = lengths.iter().sum();
        let mut hidden = None;
        for layer in 0..self.layers.len() {
            let input = hidden.as_deref().unwrap_or(x);
            let mut out = Collected::new(&self.shape, tokens);
            self.scan(layer, lengths, &mut out, |weights| {
                weights.project(input, tokens).map(Projected::Rows)
            })?;
            hidden = Some(out.side_by_side());
        }
        Ok(hidden.unwrap_or_default())
    }

    /// The input side of the first layer for each row of a table, made once
    /// for a table of characters.
    ///
    /// # Errors
    /// If `table` is no whole number of rows `[items, input_dim]`.
    pub fn tables(&self, table: &[f32]) -> Result<Vec<Vec<f32>>> {
        let items = table.len() / self.shape.input_dim.max(1);
        let project = |weights: &CellWeights| Ok(weights.project(table, items)?);
        self.layers.iter().take(1).flatten().map(project).collect()
    }

    /// Final hidden states of a stack of one layer, `[sequences, output_dim]`,
    /// over sequences of ids into `tables` (see [`PackedRnn::tables`]).
    ///
    /// # Errors
    /// If `ids` does not hold the tokens that `lengths` add up to, or one is
    /// out of range.
    pub fn last_of_ids(
        &self,
        tables: &[Vec<f32>],
        ids: &[u32],
        lengths: &[usize],
    ) -> Result<Vec<f32>> {
        let mut out = Collected::new(&self.shape, lengths.len());
        out.only_last = true;
        let mut tables = tables.iter();
        self.scan(0, lengths, &mut out, |_| {
            Ok(Projected::Table(tables.next().map_or(&[], |table| table), ids))
        })?;
        Ok(out.side_by_side())
    }

    /// Scans all directions of a layer, in parallel.
    fn scan<'a>(
        &'a self,
        layer: usize,
        lengths: &[usize],
        out: &mut Collected,
        mut project: impl FnMut(&'a CellWeights) -> glossator_kernels::Result<Projected<'a>>,
    ) -> Result<()> {
        let mut work = Vec::new();
        let directions = self.layers[layer].iter().zip(self.shape.directions());
        for ((weights, &direction), matrix) in directions.zip(&mut out.matrices) {
            let sink =
                Matrix { values: matrix, dim: self.shape.hidden_dim, only_last: out.only_last };
            work.push((weights, direction, project(weights)?, sink));
        }
        let run =
            |(weights, direction, input, mut sink): (_, Direction, Projected<'_>, Matrix<'_>)| {
                let schedule = Schedule::new(lengths, LANES, direction);
                let batch = Batch { schedule: &schedule, initial: None };
                self.shape.cell.cell().infer(weights, input.as_input(), batch, &mut sink)
            };
        let second = (work.len() > 1).then(|| work.pop()).flatten();
        let first = work.pop();
        let (first, second) =
            rayon::join(|| first.map_or(Ok(()), run), || second.map_or(Ok(()), run));
        first?;
        second?;
        Ok(())
    }
}

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

/// Results of all directions of a layer.
struct Collected {
    matrices: Vec<Vec<f32>>,
    dim: usize,
    only_last: bool,
}

impl Collected {
    fn new(shape: &RnnShape, rows: usize) -> Self {
        let matrix = vec![0.0; rows * shape.hidden_dim];
        let matrices = vec![matrix; shape.directions().len()];
        Self { matrices, dim: shape.hidden_dim, only_last: false }
    }

    fn side_by_side(mut self) -> Vec<f32> {
        if let [_] = &self.matrices[..] {
            return std::mem::take(&mut self.matrices[0]);
        }
        let rows = self.matrices[0].len() / self.dim;
        let mut out = Vec::with_capacity(self.matrices.len() * rows * self.dim);
        for row in 0..rows {
            for matrix in &self.matrices {
                out.extend_from_slice(&matrix[row * self.dim..(row + 1) * self.dim]);
            }
        }
        out
    }
}

/// A sink for hidden states: of every token, or after every sequence.
struct Matrix<'a> {
    values: &'a mut [f32],
    dim: usize,
    only_last: bool,
}

impl Sink for Matrix<'_> {
    fn token(&mut self, token: usize, hidden: &[f32]) {
        if !self.only_last {
            self.values[token * self.dim..(token + 1) * self.dim].copy_from_slice(hidden);
        }
    }

    fn end(&mut self, sequence: usize, state: &[&[f32]]) {
        if self.only_last {
            self.values[sequence * self.dim..(sequence + 1) * self.dim].copy_from_slice(state[0]);
        }
    }
}

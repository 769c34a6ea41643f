//! A checkpoint as conversion sees it.

use std::path::{Path, PathBuf};

use glossator_pickle::{Checkpoint, TensorRef, Value};

use super::Error;
use crate::Result;

/// An open checkpoint and its place, for messages.
pub(super) struct Source<'a> {
    path: &'a Path,
    checkpoint: &'a Checkpoint,
}

/// Where the values of a tensor come from.
#[derive(Clone, Debug)]
pub(super) enum Values {
    /// From the checkpoint.
    Stored(TensorRef),
    /// Some rows of a matrix (or values of a vector) of the checkpoint; zeros
    /// where there is none.
    Rows(TensorRef, Vec<Option<usize>>),
    /// Those of another weight, the columns in this order.
    Columns(Box<Self>, Vec<usize>),
    /// They were computed.
    Made(Vec<f32>),
}

/// A tensor of the converted model.
#[derive(Clone, Debug)]
pub(super) struct Weight {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &'a Path, checkpoint: &'a Checkpoint) -> Self {
        Self { path, checkpoint }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.to_owned()
    }

    /// The object that was saved.
    pub(super) fn root(&self) -> Value<'a> {
        self.checkpoint.root()
    }

    /// An error about the content.
    pub(super) fn problem(&self, problem: impl Into<String>) -> crate::Error {
        Error::Unfit { path: self.path(), problem: problem.into() }.into()
    }

    /// What must be there.
    pub(super) fn need<T>(&self, value: Option<T>, what: &str) -> Result<T> {
        value.ok_or_else(|| self.problem(format!("it has no {what}, or one of another type")))
    }

    /// The tensor that a value stands for, if it is one.
    pub(super) fn tensor(&self, value: Value<'a>) -> Result<Option<TensorRef>> {
        let tensor = self.checkpoint.tensor(value);
        Ok(tensor.map_err(|source| Error::Read { path: self.path(), source })?)
    }

    /// Shape and values of a NumPy array, if a value is one.
    pub(super) fn array(&self, value: Value<'a>) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        let array = self.checkpoint.array(value);
        let array = array.map_err(|source| Error::Read { path: self.path(), source })?;
        Ok(array.map(|array| (array.shape, array.values)))
    }

    /// All values of a tensor, row-major.
    pub(super) fn read(&self, tensor: &TensorRef) -> Result<Vec<f32>> {
        let values = self.checkpoint.read_f32(tensor);
        Ok(values.map_err(|source| Error::Read { path: self.path(), source })?)
    }

    /// The values of a weight, row-major.
    pub(super) fn values(&self, weight: &Weight) -> Result<Vec<f32>> {
        let columns: usize = weight.shape[1..].iter().product();
        self.values_of(&weight.values, columns)
    }

    fn values_of(&self, values: &Values, columns: usize) -> Result<Vec<f32>> {
        Ok(match values {
            Values::Made(values) => values.clone(),
            Values::Stored(tensor) => self.read(tensor)?,
            Values::Rows(tensor, rows) => {
                let all = self.read(tensor)?;
                let zeros = vec![0.0; columns];
                let row = |row: &Option<usize>| {
                    row.map_or(&zeros[..], |row| &all[row * columns..][..columns])
                };
                rows.iter().flat_map(row).copied().collect()
            }
            Values::Columns(values, order) => {
                let all = self.values_of(values, columns)?;
                let rows = all.chunks_exact(columns);
                rows.flat_map(|row| order.iter().map(|column| row[*column])).collect()
            }
        })
    }
}

impl Weight {
    /// Keeps some rows of a tensor of the checkpoint.
    pub(super) fn keep_rows(&mut self, rows: Vec<Option<usize>>) {
        self.shape[0] = rows.len();
        if let Values::Stored(tensor) = &self.values {
            self.values = Values::Rows(tensor.clone(), rows);
        }
    }

    /// Puts the columns into this order.
    pub(super) fn order_columns(&mut self, order: &[usize]) {
        if order.iter().enumerate().any(|(place, column)| place != *column) {
            let values = std::mem::replace(&mut self.values, Values::Made(Vec::new()));
            self.values = Values::Columns(Box::new(values), order.to_vec());
        }
    }
}

/// The tensors of a module, by name.
pub(super) struct Tensors<'s, 'a> {
    source: &'s Source<'a>,
    values: Value<'a>,
    prefix: String,
}

impl<'s, 'a> Tensors<'s, 'a> {
    /// Those of a state dictionary, or those that lie in a module and its parts.
    pub(super) fn new(source: &'s Source<'a>, values: Value<'a>) -> Self {
        Self { source, values, prefix: String::new() }
    }

    /// Those whose names begin so.
    pub(super) fn under(&self, prefix: &str) -> Self {
        let prefix = format!("{}{prefix}", self.prefix);
        Self { source: self.source, values: self.values, prefix }
    }

    /// The tensor of that name, if there is one.
    pub(super) fn find(&self, name: &str) -> Result<Option<TensorRef>> {
        let name = format!("{}{name}", self.prefix);
        let is_module = self.values.get("_modules").is_some();
        let value = if is_module { in_module(self.values, &name) } else { self.values.get(&name) };
        value.map_or(Ok(None), |value| self.source.tensor(value))
    }

    /// The tensor of that name, which has so many axes.
    pub(super) fn get(&self, name: &str, axes: usize) -> Result<TensorRef> {
        let Some(tensor) = self.find(name)? else {
            let problem = format!("it lacks the tensor `{}{name}`", self.prefix);
            return Err(self.source.problem(problem));
        };
        if tensor.shape.len() == axes && tensor.shape.iter().all(|length| *length > 0) {
            return Ok(tensor);
        }
        let problem =
            format!("the tensor `{}{name}` has the shape {:?}", self.prefix, tensor.shape);
        Err(self.source.problem(problem))
    }

    /// The weight that is called `to` in the converted model.
    pub(super) fn weight(&self, name: &str, axes: usize, to: &str) -> Result<Weight> {
        let tensor = self.get(name, axes)?;
        let shape = tensor.shape.clone();
        Ok(Weight { name: to.to_owned(), shape, values: Values::Stored(tensor) })
    }

    /// A linear layer, called `to` in the converted model.
    pub(super) fn linear(&self, name: &str, to: &str) -> Result<[Weight; 2]> {
        let part = |part: &str, axes| {
            self.weight(&format!("{name}.{part}"), axes, &format!("{to}.{part}"))
        };
        Ok([part("weight", 2)?, part("bias", 1)?])
    }

    /// Recurrent layers of PyTorch, called `to` in the converted model.
    pub(super) fn recurrent(&self, name: &str, to: &str) -> Result<(Stack, Vec<Weight>)> {
        let bidirectional = self.find(&format!("{name}.weight_ih_l0_reverse"))?.is_some();
        let suffixes: &[&str] = if bidirectional { &["", "_reverse"] } else { &[""] };
        let (mut layers, mut weights) = (0, Vec::new());
        while layers == 0 || self.find(&format!("{name}.weight_ih_l{layers}"))?.is_some() {
            for suffix in suffixes {
                for (part, axes) in
                    [("weight_ih", 2), ("weight_hh", 2), ("bias_ih", 1), ("bias_hh", 1)]
                {
                    let part = format!("{part}_l{layers}{suffix}");
                    weights.push(self.weight(
                        &format!("{name}.{part}"),
                        axes,
                        &format!("{to}.{part}"),
                    )?);
                }
            }
            layers += 1;
        }
        let [rows, units] = [weights[1].shape[0], weights[1].shape[1]];
        let input = weights[0].shape[1];
        Ok((Stack { layers, bidirectional, rows, units, input }, weights))
    }
}

/// What the name of a tensor leads to in a module.
fn in_module<'a>(module: Value<'a>, name: &str) -> Option<Value<'a>> {
    let mut module = module;
    let mut rest = name;
    while let Some((part, inner)) = rest.split_once('.') {
        module = module.get("_modules")?.get(part)?;
        rest = inner;
    }
    let own = |values: &str| module.get(values)?.get(rest);
    own("_parameters").or_else(|| own("_buffers"))
}

/// What recurrent layers of PyTorch look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stack {
    pub(super) layers: usize,
    pub(super) bidirectional: bool,
    /// Rows of the recurrent weights: the gates' units.
    pub(super) rows: usize,
    pub(super) units: usize,
    /// Columns of what the first layer reads.
    pub(super) input: usize,
}

impl Stack {
    /// Rows of first states: one a layer and direction.
    pub(super) fn rows_of_states(&self) -> usize {
        self.layers * if self.bidirectional { 2 } else { 1 }
    }

    /// The weights that trained first states are here: `states` of one kind each
    /// (hidden, and of an LSTM cell), `[rows, units]`.
    pub(super) fn first_states<'s>(
        &'s self,
        states: &'s [Vec<f32>],
    ) -> impl Iterator<Item = Weight> + 's {
        let directions = if self.bidirectional { 2 } else { 1 };
        (0..self.rows_of_states()).map(move |row| {
            let suffix = if row % directions == 1 { "_reverse" } else { "" };
            let part = row * self.units..(row + 1) * self.units;
            let values = states.iter().flat_map(|s| &s[part.clone()]).copied().collect();
            Weight {
                name: format!("rnn.initial_l{}{suffix}", row / directions),
                shape: vec![states.len(), self.units],
                values: Values::Made(values),
            }
        })
    }
}

//! Trainable parameters in the order in which they were made.

use candle_core::{Device, Shape, Tensor, Var};

use crate::{Error, Result};

/// One trainable tensor and its dotted name, such as `rnn.0.forward.weight_hh`.
#[derive(Debug, Clone)]
pub struct Param {
    /// Dotted name; unique in its set.
    pub name: String,
    /// The value; gradients are looked up by this variable.
    pub var: Var,
}

/// Ordered set of the trainable tensors of a model.
///
/// The order is that of creation, so everything that walks over it (updates,
/// gradient norm, files) sums and writes in one order whatever the machine.
#[derive(Debug, Clone, Default)]
pub struct ParamSet {
    params: Vec<Param>,
}

impl ParamSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter with the given values, row-major in `shape`.
    ///
    /// # Errors
    /// If the name is taken or `values` does not fill `shape`.
    pub fn add(&mut self, name: &str, values: Vec<f32>, shape: impl Into<Shape>) -> Result<Var> {
        if self.get(name).is_some() {
            return Err(problem(name, "exists already"));
        }
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?;
        let var = Var::from_tensor(&tensor)?;
        self.params.push(Param { name: name.to_owned(), var: var.clone() });
        Ok(var)
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.params.iter().find(|p| p.name == name).map(|p| &p.var)
    }

    /// All parameters, in order of creation.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Param> {
        self.params.iter()
    }

    /// Number of parameters (tensors).
    pub fn len(&self) -> usize {
        self.params.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    /// Number of trainable values.
    pub fn elements(&self) -> usize {
        self.params.iter().map(|p| p.var.elem_count()).sum()
    }

    /// Values of a parameter, row-major.
    ///
    /// # Errors
    /// If there is no such parameter.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        let var = self.get(name).ok_or_else(|| problem(name, "does not exist"))?;
        Ok(var.as_tensor().flatten_all()?.to_vec1()?)
    }

    /// Overwrites the values of a parameter.
    ///
    /// # Errors
    /// If there is no such parameter, or it has another number of values.
    pub fn set_values(&self, name: &str, values: Vec<f32>) -> Result<()> {
        let var = self.get(name).ok_or_else(|| problem(name, "does not exist"))?;
        if values.len() != var.elem_count() {
            let want = var.elem_count();
            return Err(problem(name, format!("has {want} values, got {}", values.len())));
        }
        var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
        Ok(())
    }
}

fn problem(name: &str, problem: impl Into<String>) -> Error {
    Error::Parameter { name: name.to_owned(), problem: problem.into() }
}

//! Weights of a model at rest: names, shapes and plain values.

use std::collections::BTreeMap;

use crate::{Error, ParamSet, Result};

/// Named tensors of `f32`, taken out one by one while a model is built.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Weights {
    /// No tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor, row-major.
    pub fn insert(&mut self, name: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) {
        self.tensors.insert(name.into(), (shape, values));
    }

    /// The values of a parameter set.
    ///
    /// # Errors
    /// If Candle cannot read a variable.
    pub fn from_params(params: &ParamSet) -> Result<Self> {
        let mut weights = Self::new();
        for param in params.iter() {
            weights.insert(&param.name, param.var.dims().to_vec(), params.values(&param.name)?);
        }
        Ok(weights)
    }

    /// All tensors in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize], &[f32])> {
        self.tensors.iter().map(|(name, (shape, values))| (&**name, &**shape, &**values))
    }

    /// Takes a tensor out.
    ///
    /// # Errors
    /// If it is missing, has another shape, or holds a value that is not finite.
    pub fn take(&mut self, name: &str, want: &[usize]) -> Result<Vec<f32>> {
        let Some((shape, values)) = self.tensors.remove(name) else {
            return Err(Error::Missing { name: name.to_owned() });
        };
        if shape != want || values.len() != want.iter().product::<usize>() {
            return Err(Error::Shape { name: name.to_owned(), want: want.to_vec(), found: shape });
        }
        match values.iter().position(|v| !v.is_finite()) {
            Some(index) => Err(Error::NotFinite { name: name.to_owned(), index }),
            None => Ok(values),
        }
    }

    /// Checks that every tensor was taken.
    ///
    /// # Errors
    /// If one is left.
    pub fn finish(self) -> Result<()> {
        match self.tensors.into_keys().next() {
            Some(name) => Err(Error::Unexpected { name }),
            None => Ok(()),
        }
    }
}

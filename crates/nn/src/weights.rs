//! Weights of a model at rest: names, shapes and plain values.

use std::collections::BTreeMap;

use crate::{Error, ParamSet, Result};

/// Values that are checked at once.
const BLOCK: usize = 1024;

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
        let size = want.iter().try_fold(1_usize, |size, &dim| size.checked_mul(dim));
        if shape != want || Some(values.len()) != size {
            return Err(Error::Shape { name: name.to_owned(), want: want.to_vec(), found: shape });
        }
        match not_finite(&values) {
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

/// The first value that is not finite. Whole blocks are looked at without
/// branches, which takes half of the time.
fn not_finite(values: &[f32]) -> Option<usize> {
    let is_bad = |block: &[f32]| block.iter().fold(false, |bad, v| bad | !v.is_finite());
    let block = values.chunks(BLOCK).position(is_bad)?;
    let first = block * BLOCK;
    values[first..].iter().position(|v| !v.is_finite()).map(|index| first + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn take_and_finish_name_what_is_wrong() {
        let mut weights = Weights::new();
        weights.insert("a", vec![2, 3], vec![1.0; 6]);
        weights.insert("b", vec![2], vec![0.0, f32::NAN]);
        weights.insert("c", vec![3], vec![0.0; 2]);
        weights.insert("d", vec![1], vec![0.0]);
        assert_eq!(weights.take("a", &[2, 3]).unwrap(), [1.0; 6]);
        assert!(matches!(weights.take("a", &[2, 3]), Err(Error::Missing { name }) if name == "a"));
        let error = weights.take("b", &[2]);
        assert!(matches!(error, Err(Error::NotFinite { name, index: 1 }) if name == "b"));
        assert!(matches!(weights.take("c", &[3]), Err(Error::Shape { .. })), "too few values");
        assert!(matches!(weights.finish(), Err(Error::Unexpected { name }) if name == "d"));
        assert!(Weights::new().finish().is_ok());
    }

    #[test]
    fn the_first_value_that_is_not_finite_is_named() {
        let mut values = vec![1.0; 3 * BLOCK + 5];
        assert_eq!(not_finite(&values), None);
        for index in [3 * BLOCK + 4, 2 * BLOCK, 2 * BLOCK - 1, 0] {
            values[index] = if index % 2 == 0 { f32::NAN } else { f32::NEG_INFINITY };
            assert_eq!(not_finite(&values), Some(index));
        }
        assert_eq!(not_finite(&[]), None);
    }

    #[test]
    fn another_shape_of_the_same_size_is_refused() {
        let mut weights = Weights::new();
        weights.insert("a", vec![2, 3], vec![1.0; 6]);
        let Err(Error::Shape { want, found, .. }) = weights.take("a", &[3, 2]) else {
            panic!("a transposed tensor was taken")
        };
        assert_eq!((want, found), (vec![3, 2], vec![2, 3]));
    }

    #[test]
    fn a_shape_that_wraps_to_nothing_is_refused() {
        let absurd = vec![1 << (usize::BITS / 2); 2];
        let mut weights = Weights::new();
        weights.insert("a", absurd.clone(), Vec::new());
        assert!(matches!(weights.take("a", &absurd), Err(Error::Shape { .. })));
    }
}

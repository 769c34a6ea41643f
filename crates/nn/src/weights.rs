//! Weights of a model at rest: names, shapes and plain values.

use std::{borrow::Cow, collections::BTreeMap, error::Error as StdError, fmt, sync::Arc};

use candle_core::Tensor;

use crate::{Device, Error, ParamSet, Result};

/// Values that are checked at once.
const BLOCK: usize = 1024;

/// Reads the values of a tensor, row-major, from where they lie.
pub type ReadValues =
    Arc<dyn Fn() -> Result<Vec<f32>, Box<dyn StdError + Send + Sync>> + Send + Sync>;

/// Named tensors of `f32`, taken out one by one while a model is built.
///
/// Values may be read only when they are taken, so that no more of a model is
/// in memory at once than what is being built of it.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    tensors: BTreeMap<String, (Vec<usize>, Values)>,
    device: Device,
}

/// The values of a tensor.
#[derive(Clone)]
enum Values {
    Here(Vec<f32>),
    Elsewhere(ReadValues),
}

impl Values {
    /// The values, of the tensor of that name.
    fn get(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        match self {
            Self::Here(values) => Ok(values.into()),
            Self::Elsewhere(read) => match read() {
                Ok(values) => Ok(values.into()),
                Err(source) => Err(Error::Read { name: name.to_owned(), source }),
            },
        }
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(values) => values.fmt(f),
            Self::Elsewhere(_) => f.write_str("Elsewhere"),
        }
    }
}

/// A tensor among [`Weights`].
#[derive(Clone, Copy, Debug)]
pub struct WeightEntry<'a> {
    /// Name.
    pub name: &'a str,
    /// Length of each axis.
    pub shape: &'a [usize],
    values: &'a Values,
}

impl<'a> WeightEntry<'a> {
    /// Its values, row-major, read now if they were not.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn values(&self) -> Result<Cow<'a, [f32]>> {
        self.values.get(self.name)
    }
}

impl Weights {
    /// No tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for layers that compute on a device.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        Self { device: device.clone(), ..self }
    }

    /// Where layers compute that are made of these weights.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Adds a tensor, row-major.
    pub fn insert(&mut self, name: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) {
        self.tensors.insert(name.into(), (shape, Values::Here(values)));
    }

    /// Adds a tensor whose values are read when they are asked for.
    pub fn insert_with(&mut self, name: impl Into<String>, shape: Vec<usize>, read: ReadValues) {
        self.tensors.insert(name.into(), (shape, Values::Elsewhere(read)));
    }

    /// The values of a parameter set, for layers on the same device.
    ///
    /// # Errors
    /// If Candle cannot read a variable.
    pub fn from_params(params: &ParamSet) -> Result<Self> {
        let mut weights = Self::new().on(params.device());
        for tensor in params.tensors() {
            weights.insert(tensor.name, tensor.shape.to_vec(), tensor.values()?);
        }
        Ok(weights)
    }

    /// All tensors in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = WeightEntry<'_>> {
        self.tensors.iter().map(|(name, (shape, values))| WeightEntry { name, shape, values })
    }

    /// Takes a tensor out; its values are read now if they were not.
    ///
    /// # Errors
    /// If it is missing, has another shape, cannot be read, or holds a value
    /// that is not finite.
    pub fn take(&mut self, name: &str, want: &[usize]) -> Result<Vec<f32>> {
        let Some((shape, values)) = self.tensors.remove(name) else {
            return Err(Error::Missing { name: name.to_owned() });
        };
        let wrong = |found| Error::Shape { name: name.to_owned(), want: want.to_vec(), found };
        if shape != want {
            return Err(wrong(shape));
        }
        let values = match values {
            Values::Here(values) => values,
            elsewhere => elsewhere.get(name)?.into_owned(),
        };
        let size = want.iter().try_fold(1_usize, |size, &dim| size.checked_mul(dim));
        if Some(values.len()) != size {
            return Err(wrong(shape));
        }
        match not_finite(&values) {
            Some(index) => Err(Error::NotFinite { name: name.to_owned(), index }),
            None => Ok(values),
        }
    }

    /// As [`Weights::take`], as a tensor of the device.
    pub(crate) fn take_tensor(&mut self, name: &str, want: &[usize]) -> Result<Tensor> {
        let values = self.take(name, want)?;
        Ok(Tensor::from_vec(values, want, self.device.candle())?)
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
    use std::sync::atomic::{AtomicUsize, Ordering};

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

    /// Values that count how often they are read.
    fn counted(values: Vec<f32>) -> (Arc<AtomicUsize>, ReadValues) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let read = move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok(values.clone())
        };
        (count, Arc::new(read))
    }

    #[test]
    fn values_elsewhere_are_read_when_they_are_taken_and_not_before() {
        let mut weights = Weights::new();
        let (count, read) = counted(vec![1.0, 2.0]);
        let reads = || count.load(Ordering::Relaxed);
        weights.insert_with("a", vec![2], read);
        let mut other = weights.clone();
        assert!(matches!(other.take("a", &[1, 2]), Err(Error::Shape { .. })));
        let names: Vec<_> = weights.iter().map(|entry| (entry.name, entry.shape)).collect();
        assert_eq!(names, [("a", &[2][..])]);
        assert!(format!("{weights:?}").contains("Elsewhere"));
        assert_eq!(reads(), 0);
        assert_eq!(*weights.iter().next().unwrap().values().unwrap(), [1.0, 2.0]);
        assert_eq!(weights.take("a", &[2]).unwrap(), [1.0, 2.0]);
        assert_eq!(reads(), 2);
        assert!(matches!(weights.take("a", &[2]), Err(Error::Missing { .. })));
        assert!(weights.finish().is_ok());
    }

    #[test]
    fn values_elsewhere_are_checked_as_those_that_are_here() {
        let mut weights = Weights::new();
        weights.insert_with("a", vec![2], counted(vec![0.0; 3]).1);
        weights.insert_with("b", vec![2], counted(vec![0.0, f32::INFINITY]).1);
        weights.insert_with("c", vec![2], Arc::new(|| Err("the disk is gone".into())));
        weights.insert_with("d", vec![2], counted(vec![0.0; 2]).1);
        let entry = weights.iter().find(|entry| entry.name == "c").unwrap();
        assert!(matches!(entry.values(), Err(Error::Read { name, .. }) if name == "c"));
        assert!(matches!(weights.take("a", &[2]), Err(Error::Shape { .. })));
        assert!(matches!(weights.take("b", &[2]), Err(Error::NotFinite { index: 1, .. })));
        let error = weights.take("c", &[2]).unwrap_err();
        assert_eq!(error.to_string(), "tensor `c` cannot be read");
        assert_eq!(error.source().unwrap().to_string(), "the disk is gone");
        assert!(matches!(weights.finish(), Err(Error::Unexpected { name }) if name == "d"));
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

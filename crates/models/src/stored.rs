//! Weights of a model's file, read when layers take them.

use std::sync::Arc;

use glossator_hub::{Bundle, StoredTensor};
use glossator_nn::Weights;

use crate::{Error, Result};

/// File of a model's weights.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// A model's own weights, those whose names are wanted. The header of their
/// file is checked; values are read when they are taken.
///
/// # Errors
/// If the file is missing or damaged.
pub(crate) fn weights(bundle: &Bundle, wanted: impl Fn(&str) -> bool) -> Result<Weights> {
    let mut weights = Weights::new();
    for tensor in bundle.tensors(WEIGHTS)?.into_iter().filter(|tensor| wanted(tensor.name())) {
        let (name, shape) = (tensor.name().to_owned(), tensor.shape().to_vec());
        weights.insert_with(name, shape, Arc::new(move || read(&tensor)));
    }
    Ok(weights)
}

fn read(tensor: &StoredTensor) -> Result<Vec<f32>, Box<dyn std::error::Error + Send + Sync>> {
    Ok(tensor.read()?)
}

/// A tensor with its values, to be written.
#[cfg(feature = "train")]
pub(crate) fn tensor(
    entry: glossator_nn::WeightEntry<'_>,
) -> glossator_nn::Result<glossator_hub::Tensor> {
    Ok(glossator_hub::Tensor {
        name: entry.name.to_owned(),
        shape: entry.shape.to_vec(),
        values: entry.values()?.into_owned(),
    })
}

impl Error {
    /// Why a model cannot be made of its weights. What the file itself is to
    /// blame for names the model already.
    pub(crate) fn of_weights(model: &str, source: glossator_nn::Error) -> Self {
        let model = model.to_owned();
        match source {
            glossator_nn::Error::Read { name, source } => match source.downcast() {
                Ok(error) => Self::Hub(*error),
                Err(source) => {
                    Self::Model { model, source: glossator_nn::Error::Read { name, source } }
                }
            },
            source => Self::Model { model, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use glossator_hub::{StoredPrecision, Tensor, write_tensors};

    use super::*;

    #[test]
    fn weights_of_a_file_that_was_cut_meanwhile_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let tensor =
            |name: &str| Tensor { name: name.into(), shape: vec![2], values: vec![1.0; 2] };
        let bytes =
            write_tensors(&["a", "b", "c"].map(tensor), StoredPrecision::default()).unwrap();
        fs::write(folder.path().join(WEIGHTS), &bytes).unwrap();
        let bundle = Bundle::folder(folder.path());
        let mut weights = weights(&bundle, |name| name != "c").unwrap();
        assert_eq!(weights.take("b", &[2]).unwrap(), [1.0; 2]);
        assert!(weights.take("c", &[2]).is_err(), "nobody wanted it");
        fs::write(folder.path().join(WEIGHTS), &bytes[..bytes.len() - 20]).unwrap();
        let error = Error::of_weights("a name", weights.take("a", &[2]).unwrap_err());
        assert!(matches!(error, Error::Hub(glossator_hub::Error::Damaged { .. })), "{error:?}");
        let message = error.to_string();
        for part in [bundle.name(), WEIGHTS, "tensor `a`", "changed"] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn what_is_no_fault_of_the_file_names_the_model() {
        let missing = glossator_nn::Error::Missing { name: "a".to_owned() };
        let elsewhere = glossator_nn::Error::Read { name: "a".to_owned(), source: "no".into() };
        for error in [missing, elsewhere] {
            let error = Error::of_weights("some model", error).to_string();
            assert!(error.contains("some model") && error.contains("tensor `a`"), "{error}");
        }
    }
}

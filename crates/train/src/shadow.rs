//! Numbers that follow a parameter: as many as it has, where it lies.

use std::borrow::Cow;

use candle_core::Tensor;
use glossator_nn::Param;

use crate::{Result, values};

/// Numbers beside those of a parameter: a running mean of its gradients, or of
/// itself.
#[derive(Clone, Debug)]
pub(crate) enum Shadow {
    /// On the processor, row-major.
    Host(Vec<f32>),
    /// On the device of the parameter, shaped as it is.
    Device(Tensor),
}

impl Shadow {
    /// Zeros.
    pub(crate) fn zeros(param: &Param) -> Result<Self> {
        Ok(match param.var.device().is_cpu() {
            true => Self::Host(vec![0.0; param.var.elem_count()]),
            false => Self::Device(param.var.zeros_like()?),
        })
    }

    /// The parameter as it is now.
    pub(crate) fn of(param: &Param) -> Result<Self> {
        Ok(match param.var.device().is_cpu() {
            true => Self::Host(values::copy(&param.var)?),
            false => Self::Device(param.var.as_detached_tensor().copy()?),
        })
    }

    /// The numbers, row-major.
    pub(crate) fn values(&self) -> Result<Cow<'_, [f32]>> {
        Ok(match self {
            Self::Host(values) => values.into(),
            Self::Device(tensor) => tensor.flatten_all()?.to_vec1()?.into(),
        })
    }

    /// Overwrites the numbers with as many others.
    pub(crate) fn set(&mut self, values: Vec<f32>) -> Result<()> {
        match self {
            Self::Host(own) => *own = values,
            Self::Device(tensor) => {
                *tensor = Tensor::from_vec(values, tensor.shape(), tensor.device())?;
            }
        }
        Ok(())
    }
}

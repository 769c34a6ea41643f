//! How a model is computed.

use glossator_hub::StoredPrecision;
use glossator_nn::{Device, Precision};

/// How a model is to be computed.
#[derive(Clone, Debug, Default)]
pub struct Compute {
    /// Number format of its products; none: that which the configurations of the
    /// model and of its language models name.
    pub precision: Option<Precision>,
    /// Where.
    pub device: Device,
}

impl From<Option<Precision>> for Compute {
    /// On the processor.
    fn from(precision: Option<Precision>) -> Self {
        Self { precision, device: Device::cpu() }
    }
}

impl Compute {
    /// The number format of a model whose configuration names one. GPUs have no
    /// products of int8, and take bf16 in its place.
    pub(crate) fn precision(&self, own: StoredPrecision) -> Precision {
        self.precision.unwrap_or(match own {
            StoredPrecision::F32 => Precision::F32,
            StoredPrecision::Bf16 => Precision::Bf16,
            StoredPrecision::Int8 if self.device.is_cpu() => Precision::Int8,
            StoredPrecision::Int8 => Precision::Bf16,
        })
    }
}

//! Layers of recurrent networks as Candle graphs over the Glossator kernels.
#![forbid(unsafe_code)]

mod error;
mod params;
mod rng;

pub use error::Error;
pub use params::{Param, ParamSet};
pub use rng::Rng;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

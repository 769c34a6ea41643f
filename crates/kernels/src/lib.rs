//! Everything fast or unsafe: packed products, recurrent scans, the CRF.
//!
//! The decision this crate embodies: **weights are packed once, whole
//! sequences go in, and every output is summed in one order.** A product adds
//! its inner dimension front to back in one chain of multiply-adds per
//! element, so a result does not depend on the number of rows computed beside
//! it, on the tile it falls into, or on the number of threads.
//!
//! - [`gemm`]: packed products of any number of rows;
//! - [`cells`]: recurrent cells, with separate paths for inference and training;
//! - [`Schedule`]: which sequence each row of a batch works on at each step;
//! - [`attention`]: weights and contexts of queries over keys;
//! - [`layer`]: normalisation and highways between recurrent layers;
//! - [`crf`]: linear-chain conditional random fields;
//! - [`op`]: the only place that shows these kernels to Candle;
//! - [`mod@reference`]: the same mathematics in `f64` and plain loops, the truth
//!   that every kernel is tested against.
#![deny(unsafe_op_in_unsafe_fn)]

mod activation;
pub mod attention;
mod buffer;
pub mod cells;
pub mod crf;
#[cfg(any(feature = "cuda", all(test, target_os = "linux")))]
mod cuda;
mod error;
pub mod gemm;
pub mod layer;
mod loss;
mod map;
pub mod op;
mod pages;
mod peak;
pub mod reference;
mod schedule;
mod simd;

pub use error::Error;
pub use loss::log_sum_exp;
pub use map::Map;
pub use pages::LargePages;
pub use peak::peak;
pub use schedule::{Direction, Schedule, Step};
pub use simd::Isa;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

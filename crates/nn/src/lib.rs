//! Layers of recurrent networks over the Glossator kernels.
//!
//! A layer has two faces that share names and layout of their weights (those
//! of PyTorch): one builds a Candle graph over [`ParamSet`] variables and is
//! trained, the other takes plain [`Weights`], packs them once and computes on
//! slices. Inference on the processor therefore never touches a graph, and its
//! bits depend on neither batch nor threads; on a GPU the first face computes.
#![forbid(unsafe_code)]

mod attention;
mod device;
pub mod dropout;
mod embedding;
mod error;
pub mod init;
mod linear;
mod loss;
mod params;
mod rng;
mod rnn;
mod weights;

pub use attention::{Attention, AttentionKind, AttentionShape, Memory, PackedAttention};
pub use device::Device;
pub use embedding::{Embedding, embed};
pub use error::Error;
pub use glossator_kernels::{
    Direction, Error as KernelError, Isa, LargePages, Map, Schedule,
    attention::tanh,
    cells::CellKind,
    crf::{Crf, Mask, Posterior},
    gemm::Precision,
    log_sum_exp,
    op::{RecurrentInput, crf_loss},
};
pub use linear::{Linear, PackedLinear};
pub use loss::{nll, weighted_nll};
pub use params::{Param, ParamSet, ParamTensor};
pub use rng::Rng;
pub use rnn::{
    Between, Connection, Keep, PackedRnn, Rnn, RnnInit, RnnInput, RnnOutput, RnnShape, RnnState,
};
pub use weights::{ReadValues, WeightEntry, Weights};

/// Operations of a graph beside the layers.
pub mod ops {
    pub use glossator_kernels::op::{attention_context, output_loss, select_rows, tanh};
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

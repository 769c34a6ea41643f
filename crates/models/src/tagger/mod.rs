//! The BiLSTM-CRF tagger (Huang et al., 2015; Lample et al., 2016; Akbik et
//! al., 2018).
//!
//! ```text
//! embeddings, side by side -> reprojection -> BiLSTM -> emission scores -> CRF of each layer
//! ```

mod config;
mod constraints;
mod decode;
mod head;
mod infer;
mod labels;
mod majority;
mod mended;
mod options;
#[cfg(feature = "train")]
pub mod train;

pub use config::TaggerConfig;
pub(crate) use config::{KIND, LayerModel, TaggerModel, layer_name};
pub use constraints::{Constraints, Gazetteer};
#[cfg(all(test, feature = "convert"))]
pub(crate) use infer::Inside;
pub use infer::{Tagger, TaggerLayer};
pub(crate) use labels::Labels;
pub use options::TagOptions;

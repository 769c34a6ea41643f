//! Stacked recurrent layers in one or both directions.

mod infer;
mod train;

pub use infer::{Keep, PackedRnn, RnnInput, RnnState};
pub use train::{Rnn, RnnOutput};

use glossator_kernels::{
    Direction,
    cells::{CellKind, Spec},
};

/// What a stack of recurrent layers looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RnnShape {
    /// The cell.
    pub cell: CellKind,
    /// Columns of the input.
    pub input_dim: usize,
    /// Units of each direction of each layer.
    pub hidden_dim: usize,
    /// Layers.
    pub n_layers: usize,
    /// Whether each layer also reads backward.
    pub bidirectional: bool,
}

impl RnnShape {
    /// Columns of the output: those of both directions side by side.
    pub fn output_dim(&self) -> usize {
        self.directions().len().saturating_mul(self.hidden_dim)
    }

    fn directions(&self) -> &'static [Direction] {
        match self.bidirectional {
            true => &[Direction::Forward, Direction::Backward],
            false => &[Direction::Forward],
        }
    }

    fn layer_input(&self, layer: usize) -> usize {
        if layer == 0 { self.input_dim } else { self.output_dim() }
    }
}

/// Name of all weights of one direction of one layer.
fn group_name(prefix: &str, layer: usize, direction: Direction) -> String {
    let suffix = if direction == Direction::Backward { "_reverse" } else { "" };
    format!("{prefix}.l{layer}{suffix}")
}

/// Names and shapes of the weights of one direction of one layer, PyTorch's, in
/// the order of [`cells::Weights`](glossator_kernels::cells::Weights).
fn tensors(
    prefix: &str,
    shape: &RnnShape,
    layer: usize,
    direction: Direction,
) -> Vec<(String, Vec<usize>)> {
    let Spec { gates, vectors, .. } = shape.cell.cell().spec();
    let rows = gates.saturating_mul(shape.hidden_dim);
    let suffix = if direction == Direction::Backward { "_reverse" } else { "" };
    let name = |part: &str| format!("{prefix}.{part}_l{layer}{suffix}");
    let mut tensors = vec![
        (name("weight_ih"), vec![rows, shape.layer_input(layer)]),
        (name("weight_hh"), vec![rows, shape.hidden_dim]),
        (name("bias_ih"), vec![rows]),
        (name("bias_hh"), vec![rows]),
    ];
    if vectors > 0 {
        tensors.push((name("peephole"), vec![vectors, shape.hidden_dim]));
    }
    tensors
}

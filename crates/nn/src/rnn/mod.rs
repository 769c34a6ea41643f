//! Stacked recurrent layers in one or both directions.

mod infer;
mod on_device;
mod train;

pub use infer::{Keep, PackedRnn, RnnInput, RnnState};
pub use train::{Rnn, RnnInit, RnnOutput};

use glossator_kernels::{
    Direction,
    cells::{CellKind, Spec},
};

use crate::{Result, Weights};

/// What a stack of recurrent layers looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RnnShape {
    /// The cell.
    pub cell: CellKind,
    /// Columns of the input.
    pub input_dim: usize,
    /// Units of each direction of each layer.
    pub hidden_dim: usize,
    /// Layers; none leaves its input as it is.
    pub n_layers: usize,
    /// Whether each layer also reads backward.
    pub bidirectional: bool,
    /// What stands between the layers.
    pub between: Between,
    /// Whether sequences begin with a trained state, not with zeros.
    pub learned_state: bool,
}

/// What stands between the layers of a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Between {
    /// How what a layer reads goes on beside what it computes, but for the
    /// first layer.
    pub connection: Connection,
    /// Whether what a layer puts out is normalised (Ba et al., 2016) before the
    /// next one reads it.
    pub layer_norm: bool,
}

/// How what a layer reads goes on beside what it computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// Not at all.
    #[default]
    None,
    /// It is added (He et al., 2016).
    Residual,
    /// A gate chooses between the two, feature by feature (Srivastava et al.,
    /// 2015).
    Highway,
}

impl RnnShape {
    /// Columns of the output: those of both directions side by side, or the
    /// input's if there are no layers.
    pub fn output_dim(&self) -> usize {
        if self.n_layers == 0 {
            return self.input_dim;
        }
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

/// Name of the trained first state of one direction of one layer.
fn state_name(prefix: &str, layer: usize, direction: Direction) -> String {
    let suffix = if direction == Direction::Backward { "_reverse" } else { "" };
    format!("{prefix}.initial_l{layer}{suffix}")
}

/// Name of the gate of the highway around a layer.
fn highway_name(prefix: &str, layer: usize) -> String {
    format!("{prefix}.highway_l{layer}")
}

/// Name of the normalisation behind a layer.
fn norm_name(prefix: &str, layer: usize) -> String {
    format!("{prefix}.norm_l{layer}")
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

/// Weights of one layer, taken from where they are stored.
struct TakenLayer {
    /// Of each direction those of [`tensors`].
    directions: Vec<Vec<Vec<f32>>>,
    /// Trained first state of each direction, `[states, hidden_dim]`.
    states: Vec<Vec<f32>>,
    /// Name of the gate of the highway around it, if there is one.
    highway: Option<String>,
    /// Scale and shift of the normalisation behind it.
    norm: Option<(Vec<f32>, Vec<f32>)>,
}

impl TakenLayer {
    fn take(stored: &mut Weights, prefix: &str, shape: &RnnShape, layer: usize) -> Result<Self> {
        let (mut directions, mut states) = (Vec::new(), Vec::new());
        for &direction in shape.directions() {
            let names = tensors(prefix, shape, layer, direction).into_iter();
            let parts = names.map(|(name, dims)| stored.take(&name, &dims));
            directions.push(parts.collect::<Result<_>>()?);
            if shape.learned_state {
                let size = [shape.cell.cell().spec().states, shape.hidden_dim];
                states.push(stored.take(&state_name(prefix, layer, direction), &size)?);
            }
        }
        let is_highway = layer > 0 && shape.between.connection == Connection::Highway;
        let is_normed = layer + 1 < shape.n_layers && shape.between.layer_norm;
        let norm = is_normed.then(|| {
            let (name, width) = (norm_name(prefix, layer), shape.output_dim());
            let scale = stored.take(&format!("{name}.weight"), &[width])?;
            Ok::<_, crate::Error>((scale, stored.take(&format!("{name}.bias"), &[width])?))
        });
        Ok(Self {
            directions,
            states,
            highway: is_highway.then(|| highway_name(prefix, layer)),
            norm: norm.transpose()?,
        })
    }
}

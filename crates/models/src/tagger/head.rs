//! From the vectors of tokens to emission scores.

use candle_core::Tensor;
use glossator_nn::{
    Device, Linear, PackedLinear, PackedRnn, Precision, Result, Rng, Rnn, RnnShape, Weights,
};

/// The layers between embeddings and decoder.
pub(super) enum Head {
    /// On the processor.
    Packed(Box<Layers<PackedLinear, PackedRnn>>),
    /// On a GPU: vectors go there once, and scores come back.
    OnDevice(Box<Layers<Linear, Rnn>>),
}

/// The layers of one face.
pub(super) struct Layers<Affine, Recurrent> {
    device: Device,
    /// Columns of the vectors.
    dim: usize,
    reprojection: Option<Affine>,
    rnn: Option<Recurrent>,
    output: Affine,
}

/// Sizes of the layers.
pub(super) struct HeadShape {
    /// Columns of the vectors.
    pub(super) dim: usize,
    /// Columns of the reprojection, if there is one.
    pub(super) reprojected: Option<usize>,
    pub(super) rnn: RnnShape,
    pub(super) n_tags: usize,
}

impl Head {
    /// Takes the weights, for the device that they are for.
    pub(super) fn new(
        weights: &mut Weights,
        shape: &HeadShape,
        precision: Precision,
    ) -> Result<Self> {
        if weights.device().is_cpu() {
            Self::packed(weights, shape, precision)
        } else {
            Self::on_device(weights, shape, precision)
        }
    }

    fn packed(weights: &mut Weights, shape: &HeadShape, precision: Precision) -> Result<Self> {
        let mut linear =
            |name, from, to, precision| PackedLinear::new(weights, name, from, to, precision);
        let project = |to| linear("reprojection", shape.dim, to, precision);
        let reprojection = shape.reprojected.map(project).transpose()?;
        let output = linear("output", shape.rnn.output_dim(), shape.n_tags, Precision::F32)?;
        let rnn = match shape.rnn.n_layers {
            0 => None,
            _ => Some(PackedRnn::new(weights, "rnn", shape.rnn, precision)?),
        };
        let device = weights.device().clone();
        let layers = Layers { device, dim: shape.dim, reprojection, rnn, output };
        Ok(Self::Packed(Box::new(layers)))
    }

    fn on_device(weights: &mut Weights, shape: &HeadShape, precision: Precision) -> Result<Self> {
        let device = weights.device().clone();
        let mut linear =
            |name, from, to, precision| Linear::from_weights(weights, name, from, to, precision);
        let project = |to| linear("reprojection", shape.dim, to, precision);
        let reprojection = shape.reprojected.map(project).transpose()?;
        let output = linear("output", shape.rnn.output_dim(), shape.n_tags, Precision::F32)?;
        let rnn = match shape.rnn.n_layers {
            0 => None,
            _ => Some(Rnn::from_weights(weights, "rnn", shape.rnn, precision)?),
        };
        let layers = Layers { device, dim: shape.dim, reprojection, rnn, output };
        Ok(Self::OnDevice(Box::new(layers)))
    }

    /// Whether few large batches are better than many small ones.
    pub(super) fn wants_all(&self) -> bool {
        matches!(self, Self::OnDevice(_))
    }

    /// Emission scores `[tokens, tags]` by vectors `[tokens, dim]`.
    pub(super) fn emissions(&self, vectors: &[f32], lengths: &[usize]) -> Result<Vec<f32>> {
        let tokens = lengths.iter().sum();
        match self {
            Self::Packed(layers) => {
                let Layers { reprojection, rnn, output, .. } = &**layers;
                let projected = reprojection.as_ref().map(|layer| layer.apply(vectors, tokens));
                let x = projected.as_deref().unwrap_or(vectors);
                let hidden = rnn.as_ref().map(|rnn| rnn.apply(x, lengths)).transpose()?;
                Ok(output.apply(hidden.as_deref().unwrap_or(x), tokens))
            }
            Self::OnDevice(layers) => {
                let Layers { device, dim, reprojection, rnn, output } = &**layers;
                let mut x = Tensor::from_slice(vectors, (tokens, *dim), device.candle())?;
                if let Some(reprojection) = reprojection {
                    x = reprojection.forward(&x)?;
                }
                if let Some(rnn) = rnn {
                    // Nothing is dropped, so nothing is drawn.
                    x = rnn.forward(&x, lengths, 0.0, &mut Rng::new(0, "", 0))?.hidden;
                }
                Ok(output.forward(&x)?.flatten_all()?.to_vec1()?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use glossator_nn::{Between, CellKind, init};

    use super::*;

    #[test]
    fn a_gpu_is_asked_for_what_the_processor_computes() {
        let shape = |reprojected| HeadShape {
            dim: 7,
            reprojected,
            rnn: RnnShape {
                cell: CellKind::Gru,
                input_dim: reprojected.unwrap_or(7),
                hidden_dim: 6,
                n_layers: 2,
                bidirectional: true,
                between: Between::default(),
                learned_state: false,
            },
            n_tags: 5,
        };
        for shape in [shape(None), shape(Some(4))] {
            let rng = &mut Rng::new(1, "test", 0);
            let mut weights = Weights::new();
            let mut add = |name: &str, dims: &[usize]| {
                let values = init::uniform(rng, dims.iter().product(), 0.5);
                weights.insert(name, dims.to_vec(), values);
            };
            if let Some(to) = shape.reprojected {
                add("reprojection.weight", &[to, 7]);
                add("reprojection.bias", &[to]);
            }
            for (layer, columns) in [(0, shape.rnn.input_dim), (1, 12)] {
                for suffix in ["", "_reverse"] {
                    add(&format!("rnn.weight_ih_l{layer}{suffix}"), &[18, columns]);
                    add(&format!("rnn.weight_hh_l{layer}{suffix}"), &[18, 6]);
                    add(&format!("rnn.bias_ih_l{layer}{suffix}"), &[18]);
                    add(&format!("rnn.bias_hh_l{layer}{suffix}"), &[18]);
                }
            }
            add("output.weight", &[5, 12]);
            add("output.bias", &[5]);
            let vectors = init::uniform(rng, 6 * 7, 1.0);
            let mut other = weights.clone();
            let f32 = Precision::F32;
            // The processor is a device, too.
            let on_device = Head::on_device(&mut weights, &shape, f32).unwrap();
            weights.finish().unwrap();
            let packed = Head::packed(&mut other, &shape, f32).unwrap();
            assert!(on_device.wants_all() && !packed.wants_all());
            for lengths in [&[4, 2][..], &[6], &[1, 0, 5]] {
                let got = on_device.emissions(&vectors, lengths).unwrap();
                let want = packed.emissions(&vectors, lengths).unwrap();
                assert_eq!(got.len(), want.len());
                assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-5));
            }
            assert!(on_device.emissions(&[], &[]).unwrap().is_empty());
        }
    }
}

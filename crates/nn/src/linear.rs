//! Affine layers.

use candle_core::Tensor;
use glossator_kernels::{
    Isa,
    gemm::{Init, Packed, Precision, Rows, product},
    op,
};

use crate::{ParamSet, Result, Rng, Weights, init};

/// `x W^T + b` as a graph: trained, or at work on a GPU.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
    precision: Precision,
}

impl Linear {
    /// Makes `{name}.weight` `[output_dim, input_dim]` and `{name}.bias`.
    ///
    /// # Errors
    /// If a name is taken.
    pub fn new(
        params: &mut ParamSet,
        name: &str,
        input_dim: usize,
        output_dim: usize,
        rng: &mut Rng,
    ) -> Result<Self> {
        let weight = init::xavier(rng, output_dim, input_dim);
        Self::with_weight(params, name, weight, output_dim, 0.0)
    }

    /// As [`Linear::new`], with given first values of the weight,
    /// `[output_dim, input_dim]`, and of all biases.
    ///
    /// # Errors
    /// If a name is taken or the values do not fill whole rows.
    pub fn with_weight(
        params: &mut ParamSet,
        name: &str,
        weight: Vec<f32>,
        output_dim: usize,
        bias: f32,
    ) -> Result<Self> {
        let input_dim = weight.len() / output_dim.max(1);
        let weight = params.add(&format!("{name}.weight"), weight, (output_dim, input_dim))?;
        let bias = params.add(&format!("{name}.bias"), vec![bias; output_dim], output_dim)?;
        Ok(Self { weight: weight.into_inner(), bias: bias.into_inner(), precision: Precision::F32 })
    }

    /// Takes the weights of a layer that is trained no more, to the device that
    /// they are for.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn from_weights(
        weights: &mut Weights,
        name: &str,
        input_dim: usize,
        output_dim: usize,
        precision: Precision,
    ) -> Result<Self> {
        let weight = weights.take_tensor(&format!("{name}.weight"), &[output_dim, input_dim])?;
        let bias = weights.take_tensor(&format!("{name}.bias"), &[output_dim])?;
        Ok(Self { weight, bias, precision })
    }

    /// The same with its products in a number format; weights, results and
    /// gradients stay `f32`.
    #[must_use]
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// `x`: `[rows, input_dim]`; returns `[rows, output_dim]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(op::linear(x, &self.weight, &self.bias, self.precision)?)
    }
}

/// `x W^T + b` with packed weights.
#[derive(Clone, Debug)]
pub struct PackedLinear {
    weight: Packed,
    bias: Vec<f32>,
}

impl PackedLinear {
    /// Takes the weights of the [`Linear`] layer of that name, to be computed
    /// with in a number format.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn new(
        weights: &mut Weights,
        name: &str,
        input_dim: usize,
        output_dim: usize,
        precision: Precision,
    ) -> Result<Self> {
        let weight = weights.take(&format!("{name}.weight"), &[output_dim, input_dim])?;
        let bias = weights.take(&format!("{name}.bias"), &[output_dim])?;
        Ok(Self::of(&weight, bias, input_dim, precision))
    }

    /// A layer of given values: `weight` `[output_dim, input_dim]`, `bias`
    /// `[output_dim]`.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn of(weight: &[f32], bias: Vec<f32>, input_dim: usize, precision: Precision) -> Self {
        let weight = Packed::transposed(Isa::detect(), precision, weight, bias.len(), input_dim);
        Self { weight, bias }
    }

    /// `x`: `[rows, input_dim]`; returns `[rows, output_dim]`.
    ///
    /// # Panics
    /// If `x` is no whole number of rows.
    pub fn apply(&self, x: &[f32], rows: usize) -> Vec<f32> {
        let mut out = vec![0.0; rows * self.bias.len()];
        product(Rows::Major(x), rows, &self.weight, Init::Bias(&self.bias), &mut out);
        out
    }
}

//! Updates by Candle's operations, for parameters that do not lie on the
//! processor.

use candle_core::{Result, Tensor, Var};

use super::{AdamW, Sgd};

/// Euclidean norm over gradients; each is reduced where it lies.
pub(super) fn norm<'a>(gradients: impl Iterator<Item = &'a Tensor>) -> Result<f64> {
    let squares = gradients.map(|gradient| gradient.sqr()?.sum_all());
    let squares = squares.collect::<Result<Vec<_>>>()?;
    let sums: Vec<f32> = Tensor::stack(&squares, 0)?.to_vec1()?;
    Ok(sums.into_iter().map(f64::from).sum::<f64>().sqrt())
}

impl Sgd {
    /// As [`Sgd::update`]; without momentum there is no moment.
    pub(super) fn update_graph(
        &self,
        moment: Option<&mut Tensor>,
        weights: &Var,
        gradient: &Tensor,
    ) -> Result<()> {
        let Self { scale, rate, decay, momentum } = *self;
        let own = weights.as_detached_tensor();
        let mut step = times(gradient, scale)?;
        if decay != 0.0 {
            step = (step + times(&own, decay)?)?;
        }
        if let Some(moment) = moment {
            step = (times(moment, momentum)? + step)?;
            *moment = step.clone();
        }
        weights.set(&(own - times(&step, rate)?)?)
    }
}

impl AdamW {
    /// As [`AdamW::update`].
    pub(super) fn update_graph(
        &self,
        [first, second]: [&mut Tensor; 2],
        weights: &Var,
        gradient: &Tensor,
    ) -> Result<()> {
        let Self { scale, size, root, keep, beta, new, epsilon } = *self;
        let gradient = times(gradient, scale)?;
        *first = (times(first, beta[0])? + times(&gradient, new[0])?)?;
        *second = (times(second, beta[1])? + times(&gradient.sqr()?, new[1])?)?;
        let below = (times(&second.sqrt()?, root)? + f64::from(epsilon))?;
        let step = (times(first, size)? / below)?;
        weights.set(&(times(&weights.as_detached_tensor(), keep)? - step)?)
    }
}

fn times(tensor: &Tensor, factor: f32) -> Result<Tensor> {
    tensor.affine(f64::from(factor), 0.0)
}

//! Exponential moving average of the weights.

use glossator_nn::ParamSet;

use crate::{Result, shadow::Shadow, values};

/// A second set of weights that follows the trained ones slowly.
#[derive(Debug)]
pub(crate) struct Average {
    decay: f64,
    /// One vector per parameter, in the order of the set.
    pub(crate) weights: Vec<Shadow>,
}

impl Average {
    /// Starts at the present parameters.
    pub(crate) fn new(decay: f64, params: &ParamSet) -> Result<Self> {
        let weights = params.iter().map(Shadow::of).collect::<Result<_>>()?;
        Ok(Self { decay, weights })
    }

    /// Follows the parameters after step number `step` (from 1).
    ///
    /// The decay is at most `(1 + step) / (10 + step)`, so that the average is
    /// not held back by the random start.
    pub(crate) fn update(&mut self, params: &ParamSet, step: u64) -> Result<()> {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64)) as f32;
        for (average, param) in self.weights.iter_mut().zip(params.iter()) {
            match average {
                Shadow::Host(average) => values::read(&param.var, |values| {
                    for (average, &value) in average.iter_mut().zip(values) {
                        *average = decay * *average + (1.0 - decay) * value;
                    }
                })?,
                Shadow::Device(average) => {
                    let own = param.var.as_detached_tensor();
                    let (old, new) = (f64::from(decay), f64::from(1.0 - decay));
                    *average = (average.affine(old, 0.0)? + own.affine(new, 0.0)?)?;
                }
            }
        }
        Ok(())
    }

    /// Exchanges the average with the parameters; a second call undoes it.
    pub(crate) fn swap(&mut self, params: &ParamSet) -> Result<()> {
        for (average, param) in self.weights.iter_mut().zip(params.iter()) {
            match average {
                Shadow::Host(average) => {
                    values::change(&param.var, |values| values.swap_with_slice(average))?;
                }
                Shadow::Device(average) => {
                    let own = param.var.as_detached_tensor().copy()?;
                    param.var.set(average)?;
                    *average = own;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_slowly_and_swaps_back() {
        let mut params = ParamSet::new();
        params.add("w", vec![1.0, 2.0], 2).unwrap();
        let mut average = Average::new(0.999, &params).unwrap();
        params.set_values("w", &[12.0, 2.0]).unwrap();
        average.update(&params, 1).unwrap();
        // Decay 2/11: 2/11 * 1 + 9/11 * 12 = 10.
        assert!((average.weights[0].values().unwrap()[0] - 10.0).abs() < 1e-5);
        average.swap(&params).unwrap();
        assert!((params.values("w").unwrap()[0] - 10.0).abs() < 1e-5);
        average.swap(&params).unwrap();
        assert_eq!(params.values("w").unwrap(), [12.0, 2.0]);
    }
}

//! Averages of the weights.

use glossator_nn::ParamSet;

use crate::{Result, TrainingConfig, shadow::Shadow, values};

/// Other weights than those that are trained: they are what is evaluated and saved.
#[derive(Debug)]
pub(crate) struct Average {
    kind: Kind,
    /// Sets of one vector per parameter, in the order of the parameters.
    pub(crate) sets: Vec<Vec<Shadow>>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// One set, which follows the trained weights slowly.
    Moving { decay: f64 },
    /// The weights at the last evaluations, the latest at the end; their mean counts.
    Last { count: usize },
}

impl Average {
    /// The average that is configured, if one is; a moving one starts at the present
    /// parameters.
    pub(crate) fn new(config: &TrainingConfig, params: &ParamSet) -> Result<Option<Self>> {
        Ok(if config.ema_decay > 0.0 {
            let kind = Kind::Moving { decay: config.ema_decay };
            Some(Self { kind, sets: vec![present(params)?] })
        } else if config.average_last > 1 {
            Some(Self { kind: Kind::Last { count: config.average_last }, sets: Vec::new() })
        } else {
            None
        })
    }

    /// The name of a set's vector for a parameter.
    pub(crate) fn name(&self, set: usize, param: &str) -> String {
        match self.kind {
            Kind::Moving { .. } => format!("average.{param}"),
            Kind::Last { .. } => format!("average.{set}.{param}"),
        }
    }

    /// Makes room for the sets of a checkpoint that has tensors of some names.
    pub(crate) fn expect(&mut self, params: &ParamSet, has: impl Fn(&str) -> bool) -> Result<()> {
        let (Kind::Last { count }, Some(first)) = (self.kind, params.iter().next()) else {
            return Ok(());
        };
        let sets = (0..count).take_while(|&set| has(&self.name(set, &first.name))).count();
        self.sets = (0..sets).map(|_| present(params)).collect::<Result<_>>()?;
        Ok(())
    }

    /// Follows the parameters after step number `step` (from 1).
    ///
    /// The decay is at most `(1 + step) / (10 + step)`, so that the average is
    /// not held back by the random start.
    pub(crate) fn update(&mut self, params: &ParamSet, step: u64) -> Result<()> {
        let Kind::Moving { decay } = self.kind else { return Ok(()) };
        let decay = decay.min((1.0 + step as f64) / (10.0 + step as f64)) as f32;
        for (average, param) in self.sets.iter_mut().flatten().zip(params.iter()) {
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

    /// Makes the average the parameters, for an evaluation.
    pub(crate) fn enter(&mut self, params: &ParamSet) -> Result<()> {
        match self.kind {
            Kind::Moving { .. } => self.swap(params),
            Kind::Last { count } => {
                if self.sets.len() == count {
                    self.sets.remove(0);
                }
                self.sets.push(present(params)?);
                for (index, param) in params.iter().enumerate() {
                    let mut sums = vec![0.0_f64; param.var.elem_count()];
                    for set in &self.sets {
                        let values = set[index].values()?;
                        sums.iter_mut().zip(&*values).for_each(|(sum, &x)| *sum += f64::from(x));
                    }
                    let by = 1.0 / self.sets.len() as f64;
                    let means: Vec<f32> = sums.iter().map(|sum| (sum * by) as f32).collect();
                    values::change(&param.var, |values| values.copy_from_slice(&means))?;
                }
                Ok(())
            }
        }
    }

    /// Makes the parameters what they were before [`Average::enter`].
    pub(crate) fn leave(&mut self, params: &ParamSet) -> Result<()> {
        match self.kind {
            Kind::Moving { .. } => self.swap(params),
            Kind::Last { .. } => {
                for (own, param) in self.sets.last().into_iter().flatten().zip(params.iter()) {
                    let own = own.values()?;
                    values::change(&param.var, |values| values.copy_from_slice(&own))?;
                }
                Ok(())
            }
        }
    }

    fn swap(&mut self, params: &ParamSet) -> Result<()> {
        for (average, param) in self.sets.iter_mut().flatten().zip(params.iter()) {
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

/// The parameters as they are now.
fn present(params: &ParamSet) -> Result<Vec<Shadow>> {
    params.iter().map(Shadow::of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_up(config: TrainingConfig) -> (ParamSet, Average) {
        let mut params = ParamSet::new();
        params.add("w", vec![1.0, 2.0], 2).unwrap();
        let average = Average::new(&config, &params).unwrap().unwrap();
        (params, average)
    }

    #[test]
    fn follows_slowly_and_swaps_back() {
        let config = TrainingConfig { ema_decay: 0.999, ..TrainingConfig::default() };
        let (params, mut average) = set_up(config);
        params.set_values("w", &[12.0, 2.0]).unwrap();
        average.update(&params, 1).unwrap();
        // Decay 2/11: 2/11 * 1 + 9/11 * 12 = 10.
        assert!((average.sets[0][0].values().unwrap()[0] - 10.0).abs() < 1e-5);
        average.enter(&params).unwrap();
        assert!((params.values("w").unwrap()[0] - 10.0).abs() < 1e-5);
        average.leave(&params).unwrap();
        assert_eq!(params.values("w").unwrap(), [12.0, 2.0]);
    }

    #[test]
    fn the_mean_of_the_last_evaluations_comes_and_goes() {
        let config = TrainingConfig { average_last: 2, ..TrainingConfig::default() };
        let (params, mut average) = set_up(config);
        let mut evaluated = Vec::new();
        for w in [[1.0, 2.0], [3.0, 4.0], [7.0, 0.0]] {
            params.set_values("w", &w).unwrap();
            average.update(&params, 1).unwrap();
            average.enter(&params).unwrap();
            evaluated.push(params.values("w").unwrap());
            average.leave(&params).unwrap();
            assert_eq!(params.values("w").unwrap(), w);
        }
        assert_eq!(evaluated, [[1.0, 2.0], [2.0, 3.0], [5.0, 2.0]]);
    }
}

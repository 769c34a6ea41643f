//! Updates of the parameters, in place and bit for bit the same for any number of threads.
//!
//! Threads share out pieces of each tensor, always the same ones, and sums are
//! added piece by piece in the order of the [`ParamSet`]. A parameter without a gradient is left
//! alone: no decay, no momentum.

mod graph;

use candle_core::{Tensor, backprop::GradStore};
use glossator_nn::{Param, ParamSet};
use rayon::prelude::*;

use crate::{OptimizerKind, Result, TrainingConfig, shadow::Shadow, values};

/// Values that one task works on.
const PIECE: usize = 1 << 15;

/// Gradients in the order of the parameters; `None` where there is none.
#[derive(Debug)]
pub(crate) struct Gradients(Vec<Option<Tensor>>);

impl Gradients {
    /// Takes the gradients of the parameters out of the result of a backward pass.
    pub(crate) fn take(params: &ParamSet, mut store: GradStore) -> Result<Self> {
        let take = |param: &Param| store.remove(&param.var).map(|grad| grad.contiguous());
        let gradients = params.iter().map(take).map(Option::transpose);
        Ok(Self(gradients.collect::<Result<_, _>>()?))
    }

    /// Sums with the gradients of another batch.
    pub(crate) fn plus(self, other: Self) -> Result<Self> {
        let sum = |pair| {
            Ok(match pair {
                (Some(a), Some(b)) => Some((a + b)?),
                (one, None) | (None, one) => one,
            })
        };
        let pairs = self.0.into_iter().zip(other.0);
        Ok(Self(pairs.map(sum).collect::<Result<_>>()?))
    }

    /// Multiplies every value.
    pub(crate) fn scale(&mut self, by: f64) -> Result<()> {
        for gradient in self.0.iter_mut().flatten() {
            *gradient = gradient.affine(by, 0.0)?;
        }
        Ok(())
    }

    /// Whether no parameter has a gradient.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Cuts every value to within `limit` of 0.
    pub(crate) fn clip(&mut self, limit: f64) -> Result<()> {
        for gradient in self.0.iter_mut().flatten() {
            *gradient = gradient.clamp(-limit as f32, limit as f32)?;
        }
        Ok(())
    }

    /// Euclidean norm over all gradients.
    pub(crate) fn norm(&self) -> Result<f64> {
        let mut gradients = self.0.iter().flatten().peekable();
        if gradients.peek().is_some_and(|gradient| !gradient.device().is_cpu()) {
            return Ok(graph::norm(gradients)?);
        }
        let mut sum = 0.0;
        for gradient in gradients {
            let pieces = |values: &[f32]| -> Vec<f64> {
                values.par_chunks(PIECE).map(sum_of_squares).collect()
            };
            sum += values::read(gradient, pieces)?.into_iter().sum::<f64>();
        }
        Ok(sum.sqrt())
    }
}

/// Eight running sums side by side, then added in order.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let chunks = values.chunks_exact(sums.len());
    let rest: f64 = chunks.remainder().iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// What an optimiser remembers of one parameter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    /// Running means, each as long as the parameter: momentum, or AdamW's two.
    pub(crate) moments: Vec<Shadow>,
    /// Updates of this parameter so far.
    pub(crate) updates: u64,
}

/// An optimiser with its memory.
#[derive(Debug)]
pub(crate) struct Optimizer {
    config: TrainingConfig,
    /// One for each parameter, in the order of the set.
    pub(crate) slots: Vec<Slot>,
}

impl Optimizer {
    /// An optimiser that has not made an update yet.
    ///
    /// # Errors
    /// If Candle cannot make a tensor.
    pub(crate) fn new(config: &TrainingConfig, params: &ParamSet) -> Result<Self> {
        let moments = match config.optimizer {
            OptimizerKind::AdamW => 2,
            OptimizerKind::Sgd => usize::from(config.momentum > 0.0),
        };
        let slot = |param: &Param| {
            let moments = (0..moments).map(|_| Shadow::zeros(param)).collect::<Result<_>>()?;
            Ok(Slot { moments, updates: 0 })
        };
        let slots = params.iter().map(slot).collect::<Result<_>>()?;
        Ok(Self { config: config.clone(), slots })
    }

    /// Updates the parameters by gradients times `scale` at learning rate `rate`.
    pub(crate) fn step(
        &mut self,
        params: &ParamSet,
        gradients: &Gradients,
        scale: f64,
        rate: f64,
    ) -> Result<()> {
        for ((param, gradient), slot) in params.iter().zip(&gradients.0).zip(&mut self.slots) {
            let Some(gradient) = gradient else { continue };
            slot.updates += 1;
            let moments = slot.moments.as_mut_slice();
            match self.config.optimizer {
                OptimizerKind::Sgd => {
                    let sgd = Sgd::new(&self.config, scale, rate);
                    match moments {
                        [Shadow::Device(moment)] => {
                            sgd.update_graph(Some(moment), &param.var, gradient)?;
                        }
                        [] if !param.var.device().is_cpu() => {
                            sgd.update_graph(None, &param.var, gradient)?;
                        }
                        _ => in_place(param, gradient, |w, g| sgd.update(moments, w, g))?,
                    }
                }
                OptimizerKind::AdamW => {
                    let adamw = AdamW::new(&self.config, slot.updates as f64, scale, rate);
                    match moments {
                        [Shadow::Device(first), Shadow::Device(second)] => {
                            adamw.update_graph([first, second], &param.var, gradient)?;
                        }
                        _ => in_place(param, gradient, |w, g| adamw.update(moments, w, g))?,
                    }
                }
            }
        }
        Ok(())
    }
}

/// Hands the values of a parameter and of its gradient to `update`.
fn in_place(
    param: &Param,
    gradient: &Tensor,
    mut update: impl FnMut(&mut [f32], &[f32]),
) -> Result<()> {
    let change = |gradient: &[f32]| values::change(&param.var, |own| update(own, gradient));
    Ok(values::read(gradient, change)??)
}

/// `m = momentum * m + (g + decay * w)`, `w = w - rate * m`.
struct Sgd {
    scale: f32,
    rate: f32,
    decay: f32,
    momentum: f32,
}

impl Sgd {
    fn new(config: &TrainingConfig, scale: f64, rate: f64) -> Self {
        let (decay, momentum) = (config.weight_decay as f32, config.momentum as f32);
        Self { scale: scale as f32, rate: rate as f32, decay, momentum }
    }

    fn update(&self, moments: &mut [Shadow], weights: &mut [f32], gradient: &[f32]) {
        let Self { scale, rate, decay, momentum } = *self;
        let pieces = weights.par_chunks_mut(PIECE).zip(gradient.par_chunks(PIECE));
        match moments {
            [Shadow::Host(moments)] => {
                pieces.zip(moments.par_chunks_mut(PIECE)).for_each(|((w, g), m)| {
                    for ((w, &g), m) in w.iter_mut().zip(g).zip(m) {
                        *m = momentum * *m + (scale * g + decay * *w);
                        *w -= rate * *m;
                    }
                })
            }
            _ => pieces.for_each(|(w, g)| {
                w.iter_mut().zip(g).for_each(|(w, &g)| *w -= rate * (scale * g + decay * *w));
            }),
        }
    }
}

/// `m` and `v` are the running means of `g` and `g²`, corrected for their start at 0;
/// `w = w * (1 - rate * decay) - rate * m / (√v + epsilon)`.
struct AdamW {
    scale: f32,
    /// Learning rate, corrected for the start of `m`.
    size: f32,
    /// Correction of `√v`.
    root: f32,
    keep: f32,
    beta: [f32; 2],
    new: [f32; 2],
    epsilon: f32,
}

impl AdamW {
    fn new(config: &TrainingConfig, updates: f64, scale: f64, rate: f64) -> Self {
        let correction = |beta: f64| 1.0 - beta.powf(updates);
        Self {
            scale: scale as f32,
            size: (rate / correction(config.beta1)) as f32,
            root: (1.0 / correction(config.beta2).sqrt()) as f32,
            keep: (1.0 - rate * config.weight_decay) as f32,
            beta: [config.beta1 as f32, config.beta2 as f32],
            new: [(1.0 - config.beta1) as f32, (1.0 - config.beta2) as f32],
            epsilon: config.epsilon as f32,
        }
    }

    fn update(&self, moments: &mut [Shadow], weights: &mut [f32], gradient: &[f32]) {
        let [Shadow::Host(first), Shadow::Host(second)] = moments else { return };
        let moments = first.par_chunks_mut(PIECE).zip(second.par_chunks_mut(PIECE));
        let pieces = weights.par_chunks_mut(PIECE).zip(gradient.par_chunks(PIECE));
        pieces.zip(moments).for_each(|((w, g), (m, v))| self.piece(w, g, m, v));
    }

    fn piece(&self, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let Self { scale, size, root, keep, beta, new, epsilon } = *self;
        for (((w, &g), m), v) in weights.iter_mut().zip(gradient).zip(first).zip(second) {
            let g = scale * g;
            *m = beta[0] * *m + new[0] * g;
            *v = beta[1] * *v + new[1] * g * g;
            *w = keep * *w - size * *m / (v.sqrt() * root + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two parameters; only `w` has a gradient.
    fn params(weights: &[f32]) -> ParamSet {
        let mut params = ParamSet::new();
        params.add("idle", vec![7.0], 1).unwrap();
        params.add("w", weights.to_vec(), weights.len()).unwrap();
        params
    }

    /// Gradients by a backward pass of `sum(w * wanted)`.
    fn gradients(params: &ParamSet, wanted: &[f32]) -> Gradients {
        let w = params.get("w").unwrap();
        let wanted = Tensor::from_slice(wanted, wanted.len(), w.device()).unwrap();
        let loss = (w.as_tensor() * wanted).unwrap().sum_all().unwrap();
        Gradients::take(params, loss.backward().unwrap()).unwrap()
    }

    fn near(params: &ParamSet, want: f32) {
        let found = params.values("w").unwrap()[0];
        assert!((found - want).abs() < 1e-6, "{found} is not {want}");
        assert_eq!(params.values("idle").unwrap(), [7.0]);
    }

    #[test]
    fn sgd_with_momentum_and_decay_by_hand() {
        let config =
            TrainingConfig { momentum: 0.9, weight_decay: 0.1, ..TrainingConfig::default() };
        let params = params(&[1.0]);
        let mut optimizer = Optimizer::new(&config, &params).unwrap();
        // m = 2 + 0.1; w = 1 - 0.1 * 2.1
        optimizer.step(&params, &gradients(&params, &[2.0]), 1.0, 0.1).unwrap();
        near(&params, 0.79);
        // m = 0.9 * 2.1 + 2 + 0.079 = 3.969; w = 0.79 - 0.3969
        optimizer.step(&params, &gradients(&params, &[2.0]), 1.0, 0.1).unwrap();
        near(&params, 0.3931);
    }

    #[test]
    fn plain_sgd_scales_the_gradient() {
        let params = params(&[1.0]);
        let mut optimizer = Optimizer::new(&TrainingConfig::default(), &params).unwrap();
        optimizer.step(&params, &gradients(&params, &[2.0]), 0.5, 0.1).unwrap();
        near(&params, 0.9);
    }

    #[test]
    fn adamw_by_hand() {
        let config = TrainingConfig {
            optimizer: OptimizerKind::AdamW,
            weight_decay: 0.1,
            ..TrainingConfig::default()
        };
        let params = params(&[1.0]);
        let mut optimizer = Optimizer::new(&config, &params).unwrap();
        // 1 * 0.99 - 0.1 * 2 / (2 + 1e-8)
        optimizer.step(&params, &gradients(&params, &[2.0]), 1.0, 0.1).unwrap();
        near(&params, 0.89);
        // m = 0.08 / 0.19, v = 0.004996 / 0.001999; 0.89 * 0.99 - 0.1 * m / √v
        optimizer.step(&params, &gradients(&params, &[-1.0]), 1.0, 0.1).unwrap();
        near(&params, 0.854_466_2);
        assert_eq!(optimizer.slots.iter().map(|s| s.updates).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn pieces_are_updated_alike_for_any_threads() {
        let wanted: Vec<f32> = (0..3 * PIECE + 5).map(|i| (i % 97) as f32 - 48.0).collect();
        let run = |optimizer, threads: usize| {
            let config = TrainingConfig { optimizer, ..TrainingConfig::default() };
            let params = params(&vec![1.0; wanted.len()]);
            let gradients = gradients(&params, &wanted);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let norm = pool.install(|| {
                let mut optimizer = Optimizer::new(&config, &params).unwrap();
                optimizer.step(&params, &gradients, 1.0, 0.1).unwrap();
                gradients.norm().unwrap()
            });
            (params.values("w").unwrap(), norm)
        };
        for optimizer in [OptimizerKind::Sgd, OptimizerKind::AdamW] {
            assert_eq!(run(optimizer, 1), run(optimizer, 3));
        }
        let (weights, norm) = run(OptimizerKind::Sgd, 2);
        let want: Vec<f32> = wanted.iter().map(|g| 1.0 - 0.1 * g).collect();
        assert_eq!(weights, want);
        let squares: f64 = wanted.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
        assert_eq!(norm, squares.sqrt(), "whole numbers are added exactly");
    }

    #[test]
    fn updates_by_graph_are_those_in_place() {
        let wanted: Vec<f32> = (0..19).map(|i| i as f32 - 9.0).collect();
        let run = |config: &TrainingConfig, by_graph: bool| {
            let params = params(&[0.5; 19]);
            let mut optimizer = Optimizer::new(config, &params).unwrap();
            if by_graph {
                for slot in &mut optimizer.slots {
                    for moment in &mut slot.moments {
                        let zeros = moment.values().unwrap().into_owned();
                        let len = zeros.len();
                        let device = params.device().candle();
                        *moment = Shadow::Device(Tensor::from_vec(zeros, len, device).unwrap());
                    }
                }
            }
            for _ in 0..3 {
                let gradients = gradients(&params, &wanted);
                let sum = graph::norm(gradients.0.iter().flatten()).unwrap();
                assert!((gradients.norm().unwrap() - sum).abs() < 1e-4);
                optimizer.step(&params, &gradients, 0.5, 0.01).unwrap();
            }
            params.values("w").unwrap()
        };
        for optimizer in [OptimizerKind::Sgd, OptimizerKind::AdamW] {
            let config = TrainingConfig {
                optimizer,
                momentum: 0.9,
                weight_decay: 0.1,
                ..TrainingConfig::default()
            };
            let [graph, place] = [run(&config, true), run(&config, false)];
            assert!(graph.iter().zip(&place).all(|(a, b)| (a - b).abs() < 1e-6), "{optimizer:?}");
            assert!(place.iter().all(|value| *value != 0.5));
        }
    }

    #[test]
    fn values_are_cut_on_both_sides() {
        let params = params(&[0.0; 4]);
        let mut gradients = gradients(&params, &[3.0, -0.5, -4.0, 0.25]);
        gradients.clip(0.5).unwrap();
        // 0.25 + 0.25 + 0.25 + 0.0625
        assert_eq!(gradients.norm().unwrap(), 0.8125_f64.sqrt());
    }

    #[test]
    fn norm_covers_every_value_once() {
        let gradient: Vec<f32> = (1..=19).map(|i| i as f32).collect();
        let params = params(&[0.0; 19]);
        let norm = gradients(&params, &gradient).norm().unwrap();
        // 1² + … + 19² = 19 * 20 * 39 / 6
        assert_eq!(norm, 2470.0_f64.sqrt());
    }
}

//! A task for tests: linear regression that carries a state and draws noise.

use std::{cell::Cell, collections::BTreeMap, path::Path};

use candle_core::{Device, Tensor};
use glossator_nn::{ParamSet, Rng};

use crate::{Array, BoxError, Evaluation, Loss, Snapshot, Task, files::write_atomically, values};

/// Number of examples; with three a batch, four steps an epoch.
const EXAMPLES: usize = 12;

/// Fits `y = w·x + b`.
pub(crate) struct Toy {
    pub(crate) params: ParamSet,
    /// Carried from batch to batch.
    pub(crate) carried: f32,
    /// Evaluations so far, carried too.
    pub(crate) evaluations: usize,
    /// Scores to report, the last one again and again; else by the loss.
    pub(crate) scores: Vec<f64>,
    /// The call of loss, evaluation or saving at which the task dies.
    pub(crate) dies_at: Option<usize>,
    /// The call at which the loss is not a number.
    pub(crate) nan_at: Option<usize>,
    /// Whether the loss is cut off from the parameters.
    pub(crate) detached: bool,
    /// Examples of a batch.
    pub(crate) batch: usize,
    /// Spread of the noise.
    pub(crate) noise: f32,
    /// Calls so far.
    pub(crate) calls: Cell<usize>,
}

impl Default for Toy {
    fn default() -> Self {
        let mut params = ParamSet::new();
        params.add("w", vec![0.5, -0.25], 2).unwrap();
        params.add("b", vec![0.125], 1).unwrap();
        params.add("idle", vec![3.0], 1).unwrap();
        Self {
            params,
            carried: 0.0,
            evaluations: 0,
            scores: Vec::new(),
            dies_at: None,
            nan_at: None,
            detached: false,
            batch: 3,
            noise: 0.1,
            calls: Cell::new(0),
        }
    }
}

impl Toy {
    fn call(&self) -> Result<usize, BoxError> {
        let call = self.calls.replace(self.calls.get() + 1);
        if self.dies_at == Some(call) { Err("killed".into()) } else { Ok(call) }
    }

    /// Squared errors of the examples, summed.
    fn errors(&self, examples: &[usize], noise: f32) -> candle_core::Result<Tensor> {
        let part = |i: usize, k: usize| ((i * k) % 7) as f32 / 7.0 - 0.5;
        let x: Vec<f32> = examples.iter().flat_map(|&i| [part(i, 3), part(i, 5)]).collect();
        let y: Vec<f32> = x.chunks(2).map(|x| 2.0 * x[0] - 3.0 * x[1] + 1.0 + noise).collect();
        let x = Tensor::from_vec(x, (examples.len(), 2), &Device::Cpu)?;
        let y = Tensor::from_vec(y, examples.len(), &Device::Cpu)?;
        let [w, b] = ["w", "b"].map(|name| self.params.get(name).unwrap().as_tensor());
        let found = x.matmul(&w.reshape((2, 1))?)?.squeeze(1)?.broadcast_add(b)?;
        (found - y)?.sqr()?.sum_all()
    }
}

impl Task for Toy {
    type Batch = Vec<usize>;

    fn batches(&self, _epoch: usize, rng: &mut Rng) -> Vec<Vec<usize>> {
        let mut examples: Vec<usize> = (0..EXAMPLES).collect();
        rng.shuffle(&mut examples);
        examples.chunks(self.batch).map(<[usize]>::to_vec).collect()
    }

    fn loss(&mut self, batch: &Vec<usize>, rng: &mut Rng) -> Result<Loss, BoxError> {
        let call = self.call()?;
        let noise = if self.nan_at == Some(call) { f32::NAN } else { self.noise * rng.normal() };
        self.carried = 0.5 * self.carried + noise;
        let sum = self.errors(batch, self.carried)?;
        let sum = if self.detached { sum.detach() } else { sum };
        Ok(Loss { sum, count: batch.len(), tokens: batch.len() })
    }

    fn evaluate(&mut self) -> Result<Evaluation, BoxError> {
        self.call()?;
        let scripted = self.scores.get(self.evaluations).or(self.scores.last()).copied();
        self.evaluations += 1;
        let examples: Vec<usize> = (0..EXAMPLES).collect();
        let loss = f64::from(self.errors(&examples, 0.0)?.to_scalar::<f32>()?);
        Ok(match scripted {
            Some(score) => Evaluation { score, ..Evaluation::default() },
            None => {
                let metrics = vec![("squared".to_owned(), loss)];
                Evaluation { score: 100.0 - loss, loss: Some(loss), metrics, sample: None }
            }
        })
    }

    fn params(&self) -> &ParamSet {
        &self.params
    }

    fn save(&self, dir: &Path) -> Result<(), BoxError> {
        self.call()?;
        write_atomically(&dir.join("model.bin"), |file| {
            for param in self.params.iter() {
                for value in values::copy(&param.var).map_err(std::io::Error::other)? {
                    file.write_all(&value.to_le_bytes())?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    fn unit(&self) -> &'static str {
        "examples"
    }

    fn snapshot(&self) -> Snapshot {
        let carried = Array { shape: vec![1], values: vec![self.carried] };
        Snapshot {
            tensors: BTreeMap::from([("carried".to_owned(), carried)]),
            json: serde_json::json!({ "evaluations": self.evaluations }),
        }
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), BoxError> {
        self.carried = snapshot.tensors.get("carried").ok_or("no carried state")?.values[0];
        self.evaluations = serde_json::from_value(snapshot.json["evaluations"].clone())?;
        Ok(())
    }
}

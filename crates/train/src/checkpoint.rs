//! One file that holds a whole run: tensors, and the state as JSON in the metadata.
//!
//! There is a single metadata key, and tensors are sorted by name, so equal
//! runs write equal bytes.

use std::{borrow::Cow, collections::BTreeMap, collections::HashMap, fs, path::Path};

use safetensors::{Dtype, SafeTensors, View};

use crate::{
    Array, Error, Result, Snapshot, Task, TrainingConfig, average::Average,
    files::write_atomically, optimizer::Optimizer, state::State, values,
};

/// The metadata key.
const KEY: &str = "state";

/// The parts of a run that a checkpoint holds.
pub(crate) struct Parts<'a, T> {
    pub(crate) task: &'a mut T,
    pub(crate) optimizer: &'a mut Optimizer,
    pub(crate) average: &'a mut Option<Average>,
}

impl<T: Task> Parts<'_, T> {
    /// Writes everything to `path`, in one move.
    pub(crate) fn write(&mut self, path: &Path, state: &State) -> Result<()> {
        let snapshot = self.task.snapshot();
        let mut state = state.clone();
        state.updates = self.optimizer.slots.iter().map(|slot| slot.updates).collect();
        let text = serde_json::to_string(&(&state, &snapshot.json))?;
        let metadata = HashMap::from([(KEY.to_owned(), text)]);
        let bytes = safetensors::serialize(self.views(&snapshot)?, Some(metadata))
            .map_err(|error| Error::checkpoint(path, error.to_string()))?;
        write_atomically(path, |file| file.write_all(&bytes)).map_err(Error::io(path))
    }

    fn views<'b>(&'b self, snapshot: &'b Snapshot) -> Result<Vec<(String, Values<'b>)>> {
        let mut views = Vec::new();
        for (i, param) in self.task.params().iter().enumerate() {
            let (name, shape) = (&param.name, param.var.dims());
            let weights = values::copy(&param.var)?;
            views.push((format!("param.{name}"), Values { shape, values: weights.into() }));
            for (j, moment) in self.optimizer.slots[i].moments.iter().enumerate() {
                let values = moment.values()?;
                views.push((format!("moment.{j}.{name}"), Values { shape, values }));
            }
            if let Some(average) = self.average.as_ref() {
                for (number, set) in average.sets.iter().enumerate() {
                    let values = set[i].values()?;
                    views.push((average.name(number, name), Values { shape, values }));
                }
            }
        }
        for (name, array) in &snapshot.tensors {
            let view = Values { shape: &array.shape, values: (&array.values).into() };
            views.push((format!("snapshot.{name}"), view));
        }
        Ok(views)
    }

    /// Reads everything from `path` and puts it back.
    pub(crate) fn read(
        &mut self,
        path: &Path,
        seed: u64,
        config: &TrainingConfig,
    ) -> Result<State> {
        let (state, json, mut tensors) = load(path)?;
        if let Some(problem) = state.unknown_version() {
            return Err(Error::checkpoint(path, problem));
        }
        if let Some(problem) = state.misfit(seed, config) {
            return Err(Error::OtherSettings { problem });
        }
        self.task.accepts(&json).map_err(|source| Error::Task {
            action: "go on from the checkpoint",
            epoch: state.epoch,
            source,
        })?;
        if let Some(average) = self.average.as_mut() {
            average.expect(self.task.params(), |name| tensors.contains_key(name))?;
        }
        let mut take = |name: String, shape: &[usize]| {
            let problem = |problem: &str| Error::checkpoint(path, format!("{name}: {problem}"));
            let array: Array = tensors.remove(&name).ok_or_else(|| problem("is missing"))?;
            if array.shape == shape {
                return Ok(array.values);
            }
            let (found, want) = (&array.shape, shape);
            Err(problem(&format!("has shape {found:?}, the model has {want:?}")))
        };
        if state.updates.len() != self.optimizer.slots.len() {
            return Err(Error::checkpoint(path, "has another number of parameters"));
        }
        for (i, param) in self.task.params().iter().enumerate() {
            let (name, shape) = (&param.name, param.var.dims());
            let weights = take(format!("param.{name}"), shape)?;
            values::change(&param.var, |values| values.copy_from_slice(&weights))?;
            for (j, moment) in self.optimizer.slots[i].moments.iter_mut().enumerate() {
                moment.set(take(format!("moment.{j}.{name}"), shape)?)?;
            }
            self.optimizer.slots[i].updates = state.updates[i];
            if let Some(average) = self.average.as_mut() {
                for number in 0..average.sets.len() {
                    let values = take(average.name(number, name), shape)?;
                    average.sets[number][i].set(values)?;
                }
            }
        }
        let carried = tensors.into_iter().filter_map(|(name, array)| {
            name.strip_prefix("snapshot.").map(|name| (name.to_owned(), array))
        });
        let snapshot = Snapshot { tensors: carried.collect(), json };
        self.task.restore(snapshot).map_err(|source| Error::Task {
            action: "restore the task from the checkpoint",
            epoch: state.epoch,
            source,
        })?;
        Ok(state)
    }
}

type Loaded = (State, serde_json::Value, BTreeMap<String, Array>);

/// The content of the file at `path`.
pub(crate) fn load(path: &Path) -> Result<Loaded> {
    let bad = |problem: String| Error::checkpoint(path, problem);
    let bytes = fs::read(path).map_err(Error::io(path))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let text = text.ok_or_else(|| bad("is not a checkpoint: it has no state".to_owned()))?;
    let (state, json) = serde_json::from_str(text).map_err(|e| bad(format!("state: {e}")))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?;
    let array = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        if view.dtype() != Dtype::F32 {
            return Err(bad(format!("{name}: is not of type F32")));
        }
        let (words, _) = view.data().as_chunks::<4>();
        let values = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
        Ok((name, Array { shape: view.shape().to_vec(), values }))
    };
    Ok((state, json, file.tensors().into_iter().map(array).collect::<Result<_>>()?))
}

/// Numbers on their way into a file.
struct Values<'a> {
    shape: &'a [usize],
    values: Cow<'a, [f32]>,
}

impl View for Values<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use glossator_nn::ParamSet;

    use super::*;
    use crate::testing::Toy;

    fn write(path: &Path, config: &TrainingConfig, toy: &mut Toy) {
        let mut optimizer = Optimizer::new(config, toy.params()).unwrap();
        Parts { task: toy, optimizer: &mut optimizer, average: &mut None }
            .write(path, &State::new(1, config))
            .unwrap();
    }

    fn read(path: &Path, config: &TrainingConfig, toy: &mut Toy) -> Result<State> {
        let mut optimizer = Optimizer::new(config, toy.params()).unwrap();
        Parts { task: toy, optimizer: &mut optimizer, average: &mut None }.read(path, 1, config)
    }

    #[test]
    fn what_is_written_is_read_and_has_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint.safetensors");
        let config = TrainingConfig { momentum: 0.5, ..TrainingConfig::default() };
        let mut toy = Toy::default();
        toy.params.set_values("w", &[f32::MIN_POSITIVE, -0.0]).unwrap();
        toy.carried = 0.3;
        write(&path, &config, &mut toy);
        let bytes = fs::read(&path).unwrap();

        let mut other = Toy::default();
        let state = read(&path, &config, &mut other).unwrap();
        assert_eq!(state.updates, [0, 0, 0]);
        assert_eq!(other.snapshot(), toy.snapshot());
        write(&path, &config, &mut other);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint.safetensors");
        let config = TrainingConfig::default();
        write(&path, &config, &mut Toy::default());
        let momentum = TrainingConfig { momentum: 0.5, ..config.clone() };
        let error = read(&path, &momentum, &mut Toy::default()).unwrap_err();
        assert!(matches!(error, Error::OtherSettings { .. }), "{error}");
        assert!(error.to_string().contains("training.momentum = 0.0, not 0.5;"), "{error}");

        let mut wider = Toy { params: ParamSet::new(), ..Toy::default() };
        for name in ["w", "b", "idle"] {
            wider.params.add(name, vec![0.0; 3], 3).unwrap();
        }
        let error = read(&path, &config, &mut wider).unwrap_err().to_string();
        assert!(error.ends_with("param.w: has shape [2], the model has [3]"), "{error}");

        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 1);
        fs::write(&path, &bytes).unwrap();
        let error = read(&path, &config, &mut Toy::default()).unwrap_err();
        assert!(matches!(error, Error::Checkpoint { .. }), "{error}");
    }
}

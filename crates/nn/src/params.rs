//! Trainable parameters in the order in which they were made.

use candle_core::{Shape, Tensor, Var};

use crate::{Device, Error, Result};

/// One trainable variable: a tensor with a dotted name, such as
/// `output.weight`, or several that are computed with together and lie one
/// behind the other.
#[derive(Debug, Clone)]
pub struct Param {
    /// Dotted name; unique in its set.
    pub name: String,
    /// The value; gradients are looked up by this variable.
    pub var: Var,
    parts: Vec<Part>,
}

impl Param {
    /// The name of the tensor that a value of the variable belongs to.
    pub fn tensor_at(&self, index: usize) -> &str {
        let part = self.parts.iter().rev().find(|part| part.first <= index);
        part.map_or(&self.name, |part| &part.name)
    }
}

/// A named tensor in a variable.
#[derive(Debug, Clone)]
struct Part {
    name: String,
    shape: Vec<usize>,
    /// Its first value in the variable.
    first: usize,
}

/// A tensor of a [`ParamSet`].
#[derive(Debug, Clone, Copy)]
pub struct ParamTensor<'a> {
    /// Dotted name, such as `rnn.weight_hh_l0`; unique in its set.
    pub name: &'a str,
    /// Its dimensions.
    pub shape: &'a [usize],
    first: usize,
    var: &'a Var,
}

impl ParamTensor<'_> {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its values, row-major.
    ///
    /// # Errors
    /// If Candle cannot read the variable.
    pub fn values(&self) -> Result<Vec<f32>> {
        Ok(self.var.flatten_all()?.narrow(0, self.first, self.len())?.to_vec1()?)
    }
}

/// Ordered set of the trainable tensors of a model.
///
/// The order is that of creation, so everything that walks over it (updates,
/// gradient norm, files) sums and writes in one order whatever the machine.
#[derive(Debug, Clone, Default)]
pub struct ParamSet {
    params: Vec<Param>,
    device: Device,
}

impl ParamSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set whose variables will lie on a device.
    pub fn on(device: &Device) -> Self {
        Self { params: Vec::new(), device: device.clone() }
    }

    /// Where its variables lie.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Adds a parameter with the given values, row-major in `shape`.
    ///
    /// # Errors
    /// If the name is taken or `values` does not fill `shape`.
    pub fn add(&mut self, name: &str, values: Vec<f32>, shape: impl Into<Shape>) -> Result<Var> {
        let tensor = Tensor::from_vec(values, shape, self.device.candle())?;
        let part = Part { name: name.to_owned(), shape: tensor.dims().to_vec(), first: 0 };
        self.push(name, tensor, vec![part])
    }

    /// Adds tensors with the given names, shapes and values as one flat
    /// variable in which they lie one behind the other.
    ///
    /// # Errors
    /// If a name is taken or values do not fill their shape.
    pub fn add_group(
        &mut self,
        name: &str,
        tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
    ) -> Result<Var> {
        let (mut parts, mut flat) = (Vec::new(), Vec::new());
        for (name, shape, values) in tensors {
            if values.len() != shape.iter().product::<usize>() {
                return Err(problem(&name, format!("{} values for {shape:?}", values.len())));
            }
            parts.push(Part { name, shape, first: flat.len() });
            flat.extend(values);
        }
        let len = flat.len();
        self.push(name, Tensor::from_vec(flat, len, self.device.candle())?, parts)
    }

    fn push(&mut self, name: &str, tensor: Tensor, parts: Vec<Part>) -> Result<Var> {
        if self.params.iter().any(|param| param.name == name) {
            return Err(problem(name, "exists already"));
        }
        for (number, Part { name, .. }) in parts.iter().enumerate() {
            let is_twice = parts[..number].iter().any(|other| other.name == *name);
            if is_twice || self.tensor(name).is_some() {
                return Err(problem(name, "exists already"));
            }
        }
        let var = Var::from_tensor(&tensor)?;
        self.params.push(Param { name: name.to_owned(), var: var.clone(), parts });
        Ok(var)
    }

    /// The variable of that name.
    pub fn get(&self, name: &str) -> Option<&Var> {
        self.params.iter().find(|p| p.name == name).map(|p| &p.var)
    }

    /// All variables, in order of creation.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Param> {
        self.params.iter()
    }

    /// All tensors, in order of creation.
    pub fn tensors(&self) -> impl Iterator<Item = ParamTensor<'_>> {
        self.params.iter().flat_map(|param| {
            param.parts.iter().map(|Part { name, shape, first }| ParamTensor {
                name,
                shape,
                first: *first,
                var: &param.var,
            })
        })
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<ParamTensor<'_>> {
        self.tensors().find(|tensor| tensor.name == name)
    }

    /// Number of variables.
    pub fn len(&self) -> usize {
        self.params.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    /// Number of trainable values.
    pub fn elements(&self) -> usize {
        self.params.iter().map(|p| p.var.elem_count()).sum()
    }

    /// Values of a tensor, row-major.
    ///
    /// # Errors
    /// If there is no such tensor.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        self.tensor(name).ok_or_else(|| problem(name, "does not exist"))?.values()
    }

    /// Overwrites the values of a tensor.
    ///
    /// # Errors
    /// If there is no such tensor, or it has another number of values.
    pub fn set_values(&self, name: &str, values: &[f32]) -> Result<()> {
        let tensor = self.tensor(name).ok_or_else(|| problem(name, "does not exist"))?;
        let want = tensor.len();
        if values.len() != want {
            return Err(problem(name, format!("has {want} values, got {}", values.len())));
        }
        let mut all: Vec<f32> = tensor.var.flatten_all()?.to_vec1()?;
        all[tensor.first..tensor.first + want].copy_from_slice(values);
        tensor.var.set(&Tensor::from_vec(all, tensor.var.shape(), tensor.var.device())?)?;
        Ok(())
    }
}

fn problem(name: &str, problem: impl Into<String>) -> Error {
    Error::Parameter { name: name.to_owned(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_one_variable_of_named_tensors() {
        let mut params = ParamSet::new();
        let group = |name: &str| {
            vec![
                (format!("{name}.a"), vec![2, 1], vec![1.0, 2.0]),
                (format!("{name}.b"), vec![3], vec![3.0, 4.0, 5.0]),
            ]
        };
        params.add_group("x", group("x")).unwrap();
        assert!(params.add_group("y", group("x")).is_err(), "a tensor's name is taken");
        assert!(params.add_group("x", group("y")).is_err(), "the variable's name is taken");
        let twice = [group("z"), group("z")].concat();
        assert!(params.add_group("z", twice).is_err(), "a name is given twice");
        assert!(params.add_group("z", vec![("z.a".to_owned(), vec![2], vec![0.0])]).is_err());
        let names = params.params[0].clone();
        assert_eq!([0, 1, 2, 4].map(|i| names.tensor_at(i)), ["x.a", "x.a", "x.b", "x.b"]);
        params.set_values("x.b", &[6.0, 7.0, 8.0]).unwrap();
        assert!(params.set_values("x.b", &[0.0]).is_err());
        assert_eq!(params.values("x.a").unwrap(), [1.0, 2.0]);
        assert_eq!(params.values("x.b").unwrap(), [6.0, 7.0, 8.0]);
        assert_eq!(params.get("x").unwrap().to_vec1::<f32>().unwrap(), [1.0, 2.0, 6.0, 7.0, 8.0]);
        let tensors: Vec<_> = params.tensors().map(|t| (t.name, t.shape.to_vec())).collect();
        assert_eq!(tensors, [("x.a", vec![2, 1]), ("x.b", vec![3])]);
    }
}

//! Arrays of NumPy inside a pickle.

use super::{
    Checkpoint, Dtype,
    tensor::{gather, swap},
};
use crate::{Error, Result, Value};

/// An array of NumPy.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

impl Checkpoint {
    /// The array of NumPy that a value stands for, if it is one.
    ///
    /// # Errors
    /// If it is one, but damaged, or of a type that is not read.
    pub fn array(&self, value: Value<'_>) -> Result<Option<Array>> {
        let Some((module, name)) = value.class() else { return Ok(None) };
        if !module.starts_with("numpy") {
            return Ok(None);
        }
        let damaged = || Error::checkpoint("an array of NumPy is damaged");
        let (shape, dtype, is_columns, bytes) = match name {
            "_reconstruct" => {
                // The state: version, shape, type, order, bytes.
                let mut state = value.state().ok_or_else(damaged)?.items().skip(1);
                let mut next = || state.next().ok_or_else(damaged);
                let (shape, dtype) = (next()?, next()?);
                let is_columns = next()?.as_bool().ok_or_else(damaged)?;
                (shape, dtype, is_columns, next()?)
            }
            "_frombuffer" => {
                // The buffer, type, shape, order.
                let mut args = value.args().ok_or_else(damaged)?.items();
                let mut next = || args.next().ok_or_else(damaged);
                let (bytes, dtype, shape) = (next()?, next()?, next()?);
                (shape, dtype, next()?.as_str() == Some("F"), bytes)
            }
            _ => return Ok(None),
        };
        let shape: Option<Vec<usize>> =
            shape.items().map(|axis| usize::try_from(axis.as_i64()?).ok()).collect();
        let shape = shape.ok_or_else(damaged)?;
        let (dtype, is_big_endian) = dtype_of(dtype).ok_or_else(|| {
            Error::checkpoint(format!("arrays of the type {} are not read", dtype.summary()))
        })?;
        let mut bytes = bytes.to_bytes().ok_or_else(damaged)?.into_owned();
        let count = shape.iter().try_fold(dtype.size(), |n, axis| n.checked_mul(*axis));
        if count != Some(bytes.len()) {
            return Err(damaged());
        }
        if is_big_endian {
            swap(&mut bytes, dtype.size());
        }
        let mut values = Vec::with_capacity(bytes.len() / dtype.size());
        dtype.widen(&bytes, &mut values);
        if is_columns && !values.is_empty() {
            let mut strides = vec![1; shape.len()];
            for axis in 1..shape.len() {
                strides[axis] = strides[axis - 1] * shape[axis - 1];
            }
            values = gather(&shape, &strides, &values, values.len());
        }
        Ok(Some(Array { shape, values }))
    }
}

/// The type that an object `numpy.dtype` is, and whether its numbers are
/// big-endian.
fn dtype_of(value: Value<'_>) -> Option<(Dtype, bool)> {
    let name = value.args()?.items().next()?.as_str()?;
    let dtype = match name.trim_start_matches(['<', '=', '|', '>']) {
        "f8" => Dtype::F64,
        "f4" => Dtype::F32,
        "f2" => Dtype::F16,
        "i8" => Dtype::I64,
        "i4" => Dtype::I32,
        "i2" => Dtype::I16,
        "i1" => Dtype::I8,
        "u8" => Dtype::U64,
        "u4" => Dtype::U32,
        "u2" => Dtype::U16,
        "u1" => Dtype::U8,
        "b1" => Dtype::Bool,
        _ => return None,
    };
    // The state: version, order of bytes, …
    let order = value.state().and_then(|state| state.items().nth(1)?.as_str());
    Some((dtype, order == Some(">") || name.starts_with('>')))
}

//! Tensors of a checkpoint.

use half::{bf16, f16};

use super::Checkpoint;
use crate::{Error, Result, Value};

/// Type of a tensor's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

/// A tensor whose values lie in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRef {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// How far apart in the storage neighbours along each axis are.
    pub strides: Vec<usize>,
    /// Place of the first value in the storage.
    pub offset: usize,
    /// Type of the values.
    pub dtype: Dtype,
    /// The storage.
    pub key: String,
}

/// What a persistent id says of a storage.
pub(super) struct StorageId<'a> {
    pub(super) key: &'a str,
    pub(super) dtype: Dtype,
    /// Where a view of it begins.
    first: usize,
}

/// Most values that are converted at once.
const BLOCK: usize = 1 << 18;
/// Most axes of a tensor.
const MAX_AXES: usize = 32;

impl Dtype {
    /// Bytes of a value.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The type of PyTorch's storages of that name.
    fn of_storage(name: &str) -> Option<Self> {
        Some(match name {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" | "UntypedStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// Values as `f32`, of little-endian bytes.
    pub(super) fn widen(self, bytes: &[u8], to: &mut Vec<f32>) {
        match self {
            Self::F64 => extend(bytes, to, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => extend(bytes, to, f32::from_le_bytes),
            Self::F16 => extend(bytes, to, |b| f16::from_le_bytes(b).to_f32()),
            Self::Bf16 => extend(bytes, to, |b| bf16::from_le_bytes(b).to_f32()),
            Self::I64 => extend(bytes, to, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => extend(bytes, to, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => extend(bytes, to, |b| i16::from_le_bytes(b).into()),
            Self::I8 => extend(bytes, to, |b| i8::from_le_bytes(b).into()),
            Self::U64 => extend(bytes, to, |b| u64::from_le_bytes(b) as f32),
            Self::U32 => extend(bytes, to, |b| u32::from_le_bytes(b) as f32),
            Self::U16 => extend(bytes, to, |b| u16::from_le_bytes(b).into()),
            Self::U8 => extend(bytes, to, |[b]| b.into()),
            Self::Bool => extend(bytes, to, |[b]| f32::from(u8::from(b != 0))),
        }
    }
}

fn extend<const N: usize>(bytes: &[u8], to: &mut Vec<f32>, value: impl Fn([u8; N]) -> f32) {
    to.extend(bytes.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)));
}

/// Bytes of values in the other order.
pub(super) fn swap(bytes: &mut [u8], size: usize) {
    if size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}

/// The storage that a persistent id names, if it does.
pub(super) fn storage(id: Value<'_>) -> Option<StorageId<'_>> {
    let mut parts = id.items();
    if parts.next()?.as_str()? != "storage" {
        return None;
    }
    let class = parts.next()?;
    let dtype = match class.kind() {
        crate::Kind::Global { name, .. } => Dtype::of_storage(name)?,
        _ => return None,
    };
    let key = parts.next()?.as_str()?;
    // Device and length; then, in the old container, the view of another one.
    let view = parts.nth(2);
    let first = match view.filter(|view| !view.is_none()) {
        Some(view) => usize::try_from(view.items().nth(1)?.as_i64()?).ok()?,
        None => 0,
    };
    Some(StorageId { key, dtype, first })
}

/// The lengths in a tuple.
fn lengths(value: Value<'_>) -> Option<Vec<usize>> {
    if value.items().len() > MAX_AXES {
        return None;
    }
    value.items().map(|item| usize::try_from(item.as_i64()?).ok()).collect()
}

impl Checkpoint {
    /// The tensor that a value stands for, if it is one.
    ///
    /// # Errors
    /// If it is one, but damaged, or of a kind that is not known.
    pub fn tensor(&self, value: Value<'_>) -> Result<Option<TensorRef>> {
        let mut value = value;
        // A parameter holds a tensor; no parameter holds another.
        for _ in 0..2 {
            let Some(("torch._utils", name)) = value.class() else { return Ok(None) };
            let damaged = || Error::checkpoint("a tensor is damaged");
            let mut args = value.args().ok_or_else(damaged)?.items();
            match name {
                "_rebuild_parameter" | "_rebuild_parameter_with_state" => {
                    value = args.next().ok_or_else(damaged)?;
                }
                "_rebuild_tensor" | "_rebuild_tensor_v2" => {
                    let id = args.next().and_then(Value::persistent_id).ok_or_else(damaged)?;
                    let storage = storage(id).ok_or_else(damaged)?;
                    let offset = args.next().and_then(Value::as_i64);
                    let offset = offset.and_then(|offset| usize::try_from(offset).ok());
                    let offset = offset.and_then(|offset| offset.checked_add(storage.first));
                    let shape = args.next().and_then(lengths).ok_or_else(damaged)?;
                    let strides = args.next().and_then(lengths).ok_or_else(damaged)?;
                    let tensor = TensorRef {
                        shape,
                        strides,
                        offset: offset.ok_or_else(damaged)?,
                        dtype: storage.dtype,
                        key: storage.key.to_owned(),
                    };
                    self.range(&tensor)?;
                    return Ok(Some(tensor));
                }
                other => {
                    let problem = format!("tensors of the form {other:.60} are not read");
                    return Err(Error::checkpoint(problem));
                }
            }
        }
        Ok(None)
    }

    /// How many values a tensor has, and how many of its storage they lie in.
    fn range(&self, tensor: &TensorRef) -> Result<(usize, usize)> {
        let wrong = || {
            let shape = &tensor.shape;
            Error::checkpoint(format!("a tensor of the shape {shape:?} goes beyond its storage"))
        };
        if tensor.shape.len() != tensor.strides.len() {
            return Err(wrong());
        }
        let count = tensor.shape.iter().try_fold(1_usize, |n, axis| n.checked_mul(*axis));
        let count = count.ok_or_else(wrong)?;
        if count == 0 {
            return Ok((0, 0));
        }
        let axes = tensor.shape.iter().zip(&tensor.strides);
        let last = axes.map(|(axis, stride)| (axis - 1).checked_mul(*stride));
        let last = last.into_iter().try_fold(0_usize, |sum, far| sum.checked_add(far?));
        let len = last.and_then(|last| last.checked_add(1)).ok_or_else(wrong)?;
        let storage = self.storage(&tensor.key)?;
        let end = tensor.offset.checked_add(len).ok_or_else(wrong)?;
        let fits = (end as u64).checked_mul(tensor.dtype.size() as u64);
        // One value many times over is a claim, not a tensor.
        if fits.is_none_or(|bytes| bytes > storage.len) || count > len {
            return Err(wrong());
        }
        Ok((count, len))
    }

    /// The values of a tensor, row-major, as `f32`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn read_f32(&self, tensor: &TensorRef) -> Result<Vec<f32>> {
        let (count, len) = self.range(tensor)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let (size, storage) = (tensor.dtype.size(), self.storage(&tensor.key)?);
        let mut values = Vec::with_capacity(len);
        while values.len() < len {
            let place = tensor.offset + values.len();
            let block = BLOCK.min(len - values.len());
            let mut bytes = self.bytes(storage.start + (place * size) as u64, block * size)?;
            if !self.is_little_endian {
                swap(&mut bytes, size);
            }
            tensor.dtype.widen(&bytes, &mut values);
        }
        let TensorRef { shape, strides, .. } = tensor;
        let is_row_major = is_row_major(shape, strides);
        Ok(if is_row_major { values } else { gather(shape, strides, &values, count) })
    }
}

/// Whether the values lie in the order of their rows, without gaps.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut want = 1;
    shape.iter().zip(strides).rev().all(|(axis, stride)| {
        let fits = *axis == 1 || *stride == want;
        want *= axis;
        fits
    })
}

/// Values that lie otherwise, in the order of their rows.
pub(super) fn gather(shape: &[usize], strides: &[usize], values: &[f32], count: usize) -> Vec<f32> {
    let mut index = vec![0; shape.len()];
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let place: usize = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
        rows.push(values[place]);
        for (axis, i) in index.iter_mut().enumerate().rev() {
            *i += 1;
            if *i < shape[axis] {
                break;
            }
            *i = 0;
        }
    }
    rows
}

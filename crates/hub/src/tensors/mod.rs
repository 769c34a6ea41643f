//! Weights in safetensors files, in the precision they are stored in.

mod header;
mod source;
mod stored;
mod writer;

use half::bf16;
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde::{Deserialize, Serialize};

pub(crate) use source::{OpenFile, Source};
pub(crate) use stored::Content;
pub use stored::StoredTensor;
pub use writer::TensorWriter;

/// Number format of weights in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredPrecision {
    /// 32-bit floats: what was trained, exactly.
    #[default]
    F32,
    /// The upper half of a 32-bit float: half the size, 8 bits of precision.
    Bf16,
    /// Matrices in 8-bit integers with one scale a row (the largest magnitude
    /// is 127), everything else in `f32`.
    Int8,
}

/// A named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// Ending of the name under which the scales of an `int8` matrix lie.
const SCALES: &str = ".scales";

/// The bytes of a safetensors file that holds the tensors.
///
/// # Errors
/// If a tensor's shape and values disagree.
pub fn write_tensors(tensors: &[Tensor], precision: StoredPrecision) -> Result<Vec<u8>, String> {
    let mut stored = Vec::new();
    for tensor in tensors {
        match precision {
            StoredPrecision::Bf16 => {
                let bytes = tensor.values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes());
                stored.push((tensor.name.clone(), Dtype::BF16, &tensor.shape, bytes.collect()));
            }
            StoredPrecision::Int8 if tensor.shape.len() == 2 && tensor.shape[1] > 1 => {
                let (whole, scales) = quantize(&tensor.values, tensor.shape[1]);
                stored.push((tensor.name.clone(), Dtype::I8, &tensor.shape, whole));
                stored.push((tensor.name.clone() + SCALES, Dtype::F32, &tensor.shape, scales));
            }
            _ => {
                let bytes = tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect();
                stored.push((tensor.name.clone(), Dtype::F32, &tensor.shape, bytes));
            }
        }
    }
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in &stored {
        let rows = name.ends_with(SCALES) && precision == StoredPrecision::Int8;
        let shape = if rows { vec![shape[0]] } else { shape.to_vec() };
        views.push((name, TensorView::new(*dtype, shape, bytes).map_err(|e| e.to_string())?));
    }
    serialize(views, None).map_err(|error| error.to_string())
}

/// Rows as 8-bit integers, and their scales as bytes.
fn quantize(values: &[f32], columns: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut whole, mut scales) = (Vec::with_capacity(values.len()), Vec::new());
    for row in values.chunks(columns) {
        let scale = row.iter().fold(0.0_f32, |top, v| top.max(v.abs())) / 127.0;
        let quantum = if scale > 0.0 { scale } else { 1.0 };
        whole.extend(row.iter().map(|v| (v / quantum).round() as i8 as u8));
        scales.extend(scale.to_le_bytes());
    }
    (whole, scales)
}

/// The tensors of a safetensors file, widened to `f32`, in order of names.
///
/// # Errors
/// If the bytes are no such file, or a tensor has a type other than `f32`,
/// `bf16` or `i8` with its scales.
pub fn read_tensors(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    let source = Source::Memory(bytes);
    let layouts = header::layouts(source).map_err(|error| error.to_string())?;
    let read = |layout: header::Layout| {
        let values = layout.read(source).map_err(|error| error.to_string())?;
        Ok(Tensor { name: layout.name, shape: layout.shape, values })
    };
    layouts.into_iter().map(read).collect()
}

fn floats(data: &[u8]) -> impl Iterator<Item = f32> {
    data.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors() -> Vec<Tensor> {
        let values = vec![0.5, -1.0, 3.25, 0.0, 0.0, 0.0, 100.0, -99.0, 0.3];
        vec![
            Tensor { name: "bias".into(), shape: vec![2], values: vec![0.1, -0.2] },
            Tensor { name: "weight".into(), shape: vec![3, 3], values },
        ]
    }

    #[test]
    fn each_precision_comes_back_within_its_error() {
        for (precision, relative) in [
            (StoredPrecision::F32, 0.0),
            (StoredPrecision::Bf16, 1.0 / 256.0),
            (StoredPrecision::Int8, 0.5 / 127.0),
        ] {
            let back = read_tensors(&write_tensors(&tensors(), precision).unwrap()).unwrap();
            for (got, want) in back.iter().zip(tensors()) {
                assert_eq!((&got.name, &got.shape), (&want.name, &want.shape));
                for (row, (g, w)) in got.values.iter().zip(&want.values).enumerate() {
                    let row =
                        &want.values[row / 3 * 3..][..if want.values.len() > 2 { 3 } else { 2 }];
                    let top = row.iter().fold(0.0_f32, |top, v| top.max(v.abs()));
                    assert!((g - w).abs() <= top * relative, "{precision:?} {g} {w}");
                }
            }
        }
    }

    #[test]
    fn scales_of_another_type_or_shape_are_refused() {
        for (dtype, shape) in [(Dtype::I32, vec![1]), (Dtype::F32, vec![1, 1])] {
            let matrix = TensorView::new(Dtype::I8, vec![1, 2], &[1, 2]).unwrap();
            let scales = TensorView::new(dtype, shape, &[0; 4]).unwrap();
            let bytes = serialize([("m", matrix), ("m.scales", scales)], None).unwrap();
            assert!(read_tensors(&bytes).is_err());
        }
    }

    #[test]
    fn a_cut_file_is_refused_at_every_byte() {
        let bytes = write_tensors(&tensors(), StoredPrecision::Int8).unwrap();
        for len in 0..bytes.len() {
            assert!(read_tensors(&bytes[..len]).is_err(), "{len} bytes");
        }
    }
}

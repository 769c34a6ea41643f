//! What the header of a safetensors file says, checked before a value is read.

use std::{collections::HashMap, io, ops::Range};

use half::bf16;
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};

use super::{
    SCALES, floats,
    source::{Source, invalid},
};

/// Bytes of the header's length, which comes first.
const LENGTH: u64 = 8;
/// Longest header that is read, in bytes: that of the format.
const MAX_HEADER: u64 = 100_000_000;

/// A tensor's place in a file.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    format: Format,
    bytes: Range<u64>,
}

/// How values are stored.
#[derive(Clone, Debug)]
enum Format {
    F32,
    Bf16,
    /// Rows of so many 8-bit integers, and where their scales lie.
    Int8 {
        columns: usize,
        scales: Range<u64>,
    },
}

/// The tensors of a file, in order of names.
///
/// # Errors
/// If the file is none of this format, or a tensor has a type other than `f32`,
/// `bf16` or `i8` with its scales (`InvalidData`); or if it cannot be read.
pub(super) fn layouts(source: Source<'_>) -> io::Result<Vec<Layout>> {
    let (header, data) = header(source)?;
    let infos = header.tensors();
    let mut layouts = Vec::new();
    for (name, info) in &infos {
        let matrix = name.strip_suffix(SCALES).and_then(|matrix| infos.get(matrix));
        if matrix.is_none_or(|matrix| matrix.dtype != Dtype::I8) {
            let (name, shape) = (name.clone(), info.shape.clone());
            let format = format(&name, info, &infos, data).map_err(invalid)?;
            layouts.push(Layout { name, shape, format, bytes: place(info, data) });
        }
    }
    layouts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(layouts)
}

/// The header, and where the data begins. The tensors follow each other without
/// gaps, to the end of the file, each as long as its shape and type say.
fn header(source: Source<'_>) -> io::Result<(Metadata, u64)> {
    let length = source.bytes(0..LENGTH)?;
    let length = length.as_chunks().0.first().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if length > MAX_HEADER {
        return Err(invalid("it is no safetensors file: its header is too long"));
    }
    let data = LENGTH + length;
    let json = source.bytes(LENGTH..data)?;
    // This checks the offsets too.
    let header: Metadata = serde_json::from_slice(&json)
        .map_err(|error| invalid(format!("its header cannot be used: {error}")))?;
    match data.checked_add(header.data_len() as u64) {
        Some(end) if end == source.len() => Ok((header, data)),
        _ => Err(invalid("it is longer or shorter than its header says")),
    }
}

fn place(info: &TensorInfo, data: u64) -> Range<u64> {
    let (start, end) = info.data_offsets;
    data + start as u64..data + end as u64
}

fn format(
    name: &str,
    info: &TensorInfo,
    infos: &HashMap<String, &TensorInfo>,
    data: u64,
) -> Result<Format, String> {
    match info.dtype {
        Dtype::F32 => Ok(Format::F32),
        Dtype::BF16 => Ok(Format::Bf16),
        Dtype::I8 => {
            let scales = infos
                .get(&format!("{name}{SCALES}"))
                .ok_or_else(|| format!("tensor `{name}` lacks its scales"))?;
            let (&[rows, columns], Dtype::F32) = (&*info.shape, scales.dtype) else {
                return Err(format!("`{name}` is no matrix of integers with `f32` scales"));
            };
            if columns == 0 || scales.shape != [rows] {
                return Err(format!("tensor `{name}` does not have one scale a row"));
            }
            Ok(Format::Int8 { columns, scales: place(scales, data) })
        }
        other => Err(format!("tensor `{name}` has the unsupported type {other:?}")),
    }
}

impl Layout {
    /// The values, widened to `f32` piece by piece.
    ///
    /// # Errors
    /// If the source cannot be read, or is not what it was (`InvalidData`).
    pub(super) fn read(&self, source: Source<'_>) -> io::Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.shape.iter().product());
        let bytes = self.bytes.clone();
        match &self.format {
            Format::F32 => source.read(bytes, |piece| values.extend(floats(piece)))?,
            Format::Bf16 => source.read(bytes, |piece| {
                values.extend(piece.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()));
            })?,
            Format::Int8 { columns, scales: place } => {
                let mut scales = Vec::new();
                source.read(place.clone(), |piece| scales.extend(floats(piece)))?;
                source.read(bytes, |piece| widen(piece, *columns, &scales, &mut values))?;
            }
        }
        Ok(values)
    }
}

/// Adds 8-bit integers to the values that came before; they may begin and end
/// in the middle of a row.
fn widen(mut piece: &[u8], columns: usize, scales: &[f32], values: &mut Vec<f32>) {
    while !piece.is_empty() {
        let (row, column) = (values.len() / columns, values.len() % columns);
        let scale = scales.get(row).copied().unwrap_or_default();
        let (part, rest) = piece.split_at(piece.len().min(columns - column));
        values.extend(part.iter().map(|&b| f32::from(b as i8) * scale));
        piece = rest;
    }
}

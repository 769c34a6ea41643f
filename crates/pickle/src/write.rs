//! Writing checkpoints that `torch.load` reads.

use std::io::{Seek, Write};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{Error, Result};

/// A value to be written.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Item {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Tuple(Vec<Self>),
    Dict(Vec<(Self, Self)>),
    /// A `collections.OrderedDict`.
    OrderedDict(Vec<(Self, Self)>),
    /// An object made without arguments, with this state.
    Object {
        module: &'static str,
        name: &'static str,
        state: Box<Self>,
    },
    /// A tensor of `f32` of this shape, whose values come from outside: the
    /// tensor of that number.
    Tensor {
        number: usize,
        shape: Vec<usize>,
    },
}

impl Item {
    /// A dictionary with names as keys.
    pub fn dict<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Dict(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl From<&str> for Item {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<usize> for Item {
    fn from(number: usize) -> Self {
        Self::Int(number as i64)
    }
}

/// Values of a pickle that are put down at once at most.
const BATCH: usize = 1000;

/// Writes a checkpoint in PyTorch's container: the value, and the tensors in it.
/// `values` gives those of the tensor of a number, one after the other.
///
/// # Errors
/// If `values` fails, gives fewer or more than the shape says, or it cannot be
/// written.
pub fn write_checkpoint<E: From<Error>>(
    out: impl Write + Seek,
    item: &Item,
    mut values: impl FnMut(usize) -> Result<Vec<f32>, E>,
) -> Result<(), E> {
    let mut archive = ZipWriter::new(out);
    let mut tensors = Vec::new();
    let mut pickle = vec![0x80, 4];
    put(&mut pickle, item, &mut tensors);
    pickle.push(b'.');
    file(&mut archive, "data.pkl", &pickle)?;
    file(&mut archive, "byteorder", b"little")?;
    for (number, len) in tensors {
        let values = values(number)?;
        if values.len() != len {
            let problem = format!("tensor {number} has {} values, not {len}", values.len());
            return Err(Error::checkpoint(problem).into());
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        file(&mut archive, &format!("data/{number}"), &bytes)?;
    }
    file(&mut archive, "version", b"3\n")?;
    archive.finish().map_err(failed)?.flush().map_err(Error::from)?;
    Ok(())
}

fn failed(error: zip::result::ZipError) -> Error {
    match error {
        zip::result::ZipError::Io(error) => error.into(),
        error => Error::checkpoint(format!("the archive cannot be written: {error}")),
    }
}

/// Adds a file, at a place where PyTorch can map it.
fn file(archive: &mut ZipWriter<impl Write + Seek>, name: &str, bytes: &[u8]) -> Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(64)
        .large_file(bytes.len() >= u32::MAX as usize);
    archive.start_file(format!("archive/{name}"), options).map_err(failed)?;
    Ok(archive.write_all(bytes)?)
}

/// Puts down the instructions that build a value, and notes its tensors.
fn put(to: &mut Vec<u8>, item: &Item, tensors: &mut Vec<(usize, usize)>) {
    match item {
        Item::None => to.push(b'N'),
        Item::Bool(value) => to.push(if *value { 0x88 } else { 0x89 }),
        Item::Int(value) => put_int(to, *value),
        Item::Float(value) => {
            to.push(b'G');
            to.extend(value.to_be_bytes());
        }
        Item::Str(text) => put_long(to, b'X', 0x8d, text.as_bytes()),
        Item::Bytes(bytes) => put_long(to, b'B', 0x8e, bytes),
        Item::List(items) => {
            to.push(b']');
            put_batches(to, items, b'e', |to, item| put(to, item, tensors));
        }
        Item::Tuple(items) => {
            to.push(b'(');
            items.iter().for_each(|item| put(to, item, tensors));
            to.push(b't');
        }
        Item::Dict(entries) => {
            to.push(b'}');
            put_entries(to, entries, tensors);
        }
        Item::OrderedDict(entries) => {
            to.extend(b"ccollections\nOrderedDict\n)R");
            put_entries(to, entries, tensors);
        }
        Item::Object { module, name, state } => {
            to.extend(format!("c{module}\n{name}\n)").as_bytes());
            to.push(0x81);
            put(to, state, tensors);
            to.push(b'b');
        }
        Item::Tensor { number, shape } => put_tensor(to, *number, shape, tensors),
    }
}

fn put_int(to: &mut Vec<u8>, value: i64) {
    match i32::try_from(value) {
        Ok(value) => {
            to.push(b'J');
            to.extend(value.to_le_bytes());
        }
        Err(_) => {
            to.extend([0x8a, 8]);
            to.extend(value.to_le_bytes());
        }
    }
}

/// Puts down bytes behind their length, of four bytes or of eight.
fn put_long(to: &mut Vec<u8>, short: u8, long: u8, bytes: &[u8]) {
    match u32::try_from(bytes.len()) {
        Ok(len) => {
            to.push(short);
            to.extend(len.to_le_bytes());
        }
        Err(_) => {
            to.push(long);
            to.extend((bytes.len() as u64).to_le_bytes());
        }
    }
    to.extend(bytes);
}

/// Puts down items in batches, each added by the instruction `add`.
fn put_batches<T>(to: &mut Vec<u8>, items: &[T], add: u8, mut put: impl FnMut(&mut Vec<u8>, &T)) {
    for batch in items.chunks(BATCH) {
        to.push(b'(');
        batch.iter().for_each(|item| put(to, item));
        to.push(add);
    }
}

fn put_entries(to: &mut Vec<u8>, entries: &[(Item, Item)], tensors: &mut Vec<(usize, usize)>) {
    put_batches(to, entries, b'u', |to, (key, value)| {
        put(to, key, tensors);
        put(to, value, tensors);
    });
}

fn put_tensor(to: &mut Vec<u8>, number: usize, shape: &[usize], tensors: &mut Vec<(usize, usize)>) {
    let len = shape.iter().product();
    tensors.push((number, len));
    to.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    put_long(to, b'X', 0x8d, b"storage");
    to.extend(b"ctorch\nFloatStorage\n");
    put_long(to, b'X', 0x8d, number.to_string().as_bytes());
    put_long(to, b'X', 0x8d, b"cpu");
    put_int(to, len as i64);
    to.extend(b"tQ");
    put_int(to, 0);
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    for lengths in [shape, &strides] {
        to.push(b'(');
        lengths.iter().for_each(|length| put_int(to, *length as i64));
        to.push(b't');
    }
    to.push(0x89);
    to.extend(b"ccollections\nOrderedDict\n)RtR");
}

//! Tensors whose values stay where they lie until they are asked for.

use std::{borrow::Cow, fmt, io, sync::Arc};

use super::{
    header::{self, Layout},
    source::{OpenFile, Source},
};
use crate::{Error, Result};

/// A tensor of a model's file, whose values are not in memory yet.
///
/// The file stays open as long as one of its tensors is there, so that what is
/// read is what was checked, whatever is put in the file's place.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    layout: Layout,
    file: Arc<Stored>,
}

/// The file that tensors share.
#[derive(Debug)]
struct Stored {
    model: String,
    name: String,
    content: Content,
}

/// A file's bytes.
pub(crate) enum Content {
    /// In memory, shared.
    Memory(Arc<Cow<'static, [u8]>>),
    /// On a disk.
    File(OpenFile),
}

impl Content {
    /// The bytes, to be read.
    pub(crate) fn source(&self) -> Source<'_> {
        match self {
            Self::Memory(bytes) => Source::Memory(bytes),
            Self::File(file) => Source::File(file),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "Memory({} bytes)", bytes.len()),
            Self::File(file) => file.fmt(f),
        }
    }
}

impl StoredTensor {
    /// The tensors of a model's file, in order of names, once its header is
    /// checked.
    pub(crate) fn all(model: &str, file: &str, content: Content) -> Result<Vec<Self>> {
        let file = Stored { model: model.to_owned(), name: file.to_owned(), content };
        let layouts = header::layouts(file.content.source());
        let (layouts, file) = (layouts.map_err(|error| file.failed(None, error))?, Arc::new(file));
        let of_file = |layout| Self { layout, file: Arc::clone(&file) };
        Ok(layouts.into_iter().map(of_file).collect())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.layout.name
    }

    /// Length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// Its values, row-major, widened to `f32`. A file is read in pieces of a
    /// mebibyte, so that little more than the values is in memory.
    ///
    /// # Errors
    /// If the file cannot be read, or was changed since its header was.
    pub fn read(&self) -> Result<Vec<f32>> {
        let values = self.layout.read(self.file.content.source());
        values.map_err(|error| self.file.failed(Some(self.name()), error))
    }
}

impl Stored {
    fn failed(&self, tensor: Option<&str>, error: io::Error) -> Error {
        Error::of_file(&self.model, &self.name, tensor, error)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::{Bundle, StoredPrecision, Tensor, read_tensors, write_tensors};

    const FILE: &str = "model.safetensors";
    const PRECISIONS: [StoredPrecision; 3] =
        [StoredPrecision::F32, StoredPrecision::Bf16, StoredPrecision::Int8];

    /// A matrix with rows of an odd length, a vector and one value.
    fn tensors(rows: usize, columns: usize) -> Vec<Tensor> {
        let tensor = |name: &str, shape: Vec<usize>| {
            let values = (0..shape.iter().product()).map(|i: usize| (i as f32).sin()).collect();
            Tensor { name: name.to_owned(), shape, values }
        };
        vec![tensor("a", vec![1]), tensor("b", vec![rows, columns]), tensor("c", vec![rows])]
    }

    /// A folder with a file of these bytes.
    fn folder(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn read(stored: &[StoredTensor]) -> Vec<Tensor> {
        let read = |tensor: &StoredTensor| Tensor {
            name: tensor.name().to_owned(),
            shape: tensor.shape().to_vec(),
            values: tensor.read().unwrap(),
        };
        stored.iter().map(read).collect()
    }

    #[test]
    fn what_is_read_in_pieces_equals_what_is_read_at_once() {
        for precision in PRECISIONS {
            let bytes = write_tensors(&tensors(9, 7), precision).unwrap();
            let want = read_tensors(&bytes).unwrap();
            let (_folder, path) = folder(&bytes);
            for piece in [4, 8, 12, 20, 64, 1 << 20] {
                let file = Content::File(OpenFile::open(&path).unwrap().in_pieces(piece));
                let stored = StoredTensor::all("test", FILE, file).unwrap();
                assert_eq!(read(&stored), want, "{precision:?} in pieces of {piece} bytes");
            }
        }
    }

    #[test]
    fn tensors_of_several_pieces_are_the_same_from_disk_and_from_memory() {
        for precision in PRECISIONS {
            // A mebibyte ends in the middle of a row.
            let bytes = write_tensors(&tensors(1501, 1403), precision).unwrap();
            let want = read_tensors(&bytes).unwrap();
            let (folder, _) = folder(&bytes);
            let stored = Bundle::folder(folder.path()).tensors(FILE).unwrap();
            assert!(read(&stored) == want, "{precision:?} on disk");
            let content = Content::Memory(Arc::new(bytes.into()));
            let stored = StoredTensor::all("test", FILE, content).unwrap();
            assert!(read(&stored) == want, "{precision:?} in memory");
            // And again, in another order.
            assert!(stored[1].clone().read().unwrap() == want[1].values);
        }
    }

    #[test]
    fn a_file_in_a_folder_is_refused_at_every_byte() {
        for precision in PRECISIONS {
            let bytes = write_tensors(&tensors(3, 2), precision).unwrap();
            let (folder, path) = folder(&bytes);
            let bundle = Bundle::folder(folder.path());
            assert!(bundle.tensors(FILE).is_ok());
            for len in 0..bytes.len() {
                fs::write(&path, &bytes[..len]).unwrap();
                let error = bundle.tensors(FILE).unwrap_err();
                let Error::Damaged { model, file, .. } = error else { panic!("{error}") };
                assert_eq!((&*model, &*file), (bundle.name(), FILE), "{len} bytes");
            }
            fs::write(&path, [&bytes[..], &[0]].concat()).unwrap();
            assert!(bundle.tensors(FILE).is_err());
        }
    }

    #[test]
    fn a_file_that_is_changed_after_its_header_was_checked_is_refused() {
        let bytes = write_tensors(&tensors(9, 7), StoredPrecision::Int8).unwrap();
        let (folder, path) = folder(&bytes);
        let bundle = Bundle::folder(folder.path());
        for len in [0, 10, bytes.len() - 1, bytes.len() + 1] {
            fs::write(&path, &bytes).unwrap();
            let stored = bundle.tensors(FILE).unwrap();
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len as u64).unwrap();
            for tensor in stored {
                let error = tensor.read().unwrap_err();
                let Error::Damaged { model, file, reason } = error else { panic!("{error}") };
                assert_eq!((&*model, &*file), (bundle.name(), FILE));
                let named = format!("tensor `{}`", tensor.name());
                assert!(reason.contains(&named) && reason.contains("changed"), "{reason}");
            }
        }
    }

    #[test]
    fn a_file_that_is_replaced_is_read_as_it_was() {
        let bytes = write_tensors(&tensors(9, 7), StoredPrecision::F32).unwrap();
        let (folder, path) = folder(&bytes);
        let stored = Bundle::folder(folder.path()).tensors(FILE).unwrap();
        // Where an open file cannot be removed, it is not replaced either.
        if fs::remove_file(&path).is_ok() {
            fs::write(&path, "another").unwrap();
        }
        assert_eq!(read(&stored), tensors(9, 7));
    }

    #[test]
    fn a_header_that_claims_what_is_not_there_is_refused() {
        let file = |header: &str, data: usize| {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.bytes());
            bytes.extend(vec![0; data]);
            let (folder, _) = folder(&bytes);
            let stored = Bundle::folder(folder.path()).tensors(FILE).map(|stored| read(&stored));
            assert_eq!(stored.is_ok(), read_tensors(&bytes).is_ok(), "{header}");
            stored.map_err(|error| error.to_string())
        };
        let entry = |dtype: &str, shape: &str, offsets: [u64; 2]| {
            format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets:?}}}"#)
        };
        let one = |dtype, shape, offsets| format!(r#"{{"a":{}}}"#, entry(dtype, shape, offsets));
        assert!(file(&one("F32", "[2]", [0, 8]), 8).is_ok());
        assert!(file("{}", 0).is_ok());
        for (header, data) in [
            (one("F32", "[2]", [0, 8]), 7),
            (one("F32", "[2]", [0, 8]), 9),
            (one("F32", "[2]", [0, 4]), 4),
            (one("F32", "[2]", [8, 0]), 8),
            (one("F32", "[2]", [4, 12]), 12),
            (one("F32", "[1, 4294967296, 4294967296]", [0, 4]), 4),
            (one("F32", "[18446744073709551615]", [0, 18446744073709551615]), 4),
            (one("F64", "[1]", [0, 8]), 8),
            (one("I8", "[2, 2]", [0, 4]), 4),
            ("[]".to_owned(), 0),
            ("{".to_owned(), 0),
        ] {
            assert!(file(&header, data).is_err(), "{header} {data}");
        }
        let (a, b) = (entry("F32", "[2]", [0, 8]), entry("F32", "[2]", [4, 12]));
        assert!(file(&format!(r#"{{"a":{a},"b":{b}}}"#), 12).is_err(), "an overlap");
        let (a, b) = (entry("I8", "[2, 2]", [0, 4]), entry("F32", "[1]", [4, 8]));
        let error = file(&format!(r#"{{"a":{a},"a.scales":{b}}}"#), 8).unwrap_err();
        assert!(error.contains("one scale a row"), "{error}");
        for length in [MAX, u64::MAX] {
            let (folder, _) = folder(&length.to_le_bytes());
            assert!(Bundle::folder(folder.path()).tensors(FILE).is_err());
        }
    }

    /// A header far longer than the file.
    const MAX: u64 = 99_000_000;
}

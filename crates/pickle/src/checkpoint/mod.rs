//! Checkpoints of PyTorch: a pickle, and the values of tensors beside it.

mod archive;
mod array;
mod stream;
mod tensor;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Cursor, Read, Seek, SeekFrom},
    path::Path,
    sync::{Mutex, PoisonError},
};

pub use array::Array;
pub use tensor::{Dtype, TensorRef};

use crate::{Error, Pickle, Result, Value};

/// An open checkpoint, in either of PyTorch's containers, or a pickle by itself.
///
/// Values of tensors are read from the file when they are asked for.
pub struct Checkpoint {
    pickle: Pickle,
    storages: HashMap<String, Storage>,
    is_little_endian: bool,
    file: Mutex<Box<dyn ReadSeek>>,
}

/// Where the values of some tensors lie.
#[derive(Clone, Copy, Debug)]
struct Storage {
    /// Place in the file, in bytes.
    start: u64,
    /// Length, in bytes.
    len: u64,
}

/// What is read at any place.
trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint").field("root", &self.root()).finish_non_exhaustive()
    }
}

impl Checkpoint {
    /// Opens a file; the values of tensors stay in it.
    ///
    /// # Errors
    /// If it cannot be read, or is no checkpoint or a damaged one.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::of(Box::new(BufReader::new(File::open(path)?)))
    }

    /// A checkpoint in memory.
    ///
    /// # Errors
    /// If it is no checkpoint or a damaged one.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::of(Box::new(Cursor::new(bytes)))
    }

    fn of(mut file: Box<dyn ReadSeek>) -> Result<Self> {
        let mut start = Vec::new();
        file.by_ref().take(2).read_to_end(&mut start)?;
        file.rewind()?;
        let (pickle, storages, is_little_endian) = match &start[..] {
            b"PK" => archive::read(&mut file)?,
            _ => {
                let (pickle, storages) = stream::read(&mut file)?;
                (pickle, storages, true)
            }
        };
        Ok(Self { pickle, storages, is_little_endian, file: Mutex::new(file) })
    }

    /// The value that was saved.
    pub fn root(&self) -> Value<'_> {
        self.pickle.root()
    }

    /// All values of the pickle.
    #[cfg(test)]
    pub(crate) fn pickle_values(&self) -> impl Iterator<Item = Value<'_>> {
        self.pickle.values()
    }

    /// Bytes of a storage.
    fn bytes(&self, place: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(place))?;
        // The file's own length was compared with what it claims.
        let mut bytes = vec![0; len];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn storage(&self, key: &str) -> Result<Storage> {
        let missing = || Error::checkpoint(format!("the values of storage {key:.40} are missing"));
        self.storages.get(key).copied().ok_or_else(missing)
    }
}

//! The file of a cache of vectors, which only grows.
//!
//! A head (8 bytes of magic, version: u32), then records: key (32 bytes),
//! number of values (u32), checksum (8 bytes), values (f32). Numbers are
//! little-endian; the checksum is the begin of the SHA-256 of key and values.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use super::Key;
use crate::{Error, Result};

/// Magic and version.
const FILE_HEAD: [u8; 12] = *b"GLOSSVEC\x01\0\0\0";
/// Bytes of a record before its values.
const RECORD_HEAD: usize = 44;
/// Values of the largest block that is written. Every block has at least one,
/// so that a tail of zeros, as a crash of the system can leave, is no record.
const MAX_VALUES: usize = 1 << 26;

/// Where a record lies.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Place {
    offset: u64,
    n_values: usize,
}

impl Place {
    fn n_bytes(self) -> usize {
        RECORD_HEAD + self.n_values * size_of::<f32>()
    }

    fn end(self) -> u64 {
        self.offset + self.n_bytes() as u64
    }
}

/// The file and the places of its records.
pub(super) struct BlockFile {
    path: PathBuf,
    /// Locked as long as it is open.
    file: File,
    index: HashMap<Key, Place>,
    /// Where the next record begins; 0 if there is no head yet.
    end: u64,
    is_writable: bool,
}

impl BlockFile {
    /// Opens the file or makes it; none if another process has it open. A last
    /// record that is cut off or broken is removed.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let write = |source| Error::Write { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(write)?;
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(write)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Where the file system has no locks, the checksums have to do.
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
                return Err(write(error));
            }
            _ => {}
        }
        let (path, index) = (path.to_owned(), HashMap::new());
        let mut blocks = Self { path, file, index, end: 0, is_writable: true };
        let len = blocks.file.metadata().map_err(|error| blocks.unreadable(error))?.len();
        if blocks.has_head(len)? {
            blocks.scan(len).map_err(|error| blocks.unreadable(error))?;
        }
        if blocks.end != len {
            blocks.file.set_len(blocks.end).map_err(write)?;
        }
        Ok(Some(blocks))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn unreadable(&self, source: io::Error) -> Error {
        glossator_text::Error::Read { path: self.path.clone(), source }.into()
    }

    /// Whether the file has a head, not the begin of one that was cut off.
    fn has_head(&mut self, len: u64) -> Result<bool> {
        let mut head = FILE_HEAD;
        let n_bytes = FILE_HEAD.len().min(len as usize);
        self.file.read_exact(&mut head[..n_bytes]).map_err(|error| self.unreadable(error))?;
        if head == FILE_HEAD {
            return Ok(n_bytes == FILE_HEAD.len());
        }
        let problem = match head[..8] == FILE_HEAD[..8] {
            true => "cached vectors in the format of another version; delete the file",
            false => "not a file of cached vectors; delete it, or name another folder",
        };
        Err(Error::Config { path: self.path.clone(), line: None, problem: problem.into() })
    }

    /// Finds the records, without their values, up to the last sound one.
    fn scan(&mut self, len: u64) -> io::Result<()> {
        let mut records = Vec::new();
        let mut offset = FILE_HEAD.len() as u64;
        while offset + RECORD_HEAD as u64 <= len {
            let (mut key, mut n_values) = ([0; 32], [0; 4]);
            self.file.seek(SeekFrom::Start(offset))?;
            self.file.read_exact(&mut key)?;
            self.file.read_exact(&mut n_values)?;
            let n_values = u32::from_le_bytes(n_values) as usize;
            let place = Place { offset, n_values };
            if !(1..=MAX_VALUES).contains(&n_values) || place.end() > len {
                break;
            }
            records.push((Key(key), place));
            offset = place.end();
        }
        while let Some((key, place)) = records.last() {
            if decode(key, &self.read_at(place.offset, place.n_bytes())?).is_some() {
                break;
            }
            records.pop();
        }
        self.end = records.last().map_or(FILE_HEAD.len() as u64, |(_, place)| place.end());
        self.index = records.into_iter().collect();
        Ok(())
    }

    fn read_at(&mut self, offset: u64, n_bytes: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; n_bytes];
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The record of a key, for [`decode`], and its place.
    pub(super) fn read(&mut self, key: &Key) -> Result<Option<(Place, Vec<u8>)>> {
        let Some(&place) = self.index.get(key) else { return Ok(None) };
        match self.read_at(place.offset, place.n_bytes()) {
            Ok(record) => Ok(Some((place, record))),
            // Somebody has shortened the file: damage, as flipped bits are.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(Some((place, Vec::new())))
            }
            Err(error) => Err(self.unreadable(error)),
        }
    }

    /// Forgets a damaged record, so that its block can be written anew.
    pub(super) fn forget(&mut self, key: &Key, place: Place) {
        if self.index.get(key) == Some(&place) {
            self.index.remove(key);
        }
    }

    /// Whether a block of that key and number of values would be written.
    pub(super) fn takes(&self, key: &Key, n_values: usize) -> bool {
        let fits = (1..=MAX_VALUES).contains(&n_values);
        self.is_writable && fits && !self.index.contains_key(key)
    }

    /// Writes a record, made by [`encode`], if the file still
    /// [takes](Self::takes) it. After an error no more is written.
    pub(super) fn append(&mut self, key: Key, record: &[u8]) -> io::Result<()> {
        let n_values = (record.len() - RECORD_HEAD) / size_of::<f32>();
        if !self.takes(&key, n_values) {
            return Ok(());
        }
        let offset = self.end.max(FILE_HEAD.len() as u64);
        if let Err(error) = self.write(record) {
            self.is_writable = false;
            // What remains if this fails too is removed at the next opening.
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        let place = Place { offset, n_values };
        self.end = place.end();
        self.index.insert(key, place);
        Ok(())
    }

    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        if self.end == 0 {
            self.file.write_all(&FILE_HEAD)?;
        }
        self.file.write_all(record)
    }
}

/// The record of a block.
pub(super) fn encode(key: &Key, values: &[f32]) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD_HEAD + size_of_val(values));
    record.extend(key.0);
    record.extend((values.len() as u32).to_le_bytes());
    record.extend([0; 8]);
    values.iter().for_each(|value| record.extend(value.to_le_bytes()));
    let checksum = checksum(key, &record[RECORD_HEAD..]);
    record[36..RECORD_HEAD].copy_from_slice(&checksum);
    record
}

/// The block of a record, if that is sound and of this key.
pub(super) fn decode(key: &Key, record: &[u8]) -> Option<Arc<[f32]>> {
    let (head, values) = record.split_at_checked(RECORD_HEAD)?;
    if head[..32] != key.0 || head[36..] != checksum(key, values) {
        return None;
    }
    Some(values.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

fn checksum(key: &Key, values: &[u8]) -> [u8; 8] {
    let hash = Sha256::new().chain_update(key.0).chain_update(values).finalize();
    std::array::from_fn(|i| hash[i])
}

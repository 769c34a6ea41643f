//! The vectors that frozen embeddings compute, kept while a tagger is trained.
//!
//! A block is what one embedding computes for one sentence; its key says what
//! it is computed from, so a block is never out of date.

mod file;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};

use crate::Result;
use file::BlockFile;

/// Bytes that a block takes in memory beside its values: its place in a hash
/// table that is half full, the counts before the values and the allocation.
const ENTRY_BYTES: usize = 160;

/// Identifies what a vector block is computed from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// The key of these parts in this order; where one part ends and the next
    /// begins counts.
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// Blocks of vectors by key, in memory up to a bound and, if asked for, in a
/// file, which later runs read too.
///
/// What is in memory stays there: when it is full, new blocks are not kept.
/// Training walks over all sentences in another order each epoch, so no block
/// is more likely to be asked for next than another, and evicting old ones for
/// new ones would gain nothing.
pub(crate) struct VectorCache {
    max_bytes: usize,
    memory: Mutex<Memory>,
    file: Option<Mutex<BlockFile>>,
    warning: Mutex<Option<String>>,
}

#[derive(Default)]
struct Memory {
    blocks: HashMap<Key, Arc<[f32]>>,
    bytes: usize,
}

impl Memory {
    /// Keeps a block if there is none of that key and it fits.
    fn keep(&mut self, max_bytes: usize, key: Key, n_values: usize, block: impl Into<Arc<[f32]>>) {
        let bytes = self.bytes + ENTRY_BYTES + n_values * size_of::<f32>();
        if bytes <= max_bytes && !self.blocks.contains_key(&key) {
            self.blocks.insert(key, block.into());
            self.bytes = bytes;
        }
    }
}

impl VectorCache {
    /// An empty cache that takes at most `max_bytes` of memory.
    pub(crate) fn new(max_bytes: usize) -> Self {
        let (memory, warning) = Default::default();
        Self { max_bytes, memory, file: None, warning }
    }

    /// A cache that takes at most `max_bytes` of memory for blocks, and keeps
    /// all blocks in `vectors.bin` of the folder, which is made if need be;
    /// what earlier runs left there is used. The list of the blocks in the
    /// file, about 100 bytes each, comes on top of `max_bytes`.
    ///
    /// While another process uses the file, the cache works without it, and
    /// has a [`warning`](Self::warning).
    ///
    /// # Errors
    /// If the folder or the file cannot be made, opened or read, or the file is
    /// something else.
    pub(crate) fn on_disk(max_bytes: usize, folder: &Path) -> Result<Self> {
        let path = folder.join("vectors.bin");
        let mut cache = Self::new(max_bytes);
        cache.file = BlockFile::open(&path)?.map(Mutex::new);
        if cache.file.is_none() {
            cache.warn(&path, "another run uses it");
        }
        Ok(cache)
    }

    /// The block of a key, if it is known. A block that is damaged in the file
    /// is not.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn get(&self, key: &Key) -> Result<Option<Arc<[f32]>>> {
        if let Some(block) = lock(&self.memory).blocks.get(key) {
            return Ok(Some(block.clone()));
        }
        let Some(file) = &self.file else { return Ok(None) };
        let Some((place, record)) = lock(file).read(key)? else { return Ok(None) };
        let Some(block) = file::decode(key, &record) else {
            lock(file).forget(key, place);
            return Ok(None);
        };
        lock(&self.memory).keep(self.max_bytes, *key, block.len(), block.clone());
        Ok(Some(block))
    }

    /// Adds a block; one that is there already stays as it is. If the file
    /// cannot be written, the cache goes on with what it has, and has a
    /// [`warning`](Self::warning); that is no error.
    ///
    /// # Errors
    /// None so far.
    pub(crate) fn insert(&self, key: Key, values: &[f32]) -> Result<()> {
        lock(&self.memory).keep(self.max_bytes, key, values.len(), values);
        let Some(file) = &self.file else { return Ok(()) };
        if !lock(file).takes(&key, values.len()) {
            return Ok(());
        }
        let record = file::encode(&key, values);
        let mut file = lock(file);
        if let Err(error) = file.append(key, &record) {
            self.warn(file.path(), &format!("cannot write: {error}"));
        }
        Ok(())
    }

    /// Whether so many values more would be kept.
    pub(crate) fn takes(&self, n_values: usize) -> bool {
        self.file.is_some() || self.bytes() + n_values * size_of::<f32>() <= self.max_bytes
    }

    /// Blocks in memory.
    pub(crate) fn len(&self) -> usize {
        lock(&self.memory).blocks.len()
    }

    /// Bytes that the blocks in memory take.
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.memory).bytes
    }

    /// Why the cache does not keep new blocks on disk, told once.
    pub(crate) fn warning(&self) -> Option<String> {
        lock(&self.warning).take()
    }

    fn warn(&self, path: &Path, reason: &str) {
        let effect = "vectors that do not fit into memory are computed again";
        let warning = format!("{}: {reason}; {effect}", path.display());
        lock(&self.warning).get_or_insert(warning);
    }
}

impl fmt::Debug for VectorCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("VectorCache");
        shown.field("len", &self.len()).field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The container before 2020: pickles one after the other, then the storages.

use std::{
    collections::HashMap,
    io::{Read, Seek, SeekFrom},
};

use super::{Dtype, ReadSeek, Storage, tensor};
use crate::{Error, Kind, Pickle, Result};

/// What the first pickle says (`0x1950a86a20f9469cfc6c`), little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// What the second one says.
const PROTOCOL: i64 = 1001;

/// The pickle of the object, and places of the storages. A file with another first
/// pickle is that pickle. Numbers are little-endian, whatever the pickle says of the
/// machine that wrote them.
pub(super) fn read(file: &mut Box<dyn ReadSeek>) -> Result<(Pickle, HashMap<String, Storage>)> {
    let first = Pickle::read(file.by_ref())?;
    if first.root().kind() != Kind::BigInt(&MAGIC) {
        return Ok((first, HashMap::new()));
    }
    let protocol = Pickle::read(file.by_ref())?;
    if protocol.root().as_i64() != Some(PROTOCOL) {
        return Err(Error::checkpoint("its container is of a version that is not known"));
    }
    let _machine = Pickle::read(file.by_ref())?;
    let object = Pickle::read(file.by_ref())?;
    let keys = Pickle::read(file.by_ref())?;
    let dtypes = dtypes(&object);
    let mut place = file.stream_position()?;
    let end = file.seek(SeekFrom::End(0))?;
    let mut storages = HashMap::new();
    for key in keys.root().items() {
        let key =
            key.as_str().ok_or_else(|| Error::checkpoint("the key of a storage is no text"))?;
        let cut = || Error::checkpoint(format!("it ends in the middle of storage {key:.40}"));
        let Some(dtype) = dtypes.get(key) else {
            return Err(Error::checkpoint(format!("storage {key:.40} is of no tensor")));
        };
        file.seek(SeekFrom::Start(place))?;
        let mut count = [0; 8];
        file.read_exact(&mut count).map_err(|_| cut())?;
        let len = u64::from_le_bytes(count).checked_mul(dtype.size() as u64).ok_or_else(cut)?;
        let start = place + 8;
        place = start.checked_add(len).filter(|next| *next <= end).ok_or_else(cut)?;
        storages.insert(key.to_owned(), Storage { start, len });
    }
    Ok((object, storages))
}

/// The type of each storage that the object refers to.
fn dtypes(object: &Pickle) -> HashMap<&str, Dtype> {
    let named = object.values().filter_map(|value| tensor::storage(value.persistent_id()?));
    named.map(|storage| (storage.key, storage.dtype)).collect()
}

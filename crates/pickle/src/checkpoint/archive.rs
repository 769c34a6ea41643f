//! The container since 2020: an archive of stored files.

use std::{
    collections::HashMap,
    io::{BufReader, Read},
};

use zip::{CompressionMethod, ZipArchive};

use super::{ReadSeek, Storage};
use crate::{Error, Pickle, Result};

/// Name of the pickle.
const PICKLE: &str = "data.pkl";

/// The pickle, places of the storages, and whether numbers are little-endian.
pub(super) fn read(
    file: &mut Box<dyn ReadSeek>,
) -> Result<(Pickle, HashMap<String, Storage>, bool)> {
    let damaged = |error| Error::checkpoint(format!("the archive cannot be used: {error}"));
    let mut archive = ZipArchive::new(file).map_err(damaged)?;
    let names = archive.file_names().map(|name| Ok(name?.into_owned()));
    let names: Vec<String> = names.collect::<Result<_, _>>().map_err(damaged)?;
    let is_pickle = |name: &&String| {
        name.strip_suffix(PICKLE).is_some_and(|stem| stem.is_empty() || stem.ends_with('/'))
    };
    let mut pickles = names.iter().filter(is_pickle);
    let (Some(name), None) = (pickles.next(), pickles.next()) else {
        return Err(Error::checkpoint("the archive does not hold one file data.pkl"));
    };
    let stem = name.strip_suffix(PICKLE).unwrap_or_default();
    let (mut storages, mut pickle, mut is_little_endian) = (HashMap::new(), None, true);
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(damaged)?;
        let own = entry.name().map_err(damaged)?.strip_prefix(stem).map(str::to_owned);
        let Some(own) = own else { continue };
        let key = own.strip_prefix("data/").filter(|key| !key.is_empty());
        if key.is_none() && own != PICKLE && own != "byteorder" {
            continue;
        }
        // PyTorch does not compress, so what is compressed was packed by another.
        if entry.compression() != CompressionMethod::Stored
            || entry.size() != entry.compressed_size()
        {
            let problem = format!("`{own:.60}` in the archive is compressed; pack it without");
            return Err(Error::checkpoint(problem));
        }
        if let Some(key) = key {
            let start = entry.data_start().ok_or_else(|| {
                Error::checkpoint(format!("the place of `{own:.60}` is not known"))
            })?;
            storages.insert(key.to_owned(), Storage { start, len: entry.size() });
        } else if own == PICKLE {
            pickle = Some(Pickle::read(BufReader::new(&mut entry))?);
        } else {
            let mut order = String::new();
            entry.by_ref().take(16).read_to_string(&mut order)?;
            is_little_endian = order.trim() != "big";
        }
    }
    let file = archive.into_inner();
    let len = file.seek(std::io::SeekFrom::End(0))?;
    for (key, storage) in &storages {
        if storage.start.checked_add(storage.len).is_none_or(|end| end > len) {
            return Err(Error::checkpoint(format!("storage {key:.40} goes beyond the file")));
        }
    }
    let pickle = pickle.ok_or_else(|| Error::checkpoint("data.pkl cannot be read"))?;
    Ok((pickle, storages, is_little_endian))
}

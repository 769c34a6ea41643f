//! The bytes of a file.

use std::{ops::Deref, path::Path};

use glossator_nn::Map;
use glossator_text::corpus;

use crate::Result;

/// A file, mapped, or decompressed into memory.
#[derive(Debug)]
pub(in crate::embeddings) enum Data {
    Mapped(Map),
    Read(Vec<u8>),
}

impl Data {
    pub(super) fn open(path: &Path) -> Result<Self> {
        if corpus::is_compressed(path)? {
            return Ok(Self::Read(corpus::read_bytes(path)?));
        }
        let failed = |source| glossator_text::Error::Read { path: path.to_owned(), source };
        Ok(Self::Mapped(Map::open(path).map_err(failed)?))
    }
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Read(bytes) => bytes,
        }
    }
}

/// Reads a file front to back.
pub(super) struct Reader<'d> {
    data: &'d [u8],
    place: usize,
}

impl<'d> Reader<'d> {
    pub(super) fn new(data: &'d [u8]) -> Self {
        Self { data, place: 0 }
    }

    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// The next so many bytes, if there are.
    pub(super) fn take(&mut self, len: usize) -> Option<&'d [u8]> {
        let bytes = self.data.get(self.place..self.place.checked_add(len)?)?;
        self.place += len;
        Some(bytes)
    }

    /// A reader of the next so many bytes, if there are; it counts places as this
    /// one does.
    pub(super) fn part(&mut self, len: usize) -> Option<Self> {
        let place = self.place;
        self.take(len)?;
        Some(Self { data: &self.data[..self.place], place })
    }

    /// All bytes that are left.
    pub(super) fn rest(&mut self) -> &'d [u8] {
        let rest = &self.data[self.place..];
        self.place = self.data.len();
        rest
    }

    /// What comes before the next `end`, which is taken, too.
    pub(super) fn until(&mut self, end: u8) -> Option<&'d [u8]> {
        let rest = &self.data[self.place..];
        let len = rest.iter().position(|byte| *byte == end)?;
        self.place += len + 1;
        Some(&rest[..len])
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        Some(self.array::<1>()?[0])
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        Some(i32::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.array()?))
    }

    /// A number of four bytes that is not negative.
    pub(super) fn size(&mut self) -> Option<usize> {
        usize::try_from(self.i32()?).ok()
    }
}

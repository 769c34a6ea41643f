//! Bytes that are read piece by piece, from memory or from a file.

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// Bytes of a file that are in memory at once.
const PIECE: usize = 1 << 20;

/// Where bytes come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// Memory: given out as it lies there, in one piece.
    Memory(&'a [u8]),
    /// A file: given out piece by piece.
    File(&'a OpenFile),
}

impl Source<'_> {
    /// Bytes that there are.
    pub(crate) fn len(self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(file) => file.state.len,
        }
    }

    /// Gives out a range of the bytes, in order. Every piece but the last is a
    /// multiple of four bytes long.
    ///
    /// # Errors
    /// If the range is not in it, or the file cannot be read, or is not what it
    /// was when it was opened (`InvalidData`).
    pub(crate) fn read(self, range: Range<u64>, take: impl FnMut(&[u8])) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => bytes.get(usize_range(&range)?).map(take).ok_or_else(outside),
            Self::File(file) => file.read(range, take),
        }
    }

    /// A short range of the bytes.
    ///
    /// # Errors
    /// Those of [`Source::read`].
    pub(crate) fn bytes(self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read(range, |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }
}

/// A file that stays open, and is read from anywhere in it.
pub(crate) struct OpenFile {
    file: Mutex<File>,
    /// What it was like when it was opened.
    state: State,
    piece: usize,
}

/// What betrays that a file was changed.
#[derive(Debug, PartialEq, Eq)]
struct State {
    len: u64,
    /// None where the system does not know.
    modified: Option<SystemTime>,
}

impl From<Metadata> for State {
    fn from(metadata: Metadata) -> Self {
        Self { len: metadata.len(), modified: metadata.modified().ok() }
    }
}

impl OpenFile {
    /// Opens a file; nothing is read yet.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let state = file.metadata()?.into();
        Ok(Self { file: Mutex::new(file), state, piece: PIECE })
    }

    /// The same in pieces of another size, a multiple of four bytes.
    #[cfg(test)]
    pub(super) fn in_pieces(self, piece: usize) -> Self {
        Self { piece, ..self }
    }

    fn read(&self, range: Range<u64>, take: impl FnMut(&[u8])) -> io::Result<()> {
        let len = usize_range(&range)?.len();
        if range.end > self.state.len {
            return Err(outside());
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self.read_pieces(&mut file, range.start, len, take);
        let cut = read.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::UnexpectedEof);
        if cut || State::from(file.metadata()?) != self.state {
            return Err(invalid("the file was changed while it was read"));
        }
        read
    }

    fn read_pieces(
        &self,
        file: &mut File,
        start: u64,
        len: usize,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        file.seek(SeekFrom::Start(start))?;
        let mut buffer = vec![0; len.min(self.piece)];
        let mut left = len;
        while left > 0 {
            let piece = &mut buffer[..left.min(self.piece)];
            file.read_exact(piece)?;
            take(piece);
            left -= piece.len();
        }
        Ok(())
    }
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The range as one of memory.
fn usize_range(range: &Range<u64>) -> io::Result<Range<usize>> {
    match (range.start.try_into(), range.end.try_into()) {
        (Ok(start), Ok(end)) if start <= end => Ok(start..end),
        _ => Err(outside()),
    }
}

fn outside() -> io::Error {
    invalid("the file is too short")
}

/// An error about what bytes say.
pub(super) fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a range, as one, and how many pieces they came in.
    fn pieces(source: Source<'_>, range: Range<u64>) -> io::Result<(Vec<u8>, usize)> {
        let (mut bytes, mut pieces) = (Vec::new(), 0);
        source.read(range, |piece| {
            bytes.extend_from_slice(piece);
            pieces += 1;
        })?;
        Ok((bytes, pieces))
    }

    #[test]
    fn any_range_is_read_from_memory_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, content) = (folder.path().join("x"), (0..50).collect::<Vec<u8>>());
        std::fs::write(&path, &content).unwrap();
        let file = OpenFile::open(&path).unwrap().in_pieces(8);
        assert_eq!((Source::File(&file).len(), Source::Memory(&content).len()), (50, 50));
        for start in 0..=50 {
            for end in start..=50 {
                let (range, want) = (start as u64..end as u64, &content[start..end]);
                let (bytes, n) = pieces(Source::File(&file), range.clone()).unwrap();
                assert_eq!((&*bytes, n), (want, (end - start).div_ceil(8)));
                assert_eq!(pieces(Source::Memory(&content), range).unwrap(), (bytes, 1));
            }
        }
        for range in [0..51, 51..51, 60..70, 0..u64::MAX] {
            assert!(pieces(Source::File(&file), range.clone()).is_err(), "{range:?}");
            assert!(pieces(Source::Memory(&content), range.clone()).is_err(), "{range:?}");
        }
    }
}

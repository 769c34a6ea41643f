use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

/// A stream of bytes.
pub(super) type Bytes = Box<dyn Read + Send>;

/// A compression that is undone while reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    const ALL: [Compression; 3] = [Compression::Gzip, Compression::Xz, Compression::Zstd];

    fn ending(self) -> &'static str {
        match self {
            Compression::Gzip => "gz",
            Compression::Xz => "xz",
            Compression::Zstd => "zst",
        }
    }

    fn magic(self) -> &'static [u8] {
        match self {
            Compression::Gzip => &[0x1F, 0x8B],
            Compression::Xz => &[0xFD, b'7', b'z', b'X', b'Z', 0],
            Compression::Zstd => &[0x28, 0xB5, 0x2F, 0xFD],
        }
    }

    fn of_path(path: &Path) -> Option<Compression> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::ALL.into_iter().find(|compression| compression.ending() == ending)
    }

    /// The path without the ending of a compression.
    pub fn strip(path: &Path) -> &Path {
        match (Self::of_path(path), path.file_stem()) {
            (Some(_), Some(stem)) => Path::new(stem),
            _ => path,
        }
    }
}

/// The content of `input`, decompressed if its first bytes or the ending of
/// `path` say that it is compressed.
///
/// Reading a truncated or damaged stream fails with [`BadData`].
pub(super) fn decompressed(mut input: Bytes, path: &Path) -> io::Result<Bytes> {
    let mut start = Vec::new();
    let mut found = None;
    while found.is_none() && Compression::ALL.iter().any(|kind| kind.magic().starts_with(&start)) {
        let mut byte = [0];
        if !read_byte(&mut input, &mut byte)? {
            break;
        }
        start.push(byte[0]);
        found = Compression::ALL.into_iter().find(|kind| kind.magic() == start);
    }
    let input = io::Cursor::new(start).chain(input);
    Ok(match found.or_else(|| Compression::of_path(path)) {
        None => Box::new(input),
        Some(compression) => Box::new(Decoder::new(compression, Box::new(input))),
    })
}

fn read_byte(input: &mut Bytes, byte: &mut [u8; 1]) -> io::Result<bool> {
    loop {
        match input.read(byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(|read| read > 0),
        }
    }
}

/// Marks the error of a decoder, against that of the file under it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadData(io::Error);

impl BadData {
    pub(crate) fn wrap(error: io::Error) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, BadData(error))
    }

    pub(crate) fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<BadData>())
    }
}

/// A decoder whose own errors are [`BadData`].
struct Decoder {
    inner: Bytes,
    failed: Arc<AtomicBool>,
}

impl Decoder {
    fn new(compression: Compression, input: Bytes) -> Decoder {
        let failed = Arc::new(AtomicBool::new(false));
        let input = Watched { inner: input, failed: failed.clone() };
        let inner: Bytes = match compression {
            Compression::Gzip => Box::new(MultiGzDecoder::new(io::BufReader::new(input))),
            Compression::Xz => Box::new(XzReader::new(io::BufReader::new(input), true)),
            Compression::Zstd => Box::new(Frames::Between(Some(io::BufReader::new(input)))),
        };
        Decoder { inner, failed }
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| match self.failed.load(Ordering::Relaxed) {
            true => error,
            false => BadData::wrap(error),
        })
    }
}

/// Remembers that the file itself failed.
struct Watched {
    inner: Bytes,
    failed: Arc<AtomicBool>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                read => return read,
            }
        }
    }
}

type Buffered = io::BufReader<Watched>;

/// The frames of a zstd file, one behind the other.
enum Frames {
    Inside(Box<StreamingDecoder<Buffered, ruzstd::decoding::FrameDecoder>>),
    Between(Option<Buffered>),
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Frames::Between(None)) {
                Frames::Inside(mut decoder) => {
                    let read = decoder.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        *self = Frames::Inside(decoder);
                        return Ok(read);
                    }
                    *self = Frames::Between(Some(decoder.into_inner()));
                    if self.at_end()? {
                        return Ok(0);
                    }
                }
                Frames::Between(None) => return Ok(0),
                Frames::Between(Some(input)) => {
                    let decoder = StreamingDecoder::new(input).map_err(io::Error::other)?;
                    *self = Frames::Inside(Box::new(decoder));
                }
            }
        }
    }
}

impl Frames {
    /// Whether no frame follows.
    fn at_end(&mut self) -> io::Result<bool> {
        use io::BufRead;
        match self {
            Frames::Between(Some(input)) => Ok(input.fill_buf()?.is_empty()),
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pack(compression: Compression, data: &[u8]) -> Vec<u8> {
        match compression {
            Compression::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(data).expect("memory");
                encoder.finish().expect("memory")
            }
            Compression::Xz => {
                let options = lzma_rust2::XzOptions::with_preset(0);
                let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).expect("options");
                encoder.write_all(data).expect("memory");
                encoder.finish().expect("memory")
            }
            Compression::Zstd => {
                ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)
            }
        }
    }

    fn unpack(data: &[u8], path: &str) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompressed(Box::new(io::Cursor::new(data.to_vec())), Path::new(path))?
            .read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn all_compressions_come_back_also_in_two_parts() {
        let data = b"The grass is green.\n".repeat(9000);
        for compression in Compression::ALL {
            let mut packed = pack(compression, &data);
            packed.extend(pack(compression, b"end"));
            let out = unpack(&packed, "-").expect("sound data");
            assert!(out == [&data[..], b"end"].concat(), "{compression:?}");
        }
    }

    #[test]
    fn truncated_or_wrong_data_is_bad_data() {
        for compression in Compression::ALL {
            let packed = pack(compression, &b"The grass is green.\n".repeat(90));
            let path = format!("a.{}", compression.ending());
            for bad in [&packed[..packed.len() - 3], &packed[..8], b"plain text", b""] {
                let error = unpack(bad, &path).expect_err("bad data");
                assert!(BadData::is_in(&error), "{compression:?} {} {error}", bad.len());
            }
        }
    }

    #[test]
    fn a_failing_file_is_no_bad_data() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::TimedOut.into())
            }
        }
        for compression in Compression::ALL {
            let start = io::Cursor::new(compression.magic().to_vec());
            let mut input =
                decompressed(Box::new(start.chain(Broken)), Path::new("-")).expect("a start");
            let error = input.read(&mut [0; 9]).expect_err("broken");
            assert!(!BadData::is_in(&error), "{compression:?} {error}");
        }
    }

    #[test]
    fn plain_input_passes() {
        for text in ["", "plain", "\u{1f}x"] {
            assert_eq!(unpack(text.as_bytes(), "a.txt").ok().as_deref(), Some(text.as_bytes()));
        }
    }
}

use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

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

    /// What a file may start with.
    fn magics(self) -> &'static [&'static [u8]] {
        match self {
            Compression::Gzip => &[&[0x1F, 0x8B]],
            Compression::Xz => &[&[0xFD, b'7', b'z', b'X', b'Z', 0]],
            // A frame, or the skippable frame that parallel compressors put first.
            Compression::Zstd => &[&[0x28, 0xB5, 0x2F, 0xFD], &[0x50, 0x2A, 0x4D, 0x18]],
        }
    }

    /// Whether one of its magics passes the test.
    fn has_magic(self, test: impl Fn(&[u8]) -> bool) -> bool {
        self.magics().iter().any(|magic| test(magic))
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

/// Whether a file that starts so is compressed.
pub(super) fn begins(start: &[u8]) -> bool {
    Compression::ALL.iter().any(|kind| kind.has_magic(|magic| start.starts_with(magic)))
}

/// The content of `input`, decompressed if its first bytes or the ending of
/// `path` say that it is compressed.
///
/// Reading a truncated or damaged stream fails with [`BadData`].
pub(super) fn decompressed(mut input: Bytes, path: &Path) -> io::Result<Bytes> {
    let mut start = Vec::new();
    let mut found = None;
    while found.is_none()
        && Compression::ALL.iter().any(|kind| kind.has_magic(|magic| magic.starts_with(&start)))
    {
        let mut byte = [0];
        if !read_byte(&mut input, &mut byte)? {
            break;
        }
        start.push(byte[0]);
        found = Compression::ALL.into_iter().find(|kind| kind.has_magic(|magic| magic == start));
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
            Compression::Gzip => Box::new(Members(Some(GzDecoder::new(io::BufReader::new(input))))),
            Compression::Xz => Box::new(XzReader::new(io::BufReader::new(input), true)),
            Compression::Zstd => Box::new(Frames::new(io::BufReader::new(input))),
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

/// The members of a gzip file, one behind the other; zeros between and behind
/// them are padding.
struct Members(Option<GzDecoder<Buffered>>);

impl Read for Members {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let rest = self.0.take().map(GzDecoder::into_inner);
            self.0 = rest.map(next_member).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// The member behind the padding, if there is one.
fn next_member(mut input: Buffered) -> io::Result<Option<GzDecoder<Buffered>>> {
    loop {
        let ahead = input.fill_buf()?;
        let (len, zeros) = (ahead.len(), ahead.iter().take_while(|byte| **byte == 0).count());
        input.consume(zeros);
        if zeros < len {
            return Ok(Some(GzDecoder::new(input)));
        } else if len == 0 {
            return Ok(None);
        }
    }
}

/// The frames of a zstd file, one behind the other.
struct Frames {
    input: Buffered,
    decoder: FrameDecoder,
    /// Whether a frame was begun and is not yet read to its end.
    inside: bool,
    /// Whether a frame was seen: an empty file has none, and is damaged.
    begun: bool,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.inside {
                let read = self.read_frame(buffer)?;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
                self.end_frame()?;
            } else if self.begun && self.input.fill_buf()?.is_empty() {
                return Ok(0);
            } else {
                self.begin_frame()?;
            }
        }
    }
}

impl Frames {
    fn new(input: Buffered) -> Frames {
        Frames { input, decoder: FrameDecoder::new(), inside: false, begun: false }
    }

    /// Reads a frame's header, or skips a frame that holds no data.
    fn begin_frame(&mut self) -> io::Result<()> {
        self.begun = true;
        match self.decoder.init(&mut self.input) {
            Ok(()) => self.inside = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = u64::from(length);
                if io::copy(&mut (&mut self.input).take(length), &mut io::sink())? < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(())
    }

    fn read_frame(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            let one = BlockDecodingStrategy::UptoBlocks(1);
            self.decoder.decode_blocks(&mut self.input, one).map_err(io::Error::other)?;
        }
        self.decoder.read(buffer)
    }

    /// Compares the checksum, if the frame has one.
    fn end_frame(&mut self) -> io::Result<()> {
        self.inside = false;
        match self.decoder.get_checksum_from_data() {
            want @ Some(_) if want != self.decoder.get_calculated_checksum() => {
                Err(io::Error::other("the checksum of a frame does not match"))
            }
            _ => Ok(()),
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
    fn a_flipped_byte_of_a_zstd_frame_is_noticed() {
        let mut packed = pack(Compression::Zstd, b"The grass is green.");
        let at = packed.windows(5).position(|bytes| bytes == b"grass").expect("a raw block");
        packed[at] ^= 1;
        let error = unpack(&packed, "-").expect_err("a wrong checksum");
        assert!(BadData::is_in(&error) && error.to_string().contains("checksum"), "{error}");
    }

    #[test]
    fn skippable_zstd_frames_are_skipped() {
        let skippable = [&[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"any"].concat();
        let frame = pack(Compression::Zstd, b"grass");
        let packed = [&skippable[..], &frame, &skippable, &skippable, &frame, &skippable].concat();
        assert_eq!(unpack(&packed, "-").expect("sound data"), b"grassgrass");
        for cut in [2, 5, 9] {
            let bad = unpack(&[&frame[..], &skippable[..cut]].concat(), "-");
            assert!(bad.is_err_and(|error| BadData::is_in(&error)), "{cut}");
        }
    }

    #[test]
    fn zeros_behind_a_gzip_member_are_padding() {
        let member = pack(Compression::Gzip, b"grass");
        let packed = [&member[..], &[0; 700], &member, &[0; 9]].concat();
        assert_eq!(unpack(&packed, "-").expect("sound data"), b"grassgrass");
        let garbage = [&member[..], &[0, 0, 7]].concat();
        assert!(unpack(&garbage, "-").is_err_and(|error| BadData::is_in(&error)));
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
            let start = io::Cursor::new(compression.magics()[0].to_vec());
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

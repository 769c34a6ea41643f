//! Helpers of the readers' tests, and tests of all formats at once.

use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::Source;

/// A reader that gives `size` bytes at a time.
pub(crate) struct Dribble {
    pub bytes: Vec<u8>,
    pub at: usize,
    pub size: usize,
}

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.size.min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

/// A reader that fails, put behind what has arrived: who asks for more than he
/// needs, fails.
pub(crate) struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::TimedOut.into())
    }
}

pub(crate) fn options(format: Format) -> ReadOptions {
    ReadOptions { format, ..ReadOptions::default() }
}

fn sentences(text: &[u8], options: &ReadOptions) -> Result<Vec<Sentence>> {
    let input = Box::new(io::Cursor::new(text.to_vec()));
    read(input, Path::new("sample"), 0, options)?.collect()
}

pub(crate) fn all(format: Format, text: &str) -> Vec<Sentence> {
    sentences(text.as_bytes(), &options(format)).expect("a good corpus")
}

pub(crate) fn with_columns(text: &str, columns: &[&str]) -> Result<Vec<Sentence>> {
    let columns = Some(columns.iter().map(|name| (*name).to_owned()).collect());
    sentences(text.as_bytes(), &ReadOptions { columns, ..options(Format::Conll) })
}

pub(crate) fn error(format: Format, text: &str) -> Error {
    sentences(text.as_bytes(), &options(format)).expect_err("a bad corpus")
}

/// The tokens of each sentence, with bars between them.
pub(crate) fn texts(sentences: &[Sentence]) -> Vec<String> {
    sentences.iter().map(|sentence| sentence.tokens().collect::<Vec<_>>().join("|")).collect()
}

const SAMPLES: [(Format, &str); 6] = [
    (Format::Text, "Zoë left. It's 10:30.\n\nNo."),
    (Format::Lines, "Zoë left.\r\n\nNo."),
    (Format::Tokens, "Zoë left .\n\nNo ."),
    (Format::Conll, "# a\nZoë\tB-PER\nleft\tO\n \t\n\n-DOCSTART-\n\nNo\tO"),
    (
        Format::Conllu,
        "# text = Zoë\n1\tZoë\t_\tX\t_\t_\t_\t_\t_\t_\n\n1-1\tNo\t_\t_\t_\t_\t_\t_\t_\t_\n1\tNo\t_\tX\t_\t_\t_\t_\t_\t_",
    ),
    (Format::Jsonl, "{\"text\":\"Zoë left. No.\",\"a\":1}\n\n{\"tokens\":[\"é\"]}"),
];

#[test]
fn chunks_do_not_matter_to_any_reader() {
    for (format, text) in SAMPLES {
        let whole = all(format, text);
        assert!(whole.len() >= 2, "{format}");
        for size in 1..8 {
            for bytes in [text.as_bytes().to_vec(), [b"\xEF\xBB\xBF", text.as_bytes()].concat()] {
                let marked = bytes.len() > text.len();
                let read = read(
                    Box::new(Dribble { bytes, at: 0, size }),
                    Path::new("sample"),
                    0,
                    &options(format),
                );
                let read: Vec<Sentence> = read.and_then(Iterator::collect).expect("a good corpus");
                match marked {
                    true => assert_eq!(texts(&read), texts(&whole), "{format} {size}"),
                    false => assert_eq!(read, whole, "{format} {size}"),
                }
            }
        }
    }
}

#[test]
fn the_format_is_told_by_the_content() {
    for (format, text) in SAMPLES {
        let input = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
        let read = read(input, Path::new("-"), 0, &ReadOptions::default()).expect("input");
        let want = match format {
            Format::Lines | Format::Tokens => Format::Text,
            format => format,
        };
        assert_eq!(read.format(), want);
    }
}

#[test]
fn bad_bytes_are_an_error_or_counted() {
    for (format, text) in SAMPLES {
        let mut bytes = text.replace("Zoë", "Zo#").into_bytes();
        let at = bytes.windows(3).position(|bytes| bytes == b"Zo#").expect("a name") + 2;
        bytes[at] = 0xEB;
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        match sentences(&bytes, &options(format)) {
            Err(Error::Utf8 { line: found, offset, byte: 0xEB, .. }) => {
                assert_eq!((found, offset), (line, at))
            }
            other => panic!("{format}: {other:?}"),
        }
        let lossy = ReadOptions { lossy: true, ..options(format) };
        let mut read =
            read(Box::new(io::Cursor::new(bytes)), Path::new("-"), 0, &lossy).expect("input");
        assert!(read.by_ref().all(|sentence| sentence.is_ok()), "{format}");
        assert!(read.warnings().lossy >= 1, "{format}");
    }
}

#[test]
fn the_iterator_ends_behind_an_error() {
    for (text, want) in [
        ("a\tO\n\nb\n\nc\tO\n", &[true, false][..]),
        ("a\tO\nb\n\nc\tO\n", &[false]),
        ("a\tO\n\n# c\nb\n", &[true, false]),
    ] {
        let input = Box::new(io::Cursor::new(text));
        let read = read(input, Path::new("-"), 0, &options(Format::Conll)).expect("input");
        let kinds: Vec<bool> = read.map(|sentence| sentence.is_ok()).collect();
        assert_eq!(kinds, want, "{text}");
    }
}

#[test]
fn files_are_opened_and_decompressed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.tsv.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut encoder, b"a\tO\n").expect("memory");
    let bytes = encoder.finish().expect("memory");
    std::fs::write(&path, &bytes).expect("a file");
    let mut read = open(&path, 3, &ReadOptions::default()).expect("a file");
    assert_eq!(read.format(), Format::Conll);
    assert!(
        read.next().is_some_and(|sentence| sentence.is_ok_and(|sentence| sentence.document() == 3))
    );
    std::fs::write(&path, &bytes[..bytes.len() - 4]).expect("a file");
    let cut: Result<Vec<_>> = open(&path, 0, &ReadOptions::default()).and_then(Iterator::collect);
    assert!(matches!(cut, Err(Error::Compressed { .. })), "{cut:?}");
    let missing = open(&folder.path().join("b"), 0, &ReadOptions::default()).err();
    assert!(missing.is_some_and(|error| error.is_io()));
}

#[test]
fn the_samples_are_read_and_written_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpora");
    for (name, format, count, tokens) in [
        ("news.txt", Format::Text, 7, 92),
        ("sentences.lines", Format::Lines, 4, 28),
        ("sentences.tokens", Format::Tokens, 4, 31),
        ("people.conll", Format::Conll, 3, 24),
        ("harbour.conllu", Format::Conllu, 3, 21),
        ("mixed.jsonl", Format::Jsonl, 4, 23),
    ] {
        let read = open(&folder.join(name), 0, &ReadOptions::default()).expect("a sample");
        assert_eq!(read.format(), format);
        let sentences: Vec<Sentence> = read.collect::<Result<_>>().expect("a good sample");
        let found = sentences.iter().map(Sentence::len).sum::<usize>();
        assert_eq!((sentences.len(), found), (count, tokens), "{name} {:#?}", texts(&sentences));
        let raw = sentences.iter().filter_map(|sentence| match sentence.source() {
            Source::Rows(rows) => Some(rows.raw()),
            _ => None,
        });
        let (raw, text) = (
            raw.collect::<String>(),
            std::fs::read_to_string(folder.join(name)).expect("a sample"),
        );
        assert!(raw.is_empty() || raw == text, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_input_is_read_or_refused(
        text in r#"([0-9]{1,2}([-.][0-9]{1,2})?\tx(\t_){8}\r?\n|\{"t(ext|okens)": ?(\["a"\]|"b. C")\}\n|# text = x\n|a[ \t]O\n| ?\n|-DOCSTART-\n){0,8}"#,
        cut in 0..40usize,
        byte in any::<u8>(),
    ) {
        let mut bytes = text.into_bytes();
        if let Some(place) = bytes.get_mut(cut) {
            *place = byte;
        }
        for &format in Format::ALL {
            let lossy = ReadOptions { lossy: true, ..options(format) };
            for sentence in sentences(&bytes, &lossy).unwrap_or_default() {
                for output in OutputFormat::ALL {
                    let mut writer = writer(*output, Box::new(io::sink()), WriteOptions::default());
                    prop_assert!(writer.write(&sentence).is_ok());
                }
                prop_assert_eq!(sentence.token_positions().len(), sentence.len());
            }
        }
    }
}

#[test]
fn rows_that_cannot_be_are_passed_over_if_asked_for() {
    let read = |format, text: &str| {
        let options = ReadOptions { format, ..ReadOptions::default() };
        let input = Box::new(io::Cursor::new(text.to_owned().into_bytes()));
        let mut sentences = read(input, Path::new("f"), 0, &options).unwrap().skipping_broken();
        let words = |sentence: Sentence| sentence.tokens().collect::<Vec<_>>().join(" ");
        let found: Vec<String> = sentences.by_ref().map(|s| words(s.unwrap())).collect();
        let broken: Vec<String> = sentences.broken().iter().map(Error::to_string).collect();
        assert!(sentences.broken().is_empty(), "each is told once");
        (found, broken)
    };
    let (found, broken) = read(Format::Conll, "a\tX\nb\n\nc\tY\td\ne\tX\n");
    assert_eq!(found, ["a", "e"]);
    let want = ["f:2: expected 2 columns, found 1", "f:4: expected 2 columns, found 3"];
    assert_eq!(broken, want);

    let row = |id: &str, form: &str| format!("{id}\t{form}{}\n", "\t_".repeat(8));
    let text = [row("1", "a"), row("3", "b"), row("4", "c"), "\n".into(), row("1", "d")].concat();
    let (found, broken) = read(Format::Conllu, &text);
    assert_eq!(found, ["a", "d"]);
    assert!(broken.len() == 1 && broken[0].starts_with("f:2: id \"3\""), "{broken:?}");
    let (found, broken) = read(Format::Conllu, &[row("1-2", "ab"), row("1", "a")].concat());
    assert_eq!((found.len(), broken.len()), (1, 1), "{broken:?}");

    let json = "{\"tokens\": [\"a\"]}\n{\"tokens\": 3}\n{]\n{\"tokens\": [\"b\"]}\n";
    let (found, broken) = read(Format::Jsonl, json);
    assert_eq!(found, ["a", "b"]);
    assert!(broken[0].starts_with("f:2: ") && broken[1].starts_with("f:3: "), "{broken:?}");

    let endless = "a\tX\n".to_owned() + &"b\n".repeat(20_000);
    let input = Box::new(io::Cursor::new(endless.into_bytes()));
    let options = ReadOptions { format: Format::Conll, ..ReadOptions::default() };
    let mut sentences = super::read(input, Path::new("f"), 0, &options).unwrap().skipping_broken();
    assert!(sentences.any(|sentence| sentence.is_err()), "too much is too much");
    assert_eq!(sentences.broken().len(), 10_000);
}

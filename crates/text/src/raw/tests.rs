use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::Error;

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).expect("file");
    }
    folder
}

fn options(split_chars: usize, seed: Option<u64>) -> TextOptions {
    let held_out = seed.map(|seed| HeldOut { seed, max_chars: 100_000 });
    TextOptions { split_chars, held_out }
}

/// Lines of many lengths.
fn lines(n_lines: usize) -> String {
    (0..n_lines).map(|i| format!("line {i} é{}\n", "中 x".repeat(i * 7 % 30))).collect()
}

fn scan(path: &Path, split_chars: usize, seed: Option<u64>) -> RawText {
    RawText::scan(path, &options(split_chars, seed)).expect("text")
}

fn read_all(text: &RawText) -> Vec<Vec<String>> {
    let mut reader = text.reader();
    (0..text.splits().len()).map(|split| reader.read(split).expect("split")).collect()
}

fn whole(path: &Path) -> Vec<String> {
    documents(path).expect("files").map(|document| document.expect("text").text).collect()
}

#[test]
fn splits_and_held_out_part_hold_every_document_once() {
    let [a, b] = [lines(700), lines(300)];
    let folder = folder(&[("a.txt", a.as_bytes()), ("b.txt", b.as_bytes()), ("c.txt", b"")]);
    for seed in [None, Some(1), Some(2)] {
        let text = scan(folder.path(), 3000, seed);
        assert_eq!(text.held_out().is_empty(), seed.is_none());
        let splits = read_all(&text);
        let mut held = text.held_out().iter().peekable();
        let mut rest = splits.iter().flatten().peekable();
        for document in whole(folder.path()) {
            let found = held.next_if_eq(&&document).or_else(|| rest.next_if_eq(&&document));
            assert!(found.is_some(), "{document:?} is missing");
        }
        assert!(held.next().is_none() && rest.next().is_none());

        let mut counts = BTreeMap::new();
        for char in splits.iter().flatten().flat_map(|document| document.chars()) {
            *counts.entry(char).or_default() += 1;
        }
        assert_eq!(text.counts(), &counts);
        assert_eq!(text.n_chars(), counts.values().sum::<usize>());
    }
}

#[test]
fn splits_are_as_announced() {
    let [a, b] = [lines(200), lines(150)];
    let folder = folder(&[("a.txt", a.as_bytes()), ("b.txt", b.as_bytes())]);
    let text = scan(folder.path(), 3000, None);
    for (split, documents) in text.splits().iter().zip(read_all(&text)) {
        assert_eq!(split.n_documents, documents.len());
        let n_chars: usize = documents.iter().map(|document| document.chars().count()).sum();
        assert_eq!(split.n_chars, n_chars);
        assert!((750..4000).contains(&n_chars), "{n_chars}");
    }
    let files: Vec<_> = text.splits().iter().map(|split| split.first_file).collect();
    assert!(files.is_sorted() && files.first() == Some(&0) && files.last() == Some(&1));
    let across = |documents: &Vec<String>| {
        documents.iter().any(|line| line.starts_with("line 199 "))
            && documents.iter().any(|line| line.starts_with("line 0 "))
    };
    assert!(read_all(&text).iter().any(across), "no split lies across the files");
}

#[test]
fn splits_are_read_in_any_order() {
    let folder = folder(&[("a.txt", lines(500).as_bytes())]);
    let text = scan(folder.path(), 1500, Some(3));
    let forward = read_all(&text);
    assert!(forward.len() > 5);
    let mut reader = text.reader();
    for split in (0..forward.len()).rev().chain([2, 2, 5, 1]) {
        assert_eq!(reader.read(split).expect("split"), forward[split]);
    }
}

#[test]
fn seeds_hold_out_different_parts() {
    let folder = folder(&[("a.txt", lines(1000).as_bytes())]);
    let [one, same, other] = [1, 1, 2].map(|seed| scan(folder.path(), 3000, Some(seed)));
    assert_eq!((one.held_out(), one.fingerprint()), (same.held_out(), same.fingerprint()));
    assert_ne!(one.held_out(), other.held_out());
    assert_ne!(one.fingerprint(), other.fingerprint());
}

#[test]
fn the_fingerprint_is_of_text_and_splits() {
    let sha = |files: &[(&str, &[u8])], split_chars| {
        scan(folder(files).path(), split_chars, None).fingerprint().to_owned()
    };
    let one = sha(&[("a.txt", b"one\ntwo\n"), ("b.txt", b"three\n")], 4);
    assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(one, sha(&[("c.txt", b"one\r\n\r\ntwo\r\n"), ("d.txt", b"three")], 4));
    // Files are shuffled, so it matters where they end.
    assert_ne!(one, sha(&[("c.txt", b"one\ntwo\nthree")], 4));
    assert_ne!(one, sha(&[("a.txt", b"one\ntwo\nthree\n")], 5));
    assert_ne!(one, sha(&[("a.txt", b"one\ntwo\nthree!\n")], 4));
    assert_ne!(one, sha(&[("a.txt", b"two\none\nthree\n")], 4));
}

#[test]
fn compressed_text_is_as_plain_text() {
    let content = lines(400);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(content.as_bytes()).expect("memory");
    let xz_options = lzma_rust2::XzOptions::with_preset(0);
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), xz_options).expect("options");
    xz.write_all(content.as_bytes()).expect("memory");
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let packed = [
        ("a.txt.gz", gzip.finish().expect("memory")),
        ("a.txt.xz", xz.finish().expect("memory")),
        ("a.txt.zst", ruzstd::encoding::compress_to_vec(content.as_bytes(), level)),
    ];
    let plain = folder(&[("a.txt", content.as_bytes())]);
    let plain = scan(plain.path(), 2000, Some(1));
    for (name, packed) in packed {
        let folder = folder(&[(name, &packed)]);
        let text = scan(folder.path(), 2000, Some(1));
        assert_eq!(text.fingerprint(), plain.fingerprint(), "{name}");
        assert_eq!(read_all(&text), read_all(&plain), "{name}");
    }
}

#[test]
fn a_text_that_is_one_long_line_is_shared_out() {
    let content = "word ".repeat(200_000);
    let folder = folder(&[("a.txt", content.as_bytes())]);
    let text = scan(folder.path(), 100_000, None);
    assert!(text.splits().len() >= 5);
    assert_eq!(read_all(&text).concat().concat(), format!("{content}\n"));
    let text = scan(folder.path(), 100_000, Some(1));
    let held: usize = text.held_out().iter().map(|document| document.len()).sum();
    assert_eq!((text.held_out().len(), held + text.n_chars()), (1, content.len() + 1));
}

#[test]
fn a_few_long_documents_are_enough_to_hold_one_out() {
    let content = format!("{0}\n{0}\n{0}\n", "x".repeat(500));
    let folder = folder(&[("a.txt", content.as_bytes())]);
    for seed in 0..30 {
        let text = scan(folder.path(), 100, Some(seed));
        assert_eq!((text.held_out().len(), text.n_chars()), (1, 1002), "{seed}");
        assert_eq!(read_all(&text).concat().len(), 2);
    }
}

#[test]
fn no_more_characters_are_held_out_than_asked_for() {
    let folder = folder(&[("a.txt", lines(3000).as_bytes())]);
    for (max_chars, least) in [(2000, 500), (500, 1), (0, 1)] {
        let held_out = Some(HeldOut { seed: 5, max_chars });
        let options = TextOptions { split_chars: 10_000, held_out };
        let text = RawText::scan(folder.path(), &options).expect("text");
        let held: usize = text.held_out().iter().map(|line| line.chars().count()).sum();
        assert!(held >= least && (held <= max_chars || text.held_out().len() == 1), "{held}");
    }
}

#[test]
fn too_little_text_to_hold_out_asks_for_a_file() {
    let long = "x".repeat(1000);
    let uneven = format!("ab\n{}\n", "x".repeat(1000));
    for content in ["one\ntwo\n", &long, &uneven] {
        let folder = folder(&[("a.txt", content.as_bytes())]);
        let error = RawText::scan(folder.path(), &options(100, Some(1))).expect_err("too short");
        assert!(matches!(error, Error::TooShort { .. }) && error.is_usage(), "{error:?}");
        assert!(error.to_string().contains("name a development file"), "{error}");
        assert!(RawText::scan(folder.path(), &options(100, None)).is_ok());
    }
}

#[test]
fn no_text_is_an_error_that_names_the_path() {
    let folder = folder(&[("a.txt", b""), ("b.txt", b"\n\r\n")]);
    for seed in [None, Some(1)] {
        let error = RawText::scan(folder.path(), &options(100, seed)).expect_err("no text");
        assert!(matches!(&error, Error::NoText { path, .. } if path == folder.path()));
        assert!(!error.is_usage() && !error.is_io());
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_twice_is_refused() {
    let error = RawText::scan(Path::new("/dev/null"), &options(9, None)).expect_err("a device");
    assert!(error.to_string().contains("several times"), "{error}");
}

#[test]
fn a_changed_file_is_refused_by_name() {
    let (a, b) = (lines(300), lines(300));
    let longer = format!("{b}more\n");
    let other = b.replacen("line 299", "line 298", 1);
    let shorter = lines(299);
    for changed in [&longer, &other, &shorter, ""] {
        let folder = folder(&[("a.txt", a.as_bytes()), ("b.txt", b.as_bytes())]);
        let text = scan(folder.path(), 3000, None);
        let mut reader = text.reader();
        let first = reader.read(0).expect("unchanged");
        fs::write(folder.path().join("b.txt"), changed).expect("file");
        let error = reader.read(text.splits().len() - 1).expect_err("changed");
        assert!(matches!(&error, Error::Changed { path } if path.ends_with("b.txt")), "{error:?}");
        assert!(!error.is_io() && !error.is_usage());
        assert_eq!(reader.read(0).expect("as before"), first);
    }
}

#[test]
fn a_file_that_is_gone_is_refused() {
    let folder = folder(&[("a.txt", b"one\n")]);
    let text = scan(folder.path(), 10, None);
    fs::remove_file(folder.path().join("a.txt")).expect("file");
    assert!(text.reader().read(0).is_err_and(|error| error.is_io()));
}

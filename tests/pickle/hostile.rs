//! Damaged and hostile files: an error or a value, never a panic.

use std::io::{Cursor, Write};

use glossator_pickle::{Checkpoint, Error, Kind, Limits, Pickle};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::walk::{fixture, walk};

#[test]
fn a_file_cut_anywhere_is_an_error_or_what_was_whole() {
    for name in ["archive.pt", "stream.pt", "big-endian.pt", "protocol-0.pkl", "protocol-5.pkl"] {
        let bytes = fixture(name);
        for len in 0..bytes.len() {
            let cut = Checkpoint::from_bytes(bytes[..len].to_vec());
            assert!(cut.is_err(), "{name} of {len} bytes");
        }
    }
}

#[test]
fn names_that_are_repeated_are_stored_once() {
    // Two texts of 64 kB that ten thousand classes are called by.
    let mut bytes = Vec::new();
    for number in 0..2 {
        bytes.push(b'X');
        bytes.extend(65536_u32.to_le_bytes());
        bytes.extend([b'm'; 65536]);
        bytes.extend([b'q', number]);
    }
    bytes.push(b'(');
    bytes.extend(b"h\x00h\x01\x93".repeat(10_000));
    bytes.extend(b"l.");
    let pickle = Pickle::read(&bytes[..]).expect("a list of classes");
    let mut names = pickle.root().items().map(|class| match class.kind() {
        Kind::Global { module, name } => (module.as_ptr(), name.as_ptr()),
        other => panic!("{other:?}"),
    });
    let first = names.next().expect("classes");
    assert_eq!(names.len(), 9_999);
    assert!(names.all(|names| names == first), "a name was copied");
}

/// An archive with this pickle and a storage of 16 bytes.
fn archive(pickle: &[u8]) -> Checkpoint {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [("x/data.pkl", pickle), ("x/data/0", &[0x3f; 16])] {
        archive.start_file(name, options).expect("a name");
        archive.write_all(bytes).expect("written");
    }
    let bytes = archive.finish().expect("an archive").into_inner();
    Checkpoint::from_bytes(bytes).expect("a checkpoint")
}

/// The pickle of a tensor of that storage: its offset, shape and strides.
fn tensor(offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let number = |number: &i64| [&b"\x8a\x08"[..], &number.to_le_bytes()].concat();
    let tuple = |numbers: &[i64]| {
        [&b"("[..], &numbers.iter().flat_map(number).collect::<Vec<u8>>(), b"t"].concat()
    };
    let head = b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04tQ";
    let parts = [&head[..], &number(&offset), &tuple(shape), &tuple(strides), b"\x89NtR."];
    parts.concat()
}

#[test]
fn an_empty_tensor_may_have_axes_of_any_length() {
    let far = 1 << 62;
    let checkpoint = archive(&tensor(0, &[0, far, far], &[0, far, 1]));
    let tensor = checkpoint.tensor(checkpoint.root()).expect("sound").expect("a tensor");
    assert!(checkpoint.read_f32(&tensor).expect("no values").is_empty());
}

#[test]
fn a_tensor_beyond_its_storage_is_refused() {
    let found = |offset, shape: &[i64], strides: &[i64]| {
        let checkpoint = archive(&tensor(offset, shape, strides));
        let tensor = checkpoint.tensor(checkpoint.root());
        tensor.map(|tensor| tensor.expect("a tensor").shape.len())
    };
    for (offset, shape, strides) in
        [(0, &[4][..], &[1][..]), (3, &[1], &[9]), (3, &[], &[]), (0, &[2, 2], &[1, 2])]
    {
        assert_eq!(found(offset, shape, strides).expect("it fits"), shape.len());
    }
    for (offset, shape, strides) in [
        (0, &[5][..], &[1][..]),
        (1, &[4], &[1]),
        (4, &[], &[]),
        (-1, &[1], &[1]),
        (0, &[-1], &[1]),
        (0, &[2], &[-1]),
        (0, &[2], &[4]),
        (0, &[2, 2], &[1]),
        (0, &[i64::MAX, i64::MAX], &[1, 1]),
        (0, &[3], &[i64::MAX]),
        (i64::MAX, &[2], &[1]),
        (0, &[1 << 40], &[0]),
    ] {
        let error = found(offset, shape, strides).expect_err("it does not fit");
        assert!(matches!(error, Error::Checkpoint { .. }), "{shape:?}: {error}");
    }
}

#[test]
fn a_count_that_lies_is_refused() {
    let bytes = fixture("stream.pt");
    // The first storage holds six numbers, behind the last pickle.
    let place = bytes.windows(16).rposition(|part| part == b"\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let place = place.expect("a count, and the first number");
    for count in [u64::MAX, i64::MAX as u64, 1 << 61, 1 << 40, 10_000] {
        let mut bytes = bytes.clone();
        bytes[place..place + 8].copy_from_slice(&count.to_le_bytes());
        let error = Checkpoint::from_bytes(bytes).expect_err("it has no such storage");
        assert!(error.to_string().contains("in the middle of storage"), "{count}: {error}");
    }
}

#[test]
fn an_archive_that_lies_of_sizes_and_places_is_an_error_or_a_value() {
    let bytes = fixture("archive.pt");
    let starts: Vec<usize> =
        (0..bytes.len() - 46).filter(|at| bytes[*at..].starts_with(b"PK\x01\x02")).collect();
    assert!(starts.len() > 10);
    // Sizes and the place of an entry, as the list of entries tells them.
    for (start, field) in starts.iter().flat_map(|start| [20, 24, 42].map(|field| (start, field))) {
        for lie in [0, 1, 64, u32::MAX - 1, 0x7fff_ffff] {
            let mut bytes = bytes.clone();
            bytes[start + field..start + field + 4].copy_from_slice(&lie.to_le_bytes());
            if let Ok(checkpoint) = Checkpoint::from_bytes(bytes) {
                walk(&checkpoint);
            }
        }
    }
}

#[test]
fn a_file_changed_anywhere_is_an_error_or_a_value() {
    let mut seed = 1_u32;
    let mut random = move |limit: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % limit
    };
    let files = [
        "archive.pt",
        "archive-protocol-4.pt",
        "stream.pt",
        "big-endian.pt",
        "zip64.pt",
        "protocol-0.pkl",
        "protocol-2.pkl",
        "protocol-5.pkl",
        "arrays-2.pkl",
        "arrays-5.pkl",
    ];
    let mut sound = 0;
    for bytes in files.map(fixture) {
        for _ in 0..300 {
            let mut bytes = bytes.clone();
            for _ in 0..=random(3) {
                let place = random(bytes.len());
                bytes[place] = random(256) as u8;
            }
            if let Ok(checkpoint) = Checkpoint::from_bytes(bytes) {
                walk(&checkpoint);
                sound += 1;
            }
        }
    }
    assert!((300..2_900).contains(&sound), "{sound} of 3,000 can be read: the changes miss");
}

#[test]
fn a_pickle_beyond_a_limit_is_refused() {
    let limits = Limits { bytes: 20, values: 4, stack: 3, memo: 2 };
    let read = |bytes: &[u8]| Pickle::read_within(bytes, &limits);
    for (bytes, what) in [
        (&b"U\x11aaaaaaaaaaaaaaaaa."[..], None),
        (b"U\x12aaaaaaaaaaaaaaaaaa.", Some("20 bytes")),
        (b"N0N0N0N.", None),
        (b"N0N0N0N0N.", Some("4 values")),
        (b"N22\x87.", None),
        (b"N222\x87.", Some("3 open values")),
        (b"N(((111.", None),
        (b"N((((1111.", Some("3 open marks")),
        (b"Nq\x00q\x01.", None),
        (b"Nq\x00q\x01q\x02.", Some("2 values to refer to")),
    ] {
        match (read(bytes), what) {
            (Ok(_), None) => {}
            (Err(Error::Pickle { problem, .. }), Some(what)) => {
                assert_eq!(problem, format!("it has more than {what}, the limit"));
            }
            (other, _) => panic!("{bytes:?}: {other:?}"),
        }
    }
}

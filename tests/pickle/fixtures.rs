//! Files of Python and PyTorch are read as they were meant.

use glossator_pickle::{Checkpoint, Error, Kind, Value};
use serde_json::{Map, Value as Json, json};

use crate::walk::{fixture, walk};

fn expected(part: &str) -> Json {
    let all: Json = serde_json::from_slice(&fixture("expected.json")).expect("JSON");
    all[part].clone()
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::from_bytes(fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A value as the script of the fixtures describes it. What had no instruction of
/// its own when a version of pickles was made is a call there.
fn describe(value: Value<'_>) -> Json {
    let all = |value: Value<'_>| value.items().map(describe).collect::<Vec<_>>();
    let dict = |value: Value<'_>| {
        let entries = value.entries().map(|(key, of)| json!([describe(key), describe(of)]));
        json!({ "dict": entries.collect::<Vec<_>>() })
    };
    let set = |value: Value<'_>| {
        let mut items = all(value);
        items.sort_by_key(Json::to_string);
        json!({ "set": items })
    };
    let bytes = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    match value.kind() {
        Kind::None => Json::Null,
        Kind::Bool(value) => value.into(),
        Kind::Int(value) => value.into(),
        Kind::BigInt(bytes) => json!({ "large": decimal(bytes) }),
        Kind::Float(value) => value.into(),
        Kind::Str(text) => text.into(),
        Kind::Bytes(value) => bytes(value),
        Kind::List => json!({ "list": all(value) }),
        Kind::Tuple => json!({ "tuple": all(value) }),
        Kind::Dict => dict(value),
        Kind::Set => set(value),
        Kind::Object => {
            let argument = value.args().and_then(|args| args.items().next());
            match (value.class().expect("a class").1, argument) {
                ("set" | "frozenset", Some(items)) => set(items),
                ("encode" | "bytes", _) => bytes(&value.to_bytes().expect("bytes")),
                ("bytearray", Some(of)) => bytes(&of.to_bytes().expect("bytes")),
                _ => dict(value),
            }
        }
        other => panic!("{other:?} is no plain data"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The decimal form of little-endian bytes in two's complement.
fn decimal(bytes: &[u8]) -> String {
    let is_negative = bytes.last().is_some_and(|last| *last >= 0x80);
    let mut carry = u16::from(is_negative);
    let mut rest: Vec<u8> = bytes
        .iter()
        .map(|byte| {
            let digit = u16::from(if is_negative { !byte } else { *byte }) + carry;
            carry = digit >> 8;
            digit as u8
        })
        .collect();
    let mut digits = Vec::new();
    while rest.iter().any(|byte| *byte != 0) {
        let over = rest.iter_mut().rev().fold(0, |over, byte| {
            let of = over * 256 + u32::from(*byte);
            *byte = (of / 10) as u8;
            of % 10
        });
        digits.push(char::from(b'0' + over as u8));
    }
    digits.extend(is_negative.then_some('-'));
    digits.iter().rev().collect()
}

#[test]
fn every_version_of_pickles_says_the_same() {
    let want = expected("plain");
    for protocol in 0..=5 {
        let file = open(&format!("protocol-{protocol}.pkl"));
        let plain = file.root().get("plain").expect("it was saved");
        for (key, value) in plain.entries() {
            let key = key.as_str().expect("a name");
            let want = want["dict"].as_array().expect("entries").iter();
            let want = want.clone().find(|entry| entry[0] == key).expect("it is described");
            assert_eq!(describe(value), want[1], "version {protocol}, {key}");
        }
        assert_eq!(Some(plain.entries().len()), want["dict"].as_array().map(Vec::len));
    }
}

#[test]
fn what_is_shared_is_one_value_in_every_version() {
    for protocol in 0..=5 {
        let file = open(&format!("protocol-{protocol}.pkl"));
        let shared = file.root().get("plain").and_then(|plain| plain.get("shared"));
        let ids: Vec<u32> = shared.expect("it was saved").items().map(Value::id).collect();
        assert_eq!(ids[0], ids[1], "version {protocol}");
        let own = file.root().get("holds_itself").expect("it was saved");
        assert_eq!(own.items().last().map(Value::id), Some(own.id()), "version {protocol}");
    }
}

#[test]
fn objects_of_classes_are_names_and_attributes_in_every_version() {
    for protocol in 0..=5 {
        let file = open(&format!("protocol-{protocol}.pkl"));
        let objects: Vec<Value<'_>> =
            file.root().get("classes").expect("classes").items().collect();
        let has_slots = protocol >= 2;
        assert_eq!(objects.len(), if has_slots { 4 } else { 3 });
        let sides = objects[objects.len() - 3];
        assert_eq!(sides.get("left").map(Value::kind), Some(Kind::Int(2)), "version {protocol}");
        assert_eq!(sides.get("right").map(Value::kind), Some(Kind::Str("s")), "version {protocol}");
        if has_slots {
            assert_eq!(sides.class(), Some(("fixtures", "Sides")));
            assert_eq!(objects[0].class(), Some(("fixtures", "Slots")));
            assert_eq!(
                objects[0].get("left").map(Value::kind),
                Some(Kind::Int(1)),
                "version {protocol}"
            );
            assert_eq!(
                objects[0].get("right").map(Value::kind),
                Some(Kind::Str("r")),
                "version {protocol}"
            );
        }
        // A number of two parts is a call with both.
        let complex = objects[objects.len() - 1].args().expect("arguments").items();
        assert_eq!(complex.filter_map(Value::as_f64).collect::<Vec<_>>(), [1.0, 2.0]);
    }
}

fn assert_tensors(file: &str, want: &Map<String, Json>, names: &[&str]) {
    let checkpoint = open(file);
    for name in names {
        let value = checkpoint.root().get(name).unwrap_or_else(|| panic!("{file}: no {name}"));
        let tensor = checkpoint.tensor(value).unwrap_or_else(|e| panic!("{file}, {name}: {e}"));
        let tensor = tensor.unwrap_or_else(|| panic!("{file}: {name} is no tensor"));
        let values = checkpoint.read_f32(&tensor).unwrap_or_else(|e| panic!("{file}, {name}: {e}"));
        let found = json!({ "shape": tensor.shape, "values": values });
        assert_eq!(found, want[*name], "{file}, {name}");
    }
}

#[test]
fn tensors_of_every_type_and_stride_are_read_from_every_container() {
    let want = expected("tensors");
    let want = want.as_object().expect("tensors by name");
    let all: Vec<&str> = want.keys().map(String::as_str).collect();
    for file in
        ["archive.pt", "archive-protocol-4.pt", "stream.pt", "stream-big-endian.pt", "zip64.pt"]
    {
        assert_tensors(file, want, &all);
    }
    let whole = [
        "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
        "bool", "negative", "rows",
    ];
    assert_tensors("big-endian.pt", want, &whole);
}

#[test]
fn arrays_of_every_type_and_order_are_read() {
    let want = expected("arrays");
    let want = want.as_object().expect("arrays by name");
    for protocol in [2, 4, 5] {
        let file = open(&format!("arrays-{protocol}.pkl"));
        for (name, want) in want {
            let value = file.root().get(name).expect("it was saved");
            let array = file.array(value).unwrap_or_else(|e| panic!("{protocol}, {name}: {e}"));
            let array = array.unwrap_or_else(|| panic!("{protocol}: {name} is no array"));
            let found = json!({ "shape": array.shape, "values": array.values });
            assert_eq!(&found, want, "version {protocol}, {name}");
        }
    }
}

#[test]
fn a_file_on_disk_is_read_as_one_in_memory() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), fixture("archive.pt")).expect("written");
    let checkpoint = Checkpoint::open(file.path()).expect("a checkpoint");
    assert_eq!(walk(&checkpoint), walk(&open("archive.pt")));
    let tensor = checkpoint.root().get("transposed").map(|value| checkpoint.tensor(value));
    let tensor = tensor.expect("it was saved").expect("sound").expect("a tensor");
    assert_eq!((&tensor.shape[..], &tensor.strides[..]), (&[6, 4][..], &[1, 6][..]));
    assert_eq!(checkpoint.read_f32(&tensor).expect("values")[..3], [0.0, 6.0, 12.0]);
}

#[test]
fn a_compressed_archive_is_refused_with_the_way_out() {
    let error = Checkpoint::from_bytes(fixture("deflated.pt")).expect_err("it is compressed");
    assert!(matches!(error, Error::Checkpoint { .. }));
    assert!(error.to_string().contains("is compressed; pack it without"), "{error}");
}

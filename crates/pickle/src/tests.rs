use std::io::Cursor;

use crate::{Checkpoint, Error, Item, Kind, Pickle, Value, write_checkpoint};

fn read(bytes: &[u8]) -> Result<Pickle, Error> {
    Pickle::read(bytes)
}

fn kinds(value: Value<'_>) -> Vec<String> {
    value.items().map(|item| item.summary()).collect()
}

#[test]
fn every_instruction_builds_its_value() {
    for (bytes, want) in [
        (&b"N."[..], "nothing"),
        (b"\x88.", "true"),
        (b"I01\n.", "true"),
        (b"I00\n.", "false"),
        (b"I-7\n.", "-7"),
        (b"L-70L\n.", "-70"),
        (b"F1.5\n.", "1.5"),
        (b"K\xff.", "255"),
        (b"M\x01\x02.", "513"),
        (b"J\xfe\xff\xff\xff.", "-2"),
        (b"\x8a\x02\x00\x80.", "-32768"),
        (b"\x8b\x01\x00\x00\x00\x05.", "5"),
        (b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.", "a large number"),
        (b"G\x3f\xf8\x00\x00\x00\x00\x00\x00.", "1.5"),
        (b"S'a\\x62\\n'\n.", "\"ab\\n\""),
        (b"S\"\\xff\"\n.", "1 bytes"),
        (b"V\\u00e9x\n.", "\"éx\""),
        (b"X\x02\x00\x00\x00\xc3\xa9.", "\"é\""),
        (b"\x8c\x01a.", "\"a\""),
        (b"\x8d\x01\x00\x00\x00\x00\x00\x00\x00a.", "\"a\""),
        (b"U\x02ab.", "\"ab\""),
        (b"T\x01\x00\x00\x00\xff.", "1 bytes"),
        (b"C\x02ab.", "2 bytes"),
        (b"B\x01\x00\x00\x00a.", "1 bytes"),
        (b"\x8e\x01\x00\x00\x00\x00\x00\x00\x00a.", "1 bytes"),
        (b"\x96\x01\x00\x00\x00\x00\x00\x00\x00a.", "1 bytes"),
        (b"(K\x01K\x02l.", "a list of 2"),
        (b"]K\x01a(K\x02K\x03e.", "a list of 3"),
        (b"(K\x01t.", "a tuple of 1"),
        (b").", "a tuple of 0"),
        (b"K\x01\x85.", "a tuple of 1"),
        (b"K\x01K\x02\x86.", "a tuple of 2"),
        (b"K\x01K\x02K\x03\x87.", "a tuple of 3"),
        (b"(U\x01aK\x01d.", "a dictionary of 1 (a)"),
        (b"}U\x01aK\x01s(U\x01bK\x02u.", "a dictionary of 2 (a, b)"),
        (b"\x8f(K\x01K\x02\x90.", "a set of 2"),
        (b"(K\x01\x91.", "a set of 1"),
        (b"cos\nsystem\n.", "os.system"),
        (b"U\x02osU\x06system\x93.", "os.system"),
        (b"\x82\x05.", "copyreg.extension 5"),
        (b"\x83\x05\x00.", "copyreg.extension 5"),
        (b"\x84\x05\x00\x00\x00.", "copyreg.extension 5"),
        (b"cos\nsystem\n(U\x02lstR.", "an object of os.system"),
        (b"(U\x02lsios\nsystem\n.", "an object of os.system"),
        (b"(cos\nsystem\nU\x02lso.", "an object of os.system"),
        (b"cos\nsystem\n)\x81.", "an object of os.system"),
        (b"cos\nsystem\n)}\x92.", "an object of os.system"),
        (b"cos\nsystem\n)R}b.", "an object of os.system"),
        (b"Pabc\n.", "something kept elsewhere"),
        (b"U\x01aQ.", "something kept elsewhere"),
        (b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00K\x01.", "1"),
        (b"K\x01K\x020.", "1"),
        (b"K\x01(K\x02K\x031.", "1"),
        (b"K\x01(0.", "1"),
        (b"K\x012\x86.", "a tuple of 2"),
        (b"K\x01p5\n0g5\n.", "1"),
        (b"K\x01q\x050h\x05.", "1"),
        (b"K\x01r\x05\x00\x00\x000j\x05\x00\x00\x00.", "1"),
        (b"K\x01\x940h\x00.", "1"),
        (b"C\x01a\x98.", "1 bytes"),
    ] {
        match read(bytes) {
            Ok(pickle) => assert_eq!(pickle.root().summary(), want, "{bytes:?}"),
            Err(error) => panic!("{bytes:?}: {error}"),
        }
    }
}

#[test]
fn what_no_pickle_says_is_refused_with_its_place() {
    for bytes in [
        &b""[..],
        b".",
        b"N",
        b"0.",
        b"1.",
        b"(.",
        b"(N(.",
        b"t.",
        b"\x80\x06N.",
        b"h\x00.",
        b"p0\n.",
        b"I1x\n.",
        b"Fx\n.",
        b"S'a\n.",
        b"S'\\xg1'\n.",
        b"V\\u12\n.",
        b"T\xff\xff\xff\xff.",
        b"\x8b\xff\xff\xff\xff.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"B\xff\xff\xff\xff.",
        b"(Nd.",
        b"NNs.",
        b"NNa.",
        b"N]\x90.",
        b"NNb.",
        b"NN\x93.",
        b"(o.",
        b"\x97.",
        b"\xfe.",
        b"c\xff\nx\n.",
    ] {
        let error = read(bytes).expect_err("it is none");
        assert!(matches!(error, Error::Pickle { .. }), "{bytes:?}: {error}");
    }
}

#[test]
fn nothing_is_called_and_what_would_be_is_told() {
    let pickle = read(b"cos\nsystem\n(X\x04\x00\x00\x00ls /tR.").unwrap();
    let object = pickle.root();
    assert_eq!(object.class(), Some(("os", "system")));
    assert_eq!(kinds(object.args().unwrap()), ["\"ls /\""]);
    assert!(object.state().is_none());
}

#[test]
fn attributes_are_found_in_states_with_slots_and_without() {
    let of = |state: &[u8]| read(&[b"cm\nC\n)\x81", state, b"b."].concat()).unwrap();
    assert_eq!(of(b"}U\x01aK\x01s").root().get("a").unwrap().as_i64(), Some(1));
    assert_eq!(of(b"N}U\x01aK\x01s\x86").root().get("a").unwrap().as_i64(), Some(1));
    assert!(of(b"}").root().get("a").is_none());
    // The last one of a key counts, and what was put in by keys comes first.
    let twice = read(b"cm\nC\n)R(U\x01aK\x01U\x01aK\x02u}U\x01aK\x03sb.").unwrap();
    assert_eq!(twice.root().get("a").unwrap().as_i64(), Some(2));
}

#[test]
fn what_holds_itself_is_read() {
    let pickle = read(b"]q\x00h\x00a.").unwrap();
    let list = pickle.root();
    let inner = list.items().next().unwrap();
    assert_eq!(inner.id(), list.id());
}

#[test]
fn lists_of_lists_that_double_take_no_room() {
    // Sixty levels: as a tree it would have 2^60 leaves.
    let mut bytes = b"]q\x00".to_vec();
    for level in 0..60 {
        bytes.extend([b']', b'q', level + 1, b'(', b'h', level, b'h', level, b'e']);
    }
    bytes.push(b'.');
    let pickle = read(&bytes).unwrap();
    assert_eq!(pickle.nodes.len(), 61);
    assert_eq!(pickle.root().summary(), "a list of 2");
}

#[test]
fn deep_values_need_no_deep_stack() {
    let depth = 1_000_000;
    let bytes = [vec![b']'; depth], vec![b'a'; depth - 1], vec![b'.']].concat();
    assert_eq!(read(&bytes).unwrap().nodes.len(), depth);
}

/// A checkpoint with a tensor and some values, in PyTorch's container.
fn archive() -> Vec<u8> {
    let item = Item::dict([
        ("none", Item::None),
        ("flag", Item::Bool(true)),
        ("count", Item::Int(1 << 40)),
        ("rate", Item::Float(0.5)),
        ("bytes", Item::Bytes(vec![1, 2])),
        ("list", Item::List(vec![3.into(), "x".into()])),
        ("pair", Item::Tuple(vec![Item::None, Item::None])),
        (
            "state",
            Item::OrderedDict(vec![("w".into(), Item::Tensor { number: 0, shape: vec![2, 3] })]),
        ),
        (
            "object",
            Item::Object { module: "m", name: "C", state: Box::new(Item::dict([("a", 7.into())])) },
        ),
    ]);
    let mut out = Cursor::new(Vec::new());
    let values = |_| Ok::<_, Error>(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.5]);
    write_checkpoint(&mut out, &item, values).unwrap();
    out.into_inner()
}

#[test]
fn what_is_written_is_read_again() {
    let checkpoint = Checkpoint::from_bytes(archive()).unwrap();
    let root = checkpoint.root();
    let get = |key: &str| root.get(key).unwrap();
    assert!(get("none").is_none());
    assert_eq!(get("flag").as_bool(), Some(true));
    assert_eq!(get("count").as_i64(), Some(1 << 40));
    assert_eq!(get("rate").as_f64(), Some(0.5));
    assert_eq!(get("bytes").kind(), Kind::Bytes(&[1, 2]));
    assert_eq!(kinds(get("list")), ["3", "\"x\""]);
    assert_eq!(get("pair").items().len(), 2);
    assert_eq!(get("object").class(), Some(("m", "C")));
    assert_eq!(get("object").get("a").unwrap().as_i64(), Some(7));
    let state = get("state");
    assert_eq!(state.class(), Some(("collections", "OrderedDict")));
    let tensor = checkpoint.tensor(state.get("w").unwrap()).unwrap().unwrap();
    assert_eq!((&tensor.shape[..], &tensor.strides[..]), (&[2, 3][..], &[3, 1][..]));
    assert_eq!(checkpoint.read_f32(&tensor).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.5]);
    let across = crate::TensorRef { shape: vec![3, 2], strides: vec![1, 3], ..tensor.clone() };
    assert_eq!(checkpoint.read_f32(&across).unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.5]);
    for beyond in [
        crate::TensorRef { shape: vec![7], strides: vec![1], ..tensor.clone() },
        crate::TensorRef { shape: vec![2, 3], strides: vec![usize::MAX, 1], ..tensor.clone() },
        crate::TensorRef { shape: vec![usize::MAX, 3], strides: vec![0, 0], ..tensor.clone() },
        crate::TensorRef { shape: vec![4, 4], strides: vec![0, 0], ..tensor.clone() },
        crate::TensorRef { offset: usize::MAX, ..tensor.clone() },
        crate::TensorRef { key: "9".to_owned(), ..tensor },
    ] {
        assert!(checkpoint.read_f32(&beyond).is_err(), "{beyond:?}");
    }
}

#[test]
fn a_checkpoint_cut_anywhere_or_changed_anywhere_is_an_error_or_a_value() {
    let archive = archive();
    for len in 0..archive.len() {
        assert!(Checkpoint::from_bytes(archive[..len].to_vec()).is_err(), "{len} bytes");
    }
    let fixture = |name: &str| {
        let path = format!("{}/../../tests/fixtures/flair/{name}.pt", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap()
    };
    let mut seed = 1_u32;
    let mut random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed as usize >> 8
    };
    for name in ["lm-forward", "lm-0.4-stream", "graph-0.8"] {
        let bytes = fixture(name);
        for _ in 0..400 {
            let mut changed = bytes.clone();
            for _ in 0..=random() % 3 {
                let place = random() % changed.len();
                changed[place] = random() as u8;
            }
            if let Ok(checkpoint) = Checkpoint::from_bytes(changed) {
                for value in checkpoint.pickle_values() {
                    value.summary();
                    if let Ok(Some(tensor)) = checkpoint.tensor(value) {
                        let _ = checkpoint.read_f32(&tensor);
                    }
                    let _ = checkpoint.array(value);
                }
            }
        }
    }
}

#[test]
fn archives_that_lie_are_refused() {
    use std::io::Write;
    let write = |names: &[&str], method| {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for name in names {
            archive.start_file(*name, options).unwrap();
            archive.write_all(b"\x80\x02N.").unwrap();
        }
        Checkpoint::from_bytes(archive.finish().unwrap().into_inner())
    };
    let stored = zip::CompressionMethod::Stored;
    assert!(write(&["x/data.pkl"], stored).unwrap().root().is_none());
    assert!(write(&["/x/data.pkl", "../../data/0"], stored).is_ok(), "names are only names");
    for names in [&["x/data.pkl", "y/data.pkl"][..], &["x/other"], &["xdata.pkl"]] {
        assert!(write(names, stored).is_err(), "{names:?}");
    }
    // A file that claims to be larger than it is.
    let mut archive = archive();
    let place = archive.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    archive[place + 20..place + 28]
        .copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
    let _ = Checkpoint::from_bytes(archive).map(|checkpoint| checkpoint.root().summary());
}

#[test]
fn an_array_of_numpy_comes_row_by_row() {
    let array = |state: &[u8]| {
        let mut bytes =
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(".to_vec();
        bytes.extend(state);
        bytes.extend(b"tb.");
        let checkpoint = Checkpoint::from_bytes(bytes).unwrap();
        checkpoint.array(checkpoint.root()).map(|array| array.unwrap().values)
    };
    let dtype = b"cnumpy\ndtype\n(U\x02i2K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb";
    let big = b"cnumpy\ndtype\n(U\x02i2K\x00K\x01tR(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb";
    let values = b"C\x08\x01\x00\x02\x00\x03\x00\x04\x00";
    let state = |dtype: &[u8], order: &[u8], values: &[u8]| {
        [b"K\x01K\x02K\x02\x86", dtype, order, values].concat()
    };
    assert_eq!(array(&state(dtype, b"\x89", values)).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(array(&state(dtype, b"\x88", values)).unwrap(), [1.0, 3.0, 2.0, 4.0]);
    assert_eq!(array(&state(big, b"\x89", values)).unwrap(), [256.0, 512.0, 768.0, 1024.0]);
    assert!(array(&state(dtype, b"\x89", b"C\x01\x00")).is_err());
}

//! Going through all that a checkpoint holds.

use std::{collections::HashSet, fs};

use glossator_pickle::{Checkpoint, Value};

/// Bytes of a fixture.
pub fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/pickle");
    fs::read(format!("{folder}/{name}")).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Asks for everything of every value that can be reached, tensors included, and
/// tells how many values there are.
pub fn walk(checkpoint: &Checkpoint) -> usize {
    let (mut seen, mut open) = (HashSet::new(), vec![checkpoint.root()]);
    while let Some(value) = open.pop() {
        if !seen.insert(value.id()) {
            continue;
        }
        look_at(checkpoint, value);
        open.extend(value.items());
        open.extend(value.entries().flat_map(|(key, value)| [key, value]));
        open.extend([value.args(), value.state(), value.persistent_id()].into_iter().flatten());
    }
    seen.len()
}

fn look_at(checkpoint: &Checkpoint, value: Value<'_>) {
    assert!(value.summary().len() < 2000, "a summary is short");
    value.class();
    value.to_bytes();
    value.get("a");
    if let Ok(Some(tensor)) = checkpoint.tensor(value) {
        let count: usize = tensor.shape.iter().product();
        if let Ok(values) = checkpoint.read_f32(&tensor) {
            assert_eq!(values.len(), count);
        }
    }
    if let Ok(Some(array)) = checkpoint.array(value) {
        assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
    }
}

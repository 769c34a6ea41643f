//! Pickles and checkpoints of PyTorch.

use std::collections::HashSet;

use glossator_pickle::{Checkpoint, Limits, Pickle, Value};

/// Most values of one input that are looked at.
const MOST: usize = 10_000;
/// Most values of tensors and arrays that are read from one input.
const MOST_NUMBERS: usize = 1 << 20;

/// Any bytes are a pickle or an error, and a pickle keeps to its limits.
///
/// # Panics
/// If that does not hold.
pub fn pickle(bytes: &[u8]) {
    let limits = Limits { values: 1000, stack: 100, memo: 100, bytes: 1 << 16 };
    let narrow = Pickle::read_within(bytes, &limits);
    let Ok(wide) = Pickle::read(bytes) else {
        assert!(narrow.is_err(), "less room made it valid");
        return;
    };
    let mut count = 0;
    walk(wide.root(), |value| {
        look_at(value);
        count += 1;
    });
    if let Ok(narrow) = narrow {
        assert!(count <= limits.values, "more values than allowed");
        assert_eq!(narrow.root().summary(), wide.root().summary());
    }
}

/// Any bytes are a checkpoint or an error, and so is each tensor in one.
///
/// # Panics
/// If that does not hold.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes.to_vec()) else { return };
    let mut left = MOST_NUMBERS;
    walk(checkpoint.root(), |value| {
        look_at(value);
        if let Ok(Some(tensor)) = checkpoint.tensor(value) {
            let count: usize = tensor.shape.iter().product();
            assert!(count <= bytes.len(), "more values than bytes");
            if count <= left {
                left -= count;
                // A storage may be missing where nothing is read of it.
                let values = checkpoint.read_f32(&tensor).expect("it was checked");
                assert_eq!(values.len(), count);
            }
        }
        let size =
            value.state().map_or(0, |state| state.items().filter_map(Value::as_bytes).count());
        if size <= left
            && let Ok(Some(array)) = checkpoint.array(value)
        {
            left = left.saturating_sub(array.values.len());
            assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
        }
    });
}

/// Visits all that can be reached from a value.
fn walk<'a>(root: Value<'a>, mut visit: impl FnMut(Value<'a>)) {
    let (mut seen, mut open) = (HashSet::new(), vec![root]);
    while let Some(value) = open.pop()
        && seen.len() < MOST
    {
        if !seen.insert(value.id()) {
            continue;
        }
        visit(value);
        open.extend(value.items().take(MOST));
        open.extend(value.entries().take(MOST).flat_map(|(key, value)| [key, value]));
        open.extend([value.args(), value.state(), value.persistent_id()].into_iter().flatten());
    }
}

/// Asks a value for everything.
fn look_at(value: Value<'_>) {
    assert!(value.summary().len() < 2000, "a summary is short");
    let named = value.get("state_dict").map(Value::id);
    let entries = value.entries().filter(|(key, _)| key.as_str() == Some("state_dict"));
    if let Some((_, last)) = entries.last() {
        assert_eq!(named, Some(last.id()), "the last one of a key counts");
    }
    value.class();
    value.to_bytes();
    value.as_f64();
}

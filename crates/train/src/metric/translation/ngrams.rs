//! N-grams of several sequences, counted together.

/// Tells `visit` of every distinct n-gram of 1 to `max_order` symbols: its order,
/// and how often each of the `sequences` has it.
///
/// All n-grams that begin at one place are prefixes of one slice, so the slices
/// are sorted once: equal n-grams of any order are then neighbours.
pub(super) fn visit<T: Ord>(
    sequences: &[&[T]],
    max_order: usize,
    mut visit: impl FnMut(usize, &[usize]),
) {
    let mut grams: Vec<(&[T], usize)> = Vec::new();
    for (owner, symbols) in sequences.iter().enumerate() {
        let tails = (0..symbols.len()).map(|start| &symbols[start..]);
        grams.extend(tails.map(|tail| (&tail[..tail.len().min(max_order)], owner)));
    }
    grams.sort_unstable();
    let shared = shared_with_previous(&grams);
    let mut counts = vec![0; sequences.len()];
    for order in 1..=max_order {
        let mut seen = false;
        for (&(gram, owner), &shared) in grams.iter().zip(&shared) {
            if seen && shared < order {
                visit(order, &counts);
                counts.fill(0);
                seen = false;
            }
            if gram.len() >= order {
                counts[owner] += 1;
                seen = true;
            }
        }
        if seen {
            visit(order, &counts);
            counts.fill(0);
        }
    }
}

/// Number of n-grams of a sequence.
pub(super) fn total(symbols: usize, order: usize) -> usize {
    (symbols + 1).saturating_sub(order)
}

/// Length of the common prefix of every slice and the one before it.
fn shared_with_previous<T: Ord>(grams: &[(&[T], usize)]) -> Vec<usize> {
    let pairs = grams.windows(2).map(|pair| {
        let [(left, _), (right, _)] = [pair[0], pair[1]];
        left.iter().zip(right).take_while(|(left, right)| left == right).count()
    });
    std::iter::once(0).chain(pairs).take(grams.len()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn sorted_prefixes_count_as_a_map_does() {
        let sequences = [&b"abababcab"[..], b"", b"bab", b"a"];
        for max_order in 0..6 {
            let mut want: BTreeMap<&[u8], [usize; 4]> = BTreeMap::new();
            for (owner, symbols) in sequences.iter().enumerate() {
                for order in 1..=max_order {
                    symbols.windows(order).for_each(|g| want.entry(g).or_default()[owner] += 1);
                    assert_eq!(symbols.windows(order).count(), total(symbols.len(), order));
                }
            }
            let mut want: Vec<_> = want.into_iter().map(|(g, counts)| (g.len(), counts)).collect();
            let mut found = Vec::new();
            visit(&sequences, max_order, |order, counts| {
                found.push((order, <[usize; 4]>::try_from(counts).unwrap()));
            });
            want.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, want, "up to {max_order}");
        }
    }
}

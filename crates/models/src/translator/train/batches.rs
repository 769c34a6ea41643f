//! Batches of pairs of about the same length.

use glossator_nn::Rng;

/// Batches that a pool holds: its pairs are sorted by length together.
const POOL: usize = 64;

/// The pairs in batches of at most `budget` subwords to be written (or of one
/// longer pair), in an order drawn from `rng`.
///
/// Pairs are shuffled, some batches' worth of them at a time are sorted by
/// length and cut, and the batches are shuffled: every batch is of one length,
/// nearly, and no two epochs have the same batches. `lengths`: subwords of
/// target and source.
pub(super) fn batches(
    lengths: &[(usize, usize)],
    pairs: &[u32],
    budget: usize,
    rng: &mut Rng,
) -> Vec<Vec<u32>> {
    let mut order = pairs.to_vec();
    rng.shuffle(&mut order);
    let room = budget.saturating_mul(POOL);
    let length = |pair: u32| lengths[pair as usize].0 + 1;
    let mut batches: Vec<Vec<u32>> = Vec::new();
    for mut pool in cut(&order, room, length) {
        // By number in the end: the order of the pool is that of the data no more.
        pool.sort_by_key(|&pair| (lengths[pair as usize], pair));
        batches.extend(cut(&pool, budget, length));
    }
    rng.shuffle(&mut batches);
    batches
}

/// Runs of items of at most `room` summed length, or of one longer item.
fn cut(items: &[u32], room: usize, length: impl Fn(u32) -> usize) -> Vec<Vec<u32>> {
    let lengths: Vec<usize> = items.iter().map(|&item| length(item)).collect();
    let parts = glossator_text::batch::by_tokens(&lengths, room);
    parts.into_iter().map(|part| part.into_iter().map(|at| items[at]).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_every_pair_and_the_budget() {
        let lengths: Vec<(usize, usize)> = (0..5000).map(|n| (n * 7 % 23, n % 11)).collect();
        let pairs: Vec<u32> = (0..5000).filter(|n| n % 5 > 0).collect();
        let draw = |epoch| batches(&lengths, &pairs, 100, &mut Rng::new(1, "batches", epoch));
        let first = draw(1);
        assert_eq!(first, draw(1));
        assert_ne!(first, draw(2));
        let mut seen: Vec<u32> = first.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, pairs);
        for batch in &first {
            let length = |pair: &u32| lengths[*pair as usize].0 + 1;
            assert!(batch.iter().map(length).sum::<usize>() <= 100);
            let (short, long) = (batch.iter().map(length).min(), batch.iter().map(length).max());
            assert!(long.unwrap() - short.unwrap() <= 3, "{batch:?}");
        }
    }
}

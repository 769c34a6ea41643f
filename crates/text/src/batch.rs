//! Grouping of items into batches, as lists of indices.

/// Batches of at most `max_tokens` summed length, or of one longer item.
///
/// Batches are contiguous: input order is kept inside and between them. Work is
/// free of padding (a finished row is refilled), so equal sums are even batches.
pub fn by_tokens(lengths: &[usize], max_tokens: usize) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for (i, &length) in lengths.iter().enumerate() {
        match batches.last_mut().filter(|_| length <= room) {
            Some(batch) => batch.push(i),
            None => {
                batches.push(vec![i]);
                room = max_tokens.max(length);
            }
        }
        room -= length;
    }
    batches
}

/// The indices of `order` in batches of `size` (at least 1), the last maybe
/// smaller.
pub fn by_count(order: &[usize], size: usize) -> Vec<Vec<usize>> {
    order.chunks(size.max(1)).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stay_within_the_limit() {
        assert_eq!(by_tokens(&[3, 4, 1, 9, 0, 2], 7), [vec![0, 1], vec![2], vec![3, 4], vec![5]]);
        assert_eq!(by_tokens(&[1, 1], 0), [vec![0], vec![1]]);
        assert!(by_tokens(&[], 5).is_empty());
    }

    #[test]
    fn counts_keep_the_order_given() {
        assert_eq!(by_count(&[2, 0, 1], 2), [vec![2, 0], vec![1]]);
        assert_eq!(by_count(&[0, 1], 0), [vec![0], vec![1]]);
    }
}

//! Picking from a row of scores: the largest, or one by chance.

use glossator_nn::Rng;

/// Scores that are looked at together.
const BLOCK: usize = 32;

/// The `k` largest scores with their places, largest first, the earlier place
/// first among equals. What is not above minus infinity is left out.
pub(crate) fn largest(scores: &[f32], k: usize) -> Vec<(f32, u32)> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(k + 1);
    let mut least = f32::NEG_INFINITY;
    for (block, scores) in scores.chunks(BLOCK).enumerate() {
        // Most blocks hold nothing that is large enough.
        if !scores.iter().fold(false, |any, score| any | (*score > least)) {
            continue;
        }
        for (at, &score) in scores.iter().enumerate() {
            if score > least {
                let place = best.partition_point(|(other, _)| *other >= score);
                best.insert(place, (score, (block * BLOCK + at) as u32));
                best.truncate(k);
                if best.len() == k {
                    least = best[k - 1].0;
                }
            }
        }
    }
    best
}

/// Draws a place by the softmax of the scores divided by `temperature` (at 0 the
/// likeliest), of the `top` largest alone unless that is 0; none if all scores are
/// minus infinity.
pub(crate) fn draw(scores: &[f32], temperature: f32, top: usize, rng: &mut Rng) -> Option<u32> {
    let from: Vec<(f32, u32)> = match top {
        0 => scores.iter().copied().zip(0..).collect(),
        top => largest(scores, top),
    };
    let best = from.iter().copied().reduce(|a, b| if b.0 > a.0 { b } else { a })?;
    if best.0 == f32::NEG_INFINITY || temperature <= 0.0 {
        return (best.0 > f32::NEG_INFINITY).then_some(best.1);
    }
    let weight = |score: f32| f64::from((score - best.0) / temperature).exp();
    let mut rest = f64::from(rng.uniform()) * from.iter().map(|(s, _)| weight(*s)).sum::<f64>();
    for &(score, id) in &from {
        rest -= weight(score);
        if rest < 0.0 {
            return Some(id);
        }
    }
    Some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_in_order_and_the_earlier_of_equals_first() {
        let mut scores: Vec<f32> = (0..200).map(|i| ((i * 37) % 50) as f32).collect();
        scores[7] = f32::NEG_INFINITY;
        let mut want: Vec<(f32, u32)> = scores.iter().copied().zip(0..).collect();
        want.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for k in [1, 2, 11, 199] {
            assert_eq!(largest(&scores, k), want[..k]);
        }
        assert_eq!(largest(&scores, 300).len(), 199);
        assert!(largest(&[f32::NEG_INFINITY; 3], 2).is_empty());
    }

    #[test]
    fn draws_follow_the_scores() {
        let scores = [0.0, 2f32.ln(), f32::NEG_INFINITY, 3f32.ln()];
        let shares = |temperature: f32, top: usize| {
            let mut counts = [0.0; 4];
            let mut rng = Rng::new(1, "test", 0);
            for _ in 0..20_000 {
                counts[draw(&scores, temperature, top, &mut rng).unwrap() as usize] +=
                    1.0 / 20_000.0;
            }
            counts
        };
        let near = |found: [f64; 4], want: [f64; 4]| {
            assert!(found.iter().zip(want).all(|(a, b)| (a - b).abs() < 0.02), "{found:?}");
        };
        near(shares(1.0, 0), [1.0 / 6.0, 2.0 / 6.0, 0.0, 3.0 / 6.0]);
        near(shares(0.5, 0), [1.0 / 14.0, 4.0 / 14.0, 0.0, 9.0 / 14.0]);
        near(shares(1.0, 2), [0.0, 0.4, 0.0, 0.6]);
        near(shares(0.0, 0), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(draw(&[f32::NEG_INFINITY], 1.0, 0, &mut Rng::new(1, "test", 0)), None);
    }
}

//! The best sequences of tags, however many (a list Viterbi; Seshadri and Sundberg, 1994).

use super::Crf;
use crate::Result;

/// A sequence that ends at a token with a tag: its score, and where it comes from.
#[derive(Clone, Copy, Debug)]
struct Partial {
    score: f64,
    /// Tag before, and which of the sequences that end with it.
    tag: usize,
    rank: usize,
}

impl Crf {
    /// The `k` allowed sequences of the highest scores, the best first, with their
    /// scores in nats; fewer if there are no more. Of equal ones those whose tags have
    /// lower numbers come first, from the end on. The first is that of
    /// [`Crf::viterbi`].
    ///
    /// `emissions`: `[tokens, tags]`. Memory: `tokens * tags * k`.
    ///
    /// # Errors
    /// If `emissions` is no whole number of rows, or not finite.
    pub fn n_best(&self, emissions: &[f32], k: usize) -> Result<Vec<(Vec<usize>, f64)>> {
        let (n, tokens) = (self.n_tags, self.tokens(emissions)?);
        if tokens == 0 || k == 0 {
            return Ok(vec![(Vec::new(), 0.0); k.min(1)]);
        }
        let emit = |t: usize, tag: usize| f64::from(emissions[t * n + tag]);
        let first = |tag: usize| {
            let score = self.start()[tag] + emit(0, tag);
            best([Partial { score, tag, rank: 0 }].into_iter(), k)
        };
        // Of each token and tag, the best sequences that end there.
        let mut all: Vec<Vec<Vec<Partial>>> = vec![(0..n).map(first).collect()];
        for t in 1..tokens {
            let before = &all[t - 1];
            let row = |tag: usize| {
                let candidates = before.iter().enumerate().flat_map(|(from, partials)| {
                    let transition = self.scores[from * n + tag];
                    partials.iter().enumerate().map(move |(rank, partial)| Partial {
                        score: partial.score + transition,
                        tag: from,
                        rank,
                    })
                });
                let mut row = best(candidates, k);
                row.iter_mut().for_each(|partial| partial.score += emit(t, tag));
                row
            };
            let row = (0..n).map(row).collect();
            all.push(row);
        }
        let last = all[tokens - 1].iter().enumerate().flat_map(|(tag, partials)| {
            let end = self.end()[tag];
            partials.iter().enumerate().map(move |(rank, partial)| Partial {
                score: partial.score + end,
                tag,
                rank,
            })
        });
        let paths = best(last, k).into_iter().map(|end| {
            let (mut path, mut at) = (vec![0; tokens], end);
            for t in (0..tokens).rev() {
                path[t] = at.tag;
                at = all[t][at.tag][at.rank];
            }
            (path, end.score)
        });
        Ok(paths.collect())
    }
}

/// The best of the allowed ones, in order, in no more memory than they need; equal ones
/// in the order in which they come, which is that of tags and ranks.
fn best(candidates: impl Iterator<Item = Partial>, k: usize) -> Vec<Partial> {
    let mut all: Vec<Partial> = candidates.filter(|c| c.score > f64::NEG_INFINITY).collect();
    let order = |a: &Partial, b: &Partial| {
        b.score.total_cmp(&a.score).then_with(|| (a.tag, a.rank).cmp(&(b.tag, b.rank)))
    };
    if k < all.len() {
        all.select_nth_unstable_by(k, order);
        all.truncate(k);
    }
    all.sort_unstable_by(order);
    all.shrink_to_fit();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crf::Mask;

    /// Numbers that look random, in [-1, 1).
    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    #[test]
    fn the_list_is_that_of_all_sequences_by_score() {
        let (n, tokens) = (3, 5);
        for (seed, mask) in
            [(1, Mask::all(n)), (2, Mask::new(n, |from, to| to != Some(2) || from == Some(1)))]
        {
            let crf = Crf::new(&values((n + 2) * n, seed), &mask).unwrap();
            let emissions = values(tokens * n, seed + 7);
            let number = |code: usize| -> Vec<usize> {
                (0..tokens as u32).map(|t| code / n.pow(t) % n).collect()
            };
            let mut want: Vec<(Vec<usize>, f64)> = (0..n.pow(tokens as u32))
                .map(number)
                .map(|path| (path.clone(), crf.score(&emissions, &path).unwrap()))
                .filter(|(_, score)| score.is_finite())
                .collect();
            want.sort_by(|a, b| b.1.total_cmp(&a.1));
            for k in [1, 2, 7, 1000] {
                let got = crf.n_best(&emissions, k).unwrap();
                assert_eq!(got.len(), k.min(want.len()));
                for ((path, score), (want_path, want_score)) in got.iter().zip(&want) {
                    assert!((score - want_score).abs() < 1e-12, "{score} {want_score}");
                    assert_eq!(path, want_path);
                }
            }
            assert_eq!(crf.n_best(&emissions, 1).unwrap()[0].0, crf.viterbi(&emissions).unwrap().0);
        }
    }

    #[test]
    fn equal_sequences_begin_with_that_of_viterbi() {
        let crf = Crf::new(&[0.0; 8], &Mask::all(2)).unwrap();
        let got = crf.n_best(&[0.0; 4], 9).unwrap();
        let paths: Vec<&[usize]> = got.iter().map(|(path, _)| &path[..]).collect();
        assert_eq!(paths, [[0, 0], [1, 0], [0, 1], [1, 1]]);
        assert_eq!(crf.viterbi(&[0.0; 4]).unwrap().0, [0, 0]);
    }

    #[test]
    fn the_best_are_kept_in_no_more_memory_than_they_need() {
        let candidates =
            (0..1000).map(|i| Partial { score: f64::from(i % 10), tag: i as usize, rank: 0 });
        let kept = best(candidates, 3);
        assert_eq!(kept.iter().map(|partial| partial.tag).collect::<Vec<_>>(), [9, 19, 29]);
        assert!(kept.capacity() < 10, "{}", kept.capacity());
    }

    #[test]
    fn nothing_has_one_sequence_and_none_is_asked_for() {
        let crf = Crf::new(&[0.0; 8], &Mask::all(2)).unwrap();
        assert_eq!(crf.n_best(&[], 3).unwrap(), [(vec![], 0.0)]);
        assert_eq!(crf.n_best(&[0.0; 2], 0).unwrap(), []);
        assert!(crf.n_best(&[0.0; 3], 1).is_err());
    }
}

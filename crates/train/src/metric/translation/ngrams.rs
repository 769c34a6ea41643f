//! N-grams of several sequences, counted together.

use std::cmp::Ordering;

use super::text::Numbers;

/// Bits of a key, which holds the first symbols of an n-gram.
const KEY: u32 = u128::BITS;
/// Bits of a symbol of any kind.
const ANY: u32 = u32::BITS;
/// Bits of a code point.
const CODE_POINT: u32 = 21;

/// Sequences of symbols that are numbered from 1.
pub(super) struct Symbols {
    sequences: Vec<Vec<u32>>,
    /// Bits of a symbol.
    bits: u32,
}

impl Symbols {
    /// Words, equal ones with one number.
    pub(super) fn words(sequences: &[Vec<&str>]) -> Self {
        let mut numbers = Numbers::default();
        let sequences = sequences.iter().map(|words| numbers.of(words));
        Self { sequences: sequences.collect(), bits: ANY }
    }

    /// Characters.
    pub(super) fn characters(texts: impl Iterator<Item = impl Iterator<Item = char>>) -> Self {
        let numbered = texts.map(|text| text.map(|c| u32::from(c) + 1).collect());
        Self { sequences: numbered.collect(), bits: CODE_POINT }
    }

    /// Number of symbols of a sequence.
    pub(super) fn len(&self, sequence: usize) -> usize {
        self.sequences[sequence].len()
    }

    /// Number of n-grams of a sequence.
    pub(super) fn total(&self, sequence: usize, order: usize) -> usize {
        (self.len(sequence) + 1).saturating_sub(order)
    }

    /// Tells `visit` of every distinct n-gram of 1 to `max_order` symbols: its
    /// order, and how often each sequence has it.
    ///
    /// All n-grams that begin at one place are prefixes of one, so the longest ones
    /// are sorted once: equal n-grams of any order are then neighbours.
    pub(super) fn visit(&self, max_order: usize, mut visit: impl FnMut(usize, &[usize])) {
        let grams = self.sorted(max_order);
        let shared = self.shared_with_previous(&grams);
        let mut counts = vec![0; self.sequences.len()];
        for order in 1..=max_order {
            let mut seen = false;
            for (gram, &shared) in grams.iter().zip(&shared) {
                if seen && shared < order {
                    visit(order, &counts);
                    counts.fill(0);
                    seen = false;
                }
                if gram.symbols.len() >= order {
                    counts[gram.owner] += 1;
                    seen = true;
                }
            }
            if seen {
                visit(order, &counts);
                counts.fill(0);
            }
        }
    }

    /// The longest n-grams of all places, in the order of their symbols.
    fn sorted(&self, max_order: usize) -> Vec<Gram<'_>> {
        let mut grams = Vec::with_capacity(self.sequences.iter().map(Vec::len).sum());
        for (owner, symbols) in self.sequences.iter().enumerate() {
            for start in 0..symbols.len() {
                let end = symbols.len().min(start + max_order);
                let symbols = &symbols[start..end];
                grams.push(Gram { key: self.key(symbols), symbols, owner });
            }
        }
        if max_order <= self.key_len() {
            grams.sort_unstable_by_key(|gram| gram.key);
        } else {
            grams.sort_unstable_by(Gram::compare);
        }
        grams
    }

    /// Symbols of a key.
    fn key_len(&self) -> usize {
        (KEY / self.bits) as usize
    }

    /// The first symbols, in the order of their numbers; 0 behind the last one.
    fn key(&self, symbols: &[u32]) -> u128 {
        let mut shift = KEY;
        symbols.iter().take(self.key_len()).fold(0, |key, &symbol| {
            shift -= self.bits;
            key | u128::from(symbol) << shift
        })
    }

    /// Length of the common prefix of every n-gram and the one before it.
    fn shared_with_previous(&self, grams: &[Gram]) -> Vec<usize> {
        let pairs = grams.windows(2).map(|pair| {
            let [left, right] = [pair[0].symbols, pair[1].symbols];
            let equal = ((pair[0].key ^ pair[1].key).leading_zeros() / self.bits) as usize;
            if equal < self.key_len() {
                return equal;
            }
            left.iter().zip(right).take_while(|(left, right)| left == right).count()
        });
        std::iter::once(0).chain(pairs).take(grams.len()).collect()
    }
}

/// The longest n-gram of a place.
struct Gram<'a> {
    key: u128,
    symbols: &'a [u32],
    /// The sequence.
    owner: usize,
}

impl Gram<'_> {
    fn compare(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then_with(|| self.symbols.cmp(other.symbols))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Orders and counts, sorted.
    type Counted = Vec<(usize, Vec<usize>)>;

    fn counted(symbols: &Symbols, max_order: usize) -> Counted {
        let mut counted = Vec::new();
        symbols.visit(max_order, |order, counts| counted.push((order, counts.to_vec())));
        counted.sort_unstable();
        counted
    }

    fn counted_by_map(texts: &[&str], max_order: usize) -> Counted {
        let mut all: BTreeMap<Vec<char>, Vec<usize>> = BTreeMap::new();
        for (owner, text) in texts.iter().enumerate() {
            let symbols: Vec<char> = text.chars().collect();
            for gram in (1..=max_order).flat_map(|order| symbols.windows(order)) {
                all.entry(gram.to_vec()).or_insert_with(|| vec![0; texts.len()])[owner] += 1;
            }
        }
        let mut counted: Vec<_> = all.into_iter().map(|(g, counts)| (g.len(), counts)).collect();
        counted.sort_unstable();
        counted
    }

    #[test]
    fn sorted_prefixes_count_as_a_map_does() {
        let twice = "abababcab\u{10ffff}abababcab";
        let texts = [twice, "", "bab\0abababcab\u{10ffff}", "x\0", "x", "x\0y", "aaaaaaaaaa"];
        let characters = Symbols::characters(texts.iter().map(|text| text.chars()));
        let letters: Vec<Vec<&str>> = texts
            .iter()
            .map(|text| text.split("").filter(|letter| !letter.is_empty()).collect())
            .collect();
        let words = Symbols::words(&letters);
        for max_order in 0..12 {
            let want = counted_by_map(&texts, max_order);
            assert_eq!(counted(&characters, max_order), want, "characters up to {max_order}");
            assert_eq!(counted(&words, max_order), want, "words up to {max_order}");
        }
        assert_eq!((words.total(4, 1), words.total(4, 2), words.total(1, 1)), (1, 0, 0));
    }
}

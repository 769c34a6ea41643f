use super::HeldOut;

/// Characters of a block at most, in a text that has enough of them.
const BLOCK_CHARS: usize = 16 << 10;
/// Blocks a text is divided into at least, if its documents are short.
const MIN_BLOCKS: usize = 40;
/// At most one block in so many is held out.
const MIN_PERIOD: usize = 20;

/// Which documents are held out: those of every block whose number leaves
/// `offset` when divided by `period`, as long as there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub block_chars: usize,
    pub period: usize,
    pub offset: usize,
    pub max_chars: usize,
}

impl Plan {
    /// The plan for a text of `n_chars` characters.
    pub fn new(held_out: HeldOut, n_chars: usize) -> Plan {
        let max_chars = held_out.max_chars.max(1);
        let block_chars = BLOCK_CHARS.min(n_chars / MIN_BLOCKS).min(max_chars).max(1);
        let period = MIN_PERIOD.max(n_chars.div_ceil(max_chars));
        Plan { block_chars, period, offset: offset(held_out.seed, period), max_chars }
    }

    /// The plan if documents are so long that there are only `n_blocks` blocks, of
    /// which none was held out.
    pub fn among(self, n_blocks: usize, held_out: HeldOut) -> Plan {
        Plan { period: n_blocks, offset: offset(held_out.seed, n_blocks), ..self }
    }
}

fn offset(seed: u64, period: usize) -> usize {
    (mix(seed) % period as u64) as usize
}

/// The mixing function of SplitMix64 (Steele et al., 2014).
fn mix(seed: u64) -> u64 {
    let x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A plan as it is carried out.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    plan: Plan,
    /// Blocks before the present one, and characters seen of it.
    block: usize,
    in_block: usize,
    held: usize,
}

impl Selection {
    pub fn new(plan: Plan) -> Selection {
        Selection { plan, block: 0, in_block: 0, held: 0 }
    }

    /// Whether the next document, of `n_chars` characters, is held out.
    pub fn next(&mut self, n_chars: usize) -> bool {
        let Plan { block_chars, period, offset, max_chars } = self.plan;
        let room = self.held == 0 || self.held + n_chars <= max_chars;
        let held = self.block % period == offset && room;
        self.held += if held { n_chars } else { 0 };
        self.in_block += n_chars;
        if self.in_block >= block_chars {
            (self.block, self.in_block) = (self.block + 1, 0);
        }
        held
    }

    /// Blocks that were seen, the last perhaps not whole.
    pub fn n_blocks(&self) -> usize {
        self.block + usize::from(self.in_block > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(seed: u64, max_chars: usize, documents: usize, n_chars: usize) -> Vec<usize> {
        let mut selection =
            Selection::new(Plan::new(HeldOut { seed, max_chars }, documents * n_chars));
        (0..documents).filter(|_| selection.next(n_chars)).collect()
    }

    #[test]
    fn one_block_in_twenty_is_held_out() {
        let found = held(1, usize::MAX, 4000, 10);
        assert_eq!(found.len(), 200);
        let offset = found[0];
        assert!(
            offset.is_multiple_of(100) && found[..100].iter().copied().eq(offset..offset + 100)
        );
        assert_eq!(found[100], offset + 2000);
    }

    #[test]
    fn no_more_is_held_out_than_asked_for() {
        for seed in 0..50 {
            let found = held(seed, 1000, 40_000, 10);
            assert!((50..=100).contains(&found.len()), "{seed}: {}", found.len());
        }
    }

    #[test]
    fn seeds_choose_different_blocks() {
        let mut starts: Vec<_> = (0..200).map(|seed| held(seed, usize::MAX, 4000, 10)[0]).collect();
        starts.sort();
        starts.dedup();
        assert_eq!(starts.len(), 20);
    }
}

//! The toolkit's own random numbers: Candle's generator on a CPU cannot be seeded.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng},
};
use rayon::prelude::*;

/// Values of a mask that one task draws.
const MASK: usize = 1 << 14;

/// Seeded generator (ChaCha with 8 rounds).
///
/// A generator is named by a seed, a purpose and a counter (an epoch, a step),
/// and every use of chance in training makes its own. So nothing has to be
/// stored to continue a run exactly, and two uses never disturb each other.
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The generator of `purpose` at `counter` in the run of `seed`.
    pub fn new(seed: u64, purpose: &str, counter: u64) -> Self {
        // FNV-1a: stable across platforms and releases.
        let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&hash.to_le_bytes());
        key[16..24].copy_from_slice(&counter.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in `[0, 1)`, with 24 random bits.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 8) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// Uniform in `0..n`; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform() < p
    }

    /// `len` values, each 0 with probability `p` and else `keep`: what as many
    /// calls of [`chance`](Self::chance) would say, drawn on all threads.
    pub fn mask(&mut self, len: usize, p: f32, keep: f32) -> Vec<f32> {
        let first = self.0.get_word_pos();
        let mut mask = vec![0.0; len];
        mask.par_chunks_mut(MASK).enumerate().for_each(|(chunk, mask)| {
            let mut rng = self.clone();
            rng.0.set_word_pos(first + (chunk * MASK) as u128);
            mask.iter_mut().for_each(|value| *value = if rng.chance(p) { 0.0 } else { keep });
        });
        self.0.set_word_pos(first + len as u128);
        mask
    }

    /// Standard normal (Box and Muller, 1958).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * f64::from(1.0 - self.uniform()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * f64::from(self.uniform())).cos()) as f32
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn purposes_and_counters_are_apart() {
        let draw = |purpose, counter| Rng::new(1, purpose, counter).bits();
        assert_eq!(draw("dropout", 3), draw("dropout", 3));
        assert_ne!(draw("dropout", 3), draw("dropout", 4));
        assert_ne!(draw("dropout", 3), draw("shuffle", 3));
    }

    #[test]
    fn a_mask_draws_what_single_chances_do_on_any_threads() {
        let mut one = Rng::new(3, "dropout", 9);
        one.bits();
        let mut other = one.clone();
        let want: Vec<f32> = (0..50_000).map(|_| if one.chance(0.3) { 0.0 } else { 2.0 }).collect();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| other.clone().mask(50_000, 0.3, 2.0)), want);
        }
        other.mask(50_000, 0.3, 2.0);
        assert_eq!(one.bits(), other.bits(), "the generator goes on behind the mask");
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<_> = (0..100).collect();
        Rng::new(7, "shuffle", 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}

/// How much room a pickle may take at most. Whatever the limits are, it takes room in
/// proportion to its own length: at worst, of one-byte instructions that each build a
/// value, somewhat under a hundred times as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the pickle, in bytes.
    pub bytes: usize,
    /// Number of values.
    pub values: usize,
    /// Number of values, and of marks, that are open at once.
    pub stack: usize,
    /// Number of values that can be referred to later.
    pub memo: usize,
}

impl Default for Limits {
    /// Enough for a vocabulary of ten million words that are objects; the most that so
    /// many values take is about 4.5 GB.
    fn default() -> Self {
        Self { bytes: u32::MAX as usize, values: 1 << 26, stack: 1 << 24, memo: 1 << 26 }
    }
}

//! Sharing a training scan out to threads.

use crate::{Schedule, buffer::Shared, cells::Sink};

/// Bytes of recurrent weights that stay in a core's own cache.
const OWN_CACHE: usize = 3 << 19;

/// How a training scan is shared out.
pub(super) struct Parts {
    pub(super) schedules: Vec<Schedule>,
    /// Threads for one step of a part.
    pub(super) threads: usize,
}

impl Parts {
    /// Recurrent weights that fit a core's own cache are read by every thread,
    /// each scanning its share of the lanes by itself; larger ones are shared
    /// out within each step.
    ///
    /// `weights`: how many values the recurrent weights have.
    pub(super) fn of(schedule: &Schedule, weights: usize) -> Self {
        let threads = rayon::current_num_threads();
        if weights * size_of::<f32>() <= OWN_CACHE {
            Self { schedules: schedule.split(threads), threads: 1 }
        } else {
            Self { schedules: schedule.split(1), threads }
        }
    }
}

/// A sink that keeps everything; clones write to the same place.
#[derive(Clone, Copy)]
pub(super) struct All {
    pub(super) hidden: Shared,
    pub(super) last: Shared,
    pub(super) sequences: usize,
    pub(super) dim: usize,
}

impl Sink for All {
    fn token(&mut self, token: usize, hidden: &[f32]) {
        // SAFETY: every token is scanned once, and its row lies in the matrix.
        unsafe { self.hidden.slice(token * self.dim, self.dim) }.copy_from_slice(hidden);
    }

    fn end(&mut self, sequence: usize, state: &[&[f32]]) {
        for (n, state) in state.iter().enumerate() {
            let at = (n * self.sequences + sequence) * self.dim;
            // SAFETY: every sequence ends once, and its row lies in the matrix.
            unsafe { self.last.slice(at, self.dim) }.copy_from_slice(state);
        }
    }
}

//! Sharing a training scan out to threads.

use crate::Schedule;

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

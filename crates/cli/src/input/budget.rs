//! How much text may be held at a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that one thread takes and another gives back.
pub struct Budget {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    limit: usize,
    used: usize,
}

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self { state: Mutex::new(State { limit, used: 0 }), changed: Condvar::new() }
    }

    /// Waits until there is room; what is larger than all waits until it is alone.
    pub fn take(&self, bytes: usize) {
        let full =
            |state: &mut State| state.used > 0 && state.used.saturating_add(bytes) > state.limit;
        let state = self.changed.wait_while(self.lock(), full);
        state.unwrap_or_else(PoisonError::into_inner).used += bytes;
    }

    /// Gives back what was taken.
    pub fn give(&self, bytes: usize) {
        self.lock().used -= bytes;
        self.changed.notify_all();
    }

    /// Lets everybody take what they want, now and from now on.
    pub fn lift(&self) {
        self.lock().limit = usize::MAX;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, thread};

    use super::*;

    #[test]
    fn no_more_than_the_limit_is_held_but_one_thing_at_least() {
        let budget = Budget::new(8);
        let (sender, things) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                for bytes in (0..1000).map(|i| [3, 5, 100, 0][i % 4]) {
                    budget.take(bytes);
                    let used = budget.lock().used;
                    assert!(used <= 8 || used == bytes, "{used}");
                    sender.send(bytes).unwrap();
                }
                drop(sender);
            });
            assert_eq!(things.iter().inspect(|&bytes| budget.give(bytes)).count(), 1000);
        });
    }

    #[test]
    fn a_lifted_limit_holds_nobody_back() {
        let budget = Budget::new(1);
        thread::scope(|scope| {
            scope.spawn(|| (0..3).for_each(|_| budget.take(5)));
            budget.lift();
        });
        assert_eq!(budget.lock().used, 15);
    }
}

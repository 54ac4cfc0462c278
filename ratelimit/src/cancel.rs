//! A flag that wakes waiters.

use crate::Parker;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lock, mutant};
use std::fmt;

/// A flag that ends waits: once set, it stays set, and everybody who waits with it wakes up.
///
/// Clones share the flag. One flag may serve any number of waits, on any number of limiters.
///
/// ```
/// use ratelimit::{AcquireError, Cancel, RateLimiter};
/// let (limiter, cancel) = (RateLimiter::per_minute(1.0), Cancel::new());
/// std::thread::scope(|scope| {
///     let waiter = scope.spawn(|| limiter.acquire_until(1, &cancel).map(drop));
///     cancel.cancel();
///     assert_eq!(waiter.join().unwrap(), Err(AcquireError::Cancelled));
/// });
/// ```
#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

struct Inner {
    /// Set once, under the lock of `waiting`; read without it by those who only look.
    cancelled: AtomicBool,
    waiting: Mutex<Vec<Parker>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { cancelled: AtomicBool::new(false), waiting: Mutex::new(Vec::new()) }
    }
}

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag and wakes everybody who waits with it. Does not block.
    pub fn cancel(&self) {
        let waiting = {
            let mut waiting = lock(&self.0.waiting);
            // ORDERING: Release pairs with the Acquire in `is_cancelled`: who sees the flag sees
            // what its setter did before. That no waiter is missed is the lock's doing.
            self.0.cancelled.store(true, Ordering::Release);
            std::mem::take(&mut *waiting)
        };
        if !mutant("waiters-not-woken") {
            waiting.iter().for_each(Parker::wake);
        }
    }

    /// Is the flag set?
    pub fn is_cancelled(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `cancel`.
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Has `parker` woken when the flag is set, until the guard is dropped; at once if it is set.
    pub(crate) fn watch(&self, parker: &Parker) -> Watch<'_> {
        let mut waiting = lock(&self.0.waiting);
        if self.is_cancelled() {
            parker.wake();
        } else {
            waiting.push(parker.clone());
        }
        Watch { cancel: self, parker: parker.clone() }
    }
}

/// As long as it lives, the flag wakes the parker.
pub(crate) struct Watch<'a> {
    cancel: &'a Cancel,
    parker: Parker,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        lock(&self.cancel.0.waiting).retain(|parker| !parker.is(&self.parker));
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flag that outlives a million waits must not remember them.
    #[test]
    fn a_wait_that_ended_is_forgotten() {
        let (cancel, staying, leaving) = (Cancel::new(), Parker::new(), Parker::new());
        let kept = cancel.watch(&staying);
        drop(cancel.watch(&leaving));
        let waiting = lock(&cancel.0.waiting).clone();
        assert!(waiting.len() == 1 && waiting[0].is(&staying), "{waiting:?}");
        drop(kept);
        assert!(lock(&cancel.0.waiting).is_empty());
    }
}

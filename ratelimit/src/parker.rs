//! Where one waiting thread sleeps.

use crate::sync::{Arc, Condvar, Mutex, lock, wait, wait_timeout};
use std::{fmt, time::Duration};

/// Where one waiting thread sleeps, and how it is woken. A [`Clock`](crate::Clock) is handed it.
///
/// It holds one token: [`wake`](Parker::wake) puts the token there, and sleeping takes it away, so a
/// wake-up that comes before the sleep is not lost. Clones share the token.
#[derive(Clone)]
pub struct Parker(Arc<Inner>);

struct Inner {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner { woken: Mutex::new(false), changed: Condvar::new() }))
    }

    /// Sleeps until woken. Uses no CPU.
    pub fn park(&self) {
        let mut woken = lock(&self.0.woken);
        while !*woken {
            woken = wait(&self.0.changed, woken);
        }
        *woken = false;
    }

    /// Sleeps until woken, or for `limit` of real time. It may return early, as every sleep may.
    pub fn park_timeout(&self, limit: Duration) {
        let mut woken = lock(&self.0.woken);
        if !*woken {
            woken = wait_timeout(&self.0.changed, woken, limit);
        }
        *woken = false;
    }

    /// Wakes the sleeper, or keeps it from falling asleep next time.
    pub fn wake(&self) {
        *lock(&self.0.woken) = true;
        self.0.changed.notify_one();
    }

    /// Is this the same sleeper?
    pub fn is(&self, other: &Parker) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Parker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parker").finish_non_exhaustive()
    }
}

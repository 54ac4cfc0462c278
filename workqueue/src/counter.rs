//! A counter that threads share.

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::const_unless_loom;

/// A counter that any number of threads may increment through a shared reference; none is lost.
///
/// It counts and orders nothing else: to see what another thread wrote *before* it counted, use the
/// queue or a lock. It wraps around after 2⁶⁴ − 1. Never blocks.
///
/// ```
/// static HITS: workqueue::Counter = workqueue::Counter::new();
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| (0..100).for_each(|_| { HITS.increment(); }));
///     }
/// });
/// assert_eq!(HITS.get(), 400);
/// ```
#[derive(Debug)]
pub struct Counter {
    count: AtomicU64,
}

impl Counter {
    const_unless_loom! {
        /// A counter at zero; fit for a `static`.
        #[must_use]
        pub fn new() -> Self {
            Self { count: AtomicU64::new(0) }
        }
    }

    /// Adds one and returns the new count: among all callers, each count is returned once.
    #[allow(clippy::must_use_candidate)]
    pub fn increment(&self) -> u64 {
        self.add(1)
    }

    /// Adds `n` and returns the new count.
    #[allow(clippy::must_use_candidate)]
    pub fn add(&self, n: u64) -> u64 {
        // ORDERING: Relaxed. A read-modify-write always sees the latest count, and the counter
        // publishes nothing but itself.
        self.count.fetch_add(n, Ordering::Relaxed).wrapping_add(n)
    }

    /// The count now.
    pub fn get(&self) -> u64 {
        // ORDERING: Relaxed, as in `add`.
        self.count.load(Ordering::Relaxed)
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

//! What a worker hands in.

use std::time::Instant;

use crate::Outcome;
use crate::ticket::Entry;

/// What a worker has to say about the tasks that it took, told under the same lock as it takes the
/// next ones.
#[derive(Debug)]
pub(crate) struct Finished<T, R> {
    /// Tasks that returned or panicked.
    pub(crate) ended: usize,
    /// Those of them that panicked.
    pub(crate) panicked: u64,
    /// Their outcomes; none when the queue only counts.
    pub(crate) outcomes: Vec<Outcome<R>>,
    /// Tasks that come back, and when.
    pub(crate) again: Vec<(Entry<T>, Option<Instant>)>,
    /// Tasks that were taken and not started.
    pub(crate) unstarted: Vec<Entry<T>>,
}

impl<T, R> Finished<T, R> {
    pub(crate) const fn new() -> Self {
        Self {
            ended: 0,
            panicked: 0,
            outcomes: Vec::new(),
            again: Vec::new(),
            unstarted: Vec::new(),
        }
    }

    /// Whether nothing of it has to be run or handed back.
    pub(crate) const fn leaves_nothing(&self) -> bool {
        self.again.is_empty() && self.unstarted.is_empty()
    }
}

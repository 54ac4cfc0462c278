//! A queue's figures.

/// A snapshot of a queue's figures, taken at one moment:
/// accepted = queued + running + done + panicked + cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Tasks that wait for a worker, those that wait for a delay to pass included.
    pub queued: usize,
    /// Tasks that a worker has taken and not ended.
    pub running: usize,
    /// Tasks that returned.
    pub done: usize,
    /// Tasks that panicked.
    pub panicked: usize,
    /// Tasks that were handed back, or will be with the report.
    pub cancelled: usize,
    /// Threads that wait for room.
    pub blocked_producers: usize,
    /// Workers that live.
    pub workers: usize,
}

impl Stats {
    /// All tasks that the queue ever accepted.
    pub const fn accepted(&self) -> usize {
        self.queued + self.running + self.done + self.panicked + self.cancelled
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn accepted_is_what_became_of_all() {
        let figures = Stats {
            queued: 1,
            running: 20,
            done: 300,
            panicked: 4_000,
            cancelled: 50_000,
            blocked_producers: 9,
            workers: 9,
        };
        assert_eq!(figures.accepted(), 54_321);
    }
}

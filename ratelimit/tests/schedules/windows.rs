//! Every window of every limit: no more than its burst and what it earned meanwhile.

use crate::reference::{Q, Reference};

/// For one limit: sum of grants less refunds so far, `sum`, and all that the rate allowed so far,
/// `earned`. A window from `i` to `j` may see `burst + earned(j) − earned(i)`, so at each grant
/// `sum(j) − earned(j)` is at most the least of all `burst + sum(before i) − earned(i)`.
pub(crate) struct Windows {
    sum: i128,
    earned: Q,
    least: Q,
    /// The same from the end of the last pause, at which nothing was there.
    after_pause: Option<Q>,
    seen: i128,
}

impl Windows {
    /// From here on; `there` is what can be there now: a full burst, or nothing.
    pub(crate) fn new(now: i128, there: u64) -> Self {
        let least = Q::int(there.into());
        Self { sum: 0, earned: Q::int(0), least, after_pause: None, seen: now }
    }

    fn pass(&mut self, to: i128, rate: Q, burst: u64) {
        self.earned = self.earned.plus(rate.times(to - self.seen));
        self.seen = to;
        let here = Q::int(i128::from(burst) + self.sum).minus(self.earned);
        self.least = self.least.min(here);
    }

    pub(crate) fn granted(&mut self, at: i128, amount: u64, rate: Q, burst: u64) {
        self.pass(at, rate, burst);
        self.sum += i128::from(amount);
        let used = Q::int(self.sum).minus(self.earned);
        assert!(used.at_most(self.least), "a window saw more than burst + rate · t");
        if let Some(bound) = self.after_pause {
            assert!(amount == 0 || used.at_most(bound), "a herd after a pause");
        }
    }

    pub(crate) fn refunded(&mut self, at: i128, amount: u64, rate: Q, burst: u64) {
        self.pass(at, rate, burst);
        self.sum -= i128::from(amount);
    }

    /// Nothing is there now, and nothing is earned until `end`.
    pub(crate) fn paused(&mut self, at: i128, end: i128, rate: Q, burst: u64) {
        self.pass(at, rate, burst);
        let then = self.earned.plus(rate.times(end - at));
        let bound = Q::int(self.sum).minus(then);
        self.after_pause = Some(self.after_pause.map_or(bound, |known| known.min(bound)));
    }

    pub(crate) fn resumed(&mut self) {
        self.after_pause = None;
    }
}

/// Feeds what was granted since the last look.
pub(crate) fn check(windows: &mut [Windows], reference: &Reference, from: usize) {
    for (_, at, cost) in &reference.grants[from..] {
        for (index, limit) in reference.limits.iter().enumerate() {
            assert!(limit.paused_until <= *at, "a grant during a pause");
            windows[index].granted(*at, cost[index], limit.rate, limit.burst);
        }
    }
}

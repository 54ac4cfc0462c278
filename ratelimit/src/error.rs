//! Everything that can go wrong, one narrow type per operation.

use crate::LimitName;
use std::time::Duration;

/// Why a limiter could not be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An empty array of limits.
    #[error("a limiter needs at least one limit: give it a name and a rate")]
    NoLimits,
    /// Two limits of one name could not be told apart in errors and by [`limit_index`].
    ///
    /// [`limit_index`]: crate::RateLimiter::limit_index
    #[error("two limits are called {name:?}: give each its own name")]
    DuplicateName {
        /// The name that stands twice.
        name: LimitName,
    },
    /// The rate of one limit is out of range.
    #[error("limit {limit:?}: {source}")]
    Rate {
        /// The limit.
        limit: LimitName,
        /// What is wrong with its rate.
        source: RateError,
    },
    /// `.in_flight(0)` would let nobody through, ever.
    #[error("in_flight(0) would let nobody through: ask for at least 1, or leave it out")]
    NoneInFlight,
}

/// Why a [`Rate`](crate::Rate) was refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// Zero, negative, infinite or not a number.
    #[error("a rate of {rate} is not a rate: use a finite number above zero")]
    NotPositive {
        /// What was asked for.
        rate: f64,
    },
    /// Below one a day.
    #[error("a rate of {per_day} a day is too slow: one a day is the slowest")]
    TooSlow {
        /// What was asked for, per day.
        per_day: f64,
    },
    /// Above 10⁹ a second.
    #[error("a rate of {per_second} a second is too fast: 1000000000 a second is the fastest")]
    TooFast {
        /// What was asked for, per second.
        per_second: f64,
    },
    /// A period or window of no length.
    #[error("a rate needs a period longer than zero")]
    ZeroPeriod,
    /// A period that does not reduce to a year or less.
    #[error("a period of {period:?} is too long: one year is the longest; divide both sides")]
    PeriodTooLong {
        /// What was asked for.
        period: Duration,
    },
    /// A burst of zero would let nothing through.
    #[error("a burst of 0 lets nothing through: ask for at least 1")]
    ZeroBurst,
    /// [`Rate::at_most`](crate::Rate::at_most) with a burst above the window's whole amount.
    #[error(
        "a burst of {burst} alone breaks at most {at_most} per window: ask for {at_most} or less"
    )]
    BurstAboveWindow {
        /// The burst that was asked for.
        burst: u64,
        /// The most that a window may see.
        at_most: u64,
    },
    /// [`set_rate`](crate::RateLimiter::set_rate) of a limit that does not exist.
    #[error("there is no limit {index}: the limiter has {limits}, counted from 0")]
    NoSuchLimit {
        /// The index that was asked for.
        index: usize,
        /// How many limits there are.
        limits: usize,
    },
}

/// Why a permit was not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// The cost is above what the limit can ever hold: waiting would not help.
    #[error(
        "limit {limit:?} can never grant {cost} at once: its burst is {burst}; \
             split the call or raise the burst"
    )]
    ExceedsBurst {
        /// The limit.
        limit: LimitName,
        /// What was asked of it.
        cost: u64,
        /// The most it grants at once.
        burst: u64,
    },
    /// The wait would not have ended, or did not end, within the time given. Nothing was taken.
    #[error("limit {limit:?} does not let this through in time: try again in {retry_after:?}")]
    Timeout {
        /// The earliest time, from now, at which the same call could be granted.
        retry_after: Duration,
        /// The limit that takes longest.
        limit: LimitName,
    },
    /// [`Cancel::cancel`](crate::Cancel::cancel) was called. Nothing was taken.
    #[error("the wait for a permit was cancelled")]
    Cancelled,
}

/// No permit now; nothing was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("limit {limit:?} does not let this through yet: try again in {retry_after:?}")]
pub struct NotYet {
    /// The earliest time, from now, at which the same call could be granted, behind all those who
    /// wait already. `Duration::MAX` when it never can: the cost is above the limit's burst.
    pub retry_after: Duration,
    /// The limit that takes longest. `in_flight` when as many permits are held as may be: then
    /// `retry_after` counts the other limits alone, since nobody knows when a permit is dropped.
    pub limit: LimitName,
}

impl NotYet {
    /// Trying again is of no use: the cost is above the limit's burst.
    pub fn is_never(&self) -> bool {
        self.retry_after == Duration::MAX
    }
}

/// A limit was named that the limiter does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no limit {name:?}: this limiter has {known}")]
pub struct UnknownLimit {
    /// The name that was asked for.
    pub name: String,
    /// The names that there are, separated by commas.
    pub known: String,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_not_never() {
        let mut refusal = NotYet { retry_after: crate::DAY, limit: LimitName::new("calls") };
        assert!(!refusal.is_never());
        refusal.retry_after = Duration::MAX;
        assert!(refusal.is_never());
    }
}

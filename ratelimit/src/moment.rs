//! An instant on a limiter's clock, in nanoseconds.

use std::time::Duration;

/// Nanoseconds since the clock's zero.
///
/// 128 bits: the longest `Duration` is below 2⁹⁴ ns, so no instant that a clock can show equals
/// [`Moment::NEVER`], and sums saturate there instead of wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u128);

impl Moment {
    pub(crate) const ZERO: Self = Self(0);
    /// Later than any clock can show.
    pub(crate) const NEVER: Self = Self(u128::MAX);

    #[inline]
    pub(crate) fn from_clock(reading: Duration) -> Self {
        Self(reading.as_nanos())
    }

    #[inline]
    pub(crate) fn after(self, nanos: u128) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    pub(crate) fn after_duration(self, duration: Duration) -> Self {
        self.after(duration.as_nanos())
    }

    /// Nanoseconds from `earlier` to here; zero if it is not earlier.
    #[inline]
    pub(crate) fn nanos_since(self, earlier: Self) -> u128 {
        self.0.saturating_sub(earlier.0)
    }

    /// Time from `earlier` to here, at most `Duration::MAX`.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        duration(self.nanos_since(earlier))
    }

    /// The clock's reading at this instant, at most `Duration::MAX`.
    pub(crate) fn reading(self) -> Duration {
        duration(self.0)
    }
}

fn duration(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    match u64::try_from(nanos / SECOND) {
        Ok(seconds) => Duration::new(seconds, (nanos % SECOND) as u32),
        Err(_) => Duration::MAX,
    }
}

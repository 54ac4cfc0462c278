//! An instant on a limiter's clock, in nanoseconds.

use crate::sync::mutant;
use std::time::Duration;

/// Nanoseconds since the clock's zero.
///
/// 64 bits are 584 years. Whatever a clock shows beyond them counts as [`Moment::LAST`], and sums
/// that go beyond are [`Moment::NEVER`] instead of wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const ZERO: Self = Self(0);
    /// The latest that a clock can show.
    const LAST: Self = Self(u64::MAX - 1);
    /// Later than any clock can show.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    #[inline]
    pub(crate) fn from_clock(reading: Duration) -> Self {
        let nanos = u64::try_from(reading.as_nanos());
        nanos.map_or(Self::LAST, |nanos| Self(nanos).min(Self::LAST))
    }

    #[cfg(feature = "quanta")]
    #[inline]
    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    #[inline]
    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn after(self, nanos: u128) -> Self {
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        if mutant("ages-overflow") {
            return Self(self.0.wrapping_add(nanos));
        }
        Self(self.0.saturating_add(nanos))
    }

    pub(crate) fn after_duration(self, duration: Duration) -> Self {
        self.after(duration.as_nanos())
    }

    /// Time from `earlier` to here, zero if it is not earlier; to what never comes, `Duration::MAX`.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        if self == Self::NEVER {
            return Duration::MAX;
        }
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The clock's reading at this instant.
    pub(crate) fn reading(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

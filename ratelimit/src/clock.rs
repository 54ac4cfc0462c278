//! Where a limiter's time comes from.

use crate::sync::Arc;
use crate::{Parker, moment::Moment};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// Where a limiter's time comes from, and how its waiters sleep on it.
///
/// The usual one is [`MonotonicClock`]; [`testing::ManualClock`](crate::testing::ManualClock) is
/// moved by hand. A reading that is lower than an earlier one credits nothing.
pub trait Clock: Send + Sync {
    /// Time since a fixed instant of the clock's own choice. What is beyond 2⁶⁴ ns, 584 years, counts
    /// as that.
    fn now(&self) -> Duration;

    /// Sleeps until the parker is woken or the clock shows `until`, whichever comes first; without
    /// `until`, until woken. Early returns are harmless: the caller looks again.
    ///
    /// As provided it suits a clock that runs with real time.
    fn park(&self, parker: &Parker, until: Option<Duration>) {
        match until {
            None => parker.park(),
            Some(until) => {
                let left = until.saturating_sub(self.now());
                if !left.is_zero() {
                    parker.park_timeout(left);
                }
            }
        }
    }
}

impl fmt::Debug for dyn Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Duration {
        (**self).now()
    }

    fn park(&self, parker: &Parker, until: Option<Duration>) {
        (**self).park(parker, until);
    }
}

/// The operating system's monotonic clock, counted from when this value was made: the default.
///
/// On Linux it stands still while the machine is suspended: credit is then short, which is safe.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock {
    zero: Instant,
}

impl MonotonicClock {
    /// A clock that shows zero now.
    pub fn new() -> Self {
        Self { zero: Instant::now() }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    #[inline]
    fn now(&self) -> Duration {
        self.zero.elapsed()
    }
}

/// The processor's time stamp counter, read by the `quanta` crate, counted from when this value was
/// made. A read costs 20 ns less than the operating system's clock where we measured, and is only as
/// right across cores as the processor makes it. Chosen by [`Builder::quanta`](crate::Builder::quanta).
#[cfg(feature = "quanta")]
#[derive(Debug, Clone)]
pub struct QuantaClock {
    clock: quanta::Clock,
    zero: u64,
    /// Nanoseconds in 2⁴⁰ ticks: right to a part in 10¹¹ even at 10 GHz.
    nanos_in_2_40: u64,
}

#[cfg(feature = "quanta")]
impl QuantaClock {
    /// A clock that shows zero now. The first one in a process measures the counter for a moment.
    pub fn new() -> Self {
        let clock = quanta::Clock::new();
        Self { zero: clock.raw(), nanos_in_2_40: clock.delta_as_nanos(0, 1 << 40), clock }
    }

    #[inline]
    fn nanos(&self) -> u64 {
        self.scaled(self.clock.raw().saturating_sub(self.zero))
    }

    /// As quanta's `delta_as_nanos`, which asks anew each time what kind of clock it is: with that a
    /// permit takes 9.9 ns, with this 9.5, which is what reading the counter takes (AMD Zen 4).
    #[inline]
    fn scaled(&self, ticks: u64) -> u64 {
        let nanos = (u128::from(ticks) * u128::from(self.nanos_in_2_40)) >> 40;
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

#[cfg(feature = "quanta")]
impl Default for QuantaClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "quanta")]
impl Clock for QuantaClock {
    #[inline]
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }
}

/// The crate's own clocks without a virtual call, any other behind one.
///
/// With a tag of its own: one that is folded into the clocks' fields takes longer to tell.
#[derive(Debug)]
#[repr(u8)]
pub(crate) enum Time {
    Monotonic(MonotonicClock),
    #[cfg(feature = "quanta")]
    Quanta(QuantaClock),
    Other(Arc<dyn Clock>),
}

impl Time {
    #[inline]
    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::Monotonic(clock) => Moment::from_clock(clock.now()),
            // Without the detour over seconds, which costs as much as the rest of the fast path.
            #[cfg(feature = "quanta")]
            Self::Quanta(clock) => Moment::from_nanos(clock.nanos()),
            Self::Other(clock) => Moment::from_clock(clock.now()),
        }
    }

    pub(crate) fn park(&self, parker: &Parker, until: Option<Duration>) {
        match self {
            Self::Monotonic(clock) => clock.park(parker, until),
            #[cfg(feature = "quanta")]
            Self::Quanta(clock) => clock.park(parker, until),
            Self::Other(clock) => clock.park(parker, until),
        }
    }
}

#[cfg(all(test, feature = "quanta", not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_counter_moves() {
        let clock = QuantaClock::new();
        // Microseconds, where a reading takes tens of nanoseconds.
        let moves = || (0..1_000_000).any(|_| clock.now() > Duration::from_micros(1));
        assert!(moves(), "it shows {:?}", clock.now());
        let time = Time::Quanta(clock.clone());
        assert!(time.now() >= Moment::from_clock(Duration::from_micros(1)));
    }

    #[test]
    fn ticks_are_scaled_as_quanta_does() {
        let clock = QuantaClock::new();
        for ticks in [0, 1, 1_000, 1 << 32, 1 << 40, 3 << 50, 1 << 60] {
            let (ours, theirs) = (clock.scaled(ticks), clock.clock.delta_as_nanos(0, ticks));
            let rounded = 1 + (ticks >> 40);
            assert!(ours <= theirs && theirs - ours <= rounded, "{ticks}: {ours}, {theirs}");
        }
        assert_eq!(QuantaClock { nanos_in_2_40: 1 << 41, ..clock }.scaled(u64::MAX), u64::MAX);
    }
}

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
}

#[cfg(feature = "quanta")]
impl QuantaClock {
    /// A clock that shows zero now. The first one in a process measures the counter for a moment.
    pub fn new() -> Self {
        let clock = quanta::Clock::new();
        Self { zero: clock.raw(), clock }
    }

    #[inline]
    fn nanos(&self) -> u64 {
        let now = self.clock.raw();
        self.clock.delta_as_nanos(self.zero, now)
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
}

//! Where a limiter's time comes from.

use crate::Parker;
use crate::sync::Arc;
#[cfg(not(feature = "quanta"))]
use std::time::Instant;
use std::{fmt, time::Duration};

/// Where a limiter's time comes from, and how its waiters sleep on it.
///
/// The usual one is [`MonotonicClock`]; [`testing::ManualClock`](crate::testing::ManualClock) is
/// moved by hand. A reading that is lower than an earlier one credits nothing.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time since a fixed instant of the clock's own choice.
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

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Duration {
        (**self).now()
    }

    fn park(&self, parker: &Parker, until: Option<Duration>) {
        (**self).park(parker, until);
    }
}

/// The operating system's monotonic clock, counted from when this value was made.
///
/// On Linux it stands still while the machine is suspended: credit is then short, which is safe.
/// With the crate's feature `quanta` it reads the processor's time stamp counter instead, which is
/// cheaper and only as right across cores as the processor makes it.
#[derive(Debug, Clone)]
pub struct MonotonicClock {
    #[cfg(not(feature = "quanta"))]
    zero: Instant,
    #[cfg(feature = "quanta")]
    clock: quanta::Clock,
    #[cfg(feature = "quanta")]
    zero: u64,
}

#[cfg(not(feature = "quanta"))]
impl MonotonicClock {
    /// A clock that shows zero now.
    pub fn new() -> Self {
        Self { zero: Instant::now() }
    }
}

#[cfg(not(feature = "quanta"))]
impl Clock for MonotonicClock {
    #[inline]
    fn now(&self) -> Duration {
        self.zero.elapsed()
    }
}

#[cfg(feature = "quanta")]
impl MonotonicClock {
    /// A clock that shows zero now.
    pub fn new() -> Self {
        let clock = quanta::Clock::new();
        Self { zero: clock.raw(), clock }
    }
}

#[cfg(feature = "quanta")]
impl Clock for MonotonicClock {
    #[inline]
    fn now(&self) -> Duration {
        self.clock.delta(self.zero, self.clock.raw())
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

/// The usual clock without a virtual call, any other behind one.
#[derive(Debug)]
pub(crate) enum Time {
    Monotonic(MonotonicClock),
    Other(Arc<dyn Clock>),
}

impl Time {
    #[inline]
    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::Monotonic(clock) => clock.now(),
            Self::Other(clock) => clock.now(),
        }
    }

    pub(crate) fn park(&self, parker: &Parker, until: Option<Duration>) {
        match self {
            Self::Monotonic(clock) => clock.park(parker, until),
            Self::Other(clock) => clock.park(parker, until),
        }
    }
}

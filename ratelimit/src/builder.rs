//! A limiter's options.

use crate::clock::{Clock, MonotonicClock, Time};
use crate::core::Core;
use crate::sync::Arc;
use crate::{BuildError, LimitName, Rate, RateLimiter};

/// Options of a [`RateLimiter`], from [`RateLimiter::builder`].
#[derive(Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct Builder<const N: usize> {
    limits: [(LimitName, Rate); N],
    in_flight: Option<usize>,
    full: bool,
    time: Option<Time>,
}

impl<const N: usize> Builder<N> {
    pub(crate) fn new<S: Into<String>>(limits: [(S, Rate); N]) -> Self {
        let limits = limits.map(|(name, rate)| (LimitName::new(name), rate));
        Self { limits, in_flight: None, full: false, time: None }
    }

    /// At most `max` permits are held at once: the head of the line waits until one is dropped.
    /// For providers that limit calls at once, too. Without it nothing is counted, at no cost.
    pub fn in_flight(mut self, max: usize) -> Self {
        self.in_flight = Some(max);
        self
    }

    /// Starts with full levels, for those who want the first calls at once. Otherwise a limiter
    /// starts empty, so that a restarted program does not send a burst on top of the last one's.
    pub fn start_full(mut self) -> Self {
        self.full = true;
        self
    }

    /// Another clock than [`MonotonicClock`]: most often a
    /// [`ManualClock`](crate::testing::ManualClock).
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.time = Some(Time::Other(Arc::new(clock)));
        self
    }

    /// The time stamp counter as the clock: [`QuantaClock`](crate::QuantaClock).
    #[cfg(feature = "quanta")]
    pub fn quanta(mut self) -> Self {
        self.time = Some(Time::Quanta(crate::QuantaClock::new()));
        self
    }

    /// The limiter.
    ///
    /// # Errors
    /// No limit, two of one name, a rate out of range, or a bound of zero.
    pub fn build(self) -> Result<RateLimiter<N>, BuildError> {
        if N == 0 {
            return Err(BuildError::NoLimits);
        }
        if self.in_flight == Some(0) {
            return Err(BuildError::NoneInFlight);
        }
        let mut checked = Vec::with_capacity(N);
        for (index, (name, rate)) in self.limits.iter().enumerate() {
            if self.limits[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(BuildError::DuplicateName { name: name.clone() });
            }
            let limit = rate.limit();
            checked.push(limit.map_err(|source| BuildError::Rate { limit: name.clone(), source })?);
        }
        let limits = std::array::from_fn(|index| checked[index]);
        let names = self.limits.map(|(name, _)| name);
        let time = self.time.unwrap_or_else(|| Time::Monotonic(MonotonicClock::new()));
        Ok(RateLimiter::from_core(Core::new(time, names, limits, self.full, self.in_flight)))
    }
}

//! The limiter: what callers call.

use crate::core::{Core, Joined, Patience};
use crate::line::Grant;
use crate::moment::Moment;
use crate::sync::Arc;
use crate::{
    AcquireError, BuildError, Builder, Cancel, Cost, LimitName, NotYet, OwnedPermit, Permit, Rate,
    RateError, Reservation, Stats,
};
use std::{fmt, time::Duration};

/// A token bucket with `N` limits that are taken at once, first come first served.
///
/// Clones share the limits. `Send` and `Sync`: one limiter serves any number of threads.
pub struct RateLimiter<const N: usize = 1> {
    core: Arc<Core<N>>,
}

impl<const N: usize> RateLimiter<N> {
    /// A limiter of these limits, each with its name. It starts empty.
    ///
    /// # Errors
    /// No limit, two of one name, or a rate out of range.
    pub fn new<S: Into<String>>(limits: [(S, Rate); N]) -> Result<Self, BuildError> {
        Self::builder(limits).build()
    }

    /// A limiter of these limits with options.
    pub fn builder<S: Into<String>>(limits: [(S, Rate); N]) -> Builder<N> {
        Builder::new(limits)
    }

    pub(crate) fn from_core(core: Core<N>) -> Self {
        Self { core: Arc::new(core) }
    }

    /// Would a new limiter in its place be no stricter? Nobody else holds it, and it is as full as
    /// it can get.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.core) == 1 && self.core.is_idle()
    }

    pub(crate) fn core(&self) -> &Core<N> {
        &self.core
    }

    /// Blocks until it is this caller's turn and every limit covers the cost, then takes from all at
    /// once. First come, first served. Sleeps outside every lock and uses no CPU meanwhile.
    ///
    /// # Errors
    /// [`AcquireError::ExceedsBurst`], at once, if the cost is above a limit's burst.
    #[inline]
    pub fn acquire(&self, cost: impl Into<Cost<N>>) -> Result<Permit<'_, N>, AcquireError> {
        self.acquire_with(cost.into(), Patience::ENDLESS)
    }

    /// As [`acquire`](Self::acquire), waiting for at most `limit` of the limiter's time. A wait that
    /// cannot end in time fails at once; either way nothing is taken.
    ///
    /// # Errors
    /// As `acquire`, and [`AcquireError::Timeout`], which says when to come again.
    pub fn acquire_timeout(
        &self,
        cost: impl Into<Cost<N>>,
        limit: Duration,
    ) -> Result<Permit<'_, N>, AcquireError> {
        let deadline = self.core.now().after_duration(limit);
        self.acquire_with(cost.into(), Patience { deadline, cancel: None })
    }

    /// As [`acquire`](Self::acquire), until cancelled; nothing is taken then.
    ///
    /// # Errors
    /// As `acquire`, and [`AcquireError::Cancelled`], also if that had happened before.
    pub fn acquire_until(
        &self,
        cost: impl Into<Cost<N>>,
        cancel: &Cancel,
    ) -> Result<Permit<'_, N>, AcquireError> {
        self.acquire_with(cost.into(), Patience { cancel: Some(cancel), ..Patience::ENDLESS })
    }

    /// [`acquire_timeout`](Self::acquire_timeout) and [`acquire_until`](Self::acquire_until) in one:
    /// whichever ends first.
    ///
    /// # Errors
    /// As both.
    pub fn acquire_within(
        &self,
        cost: impl Into<Cost<N>>,
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<Permit<'_, N>, AcquireError> {
        let deadline = self.core.now().after_duration(limit);
        self.acquire_with(cost.into(), Patience { deadline, cancel: Some(cancel) })
    }

    #[inline]
    fn acquire_with(
        &self,
        cost: Cost<N>,
        patience: Patience<'_>,
    ) -> Result<Permit<'_, N>, AcquireError> {
        if patience.is_cancelled() {
            return Err(AcquireError::Cancelled);
        }
        if let Some(at) = self.core.take_now(cost) {
            return Ok(Permit::new(&self.core, Grant::at_once(cost, at)));
        }
        Ok(Permit::new(&self.core, self.core.take_in_line(cost, patience)?))
    }

    /// A permit if it is there and nobody waits; never blocks.
    ///
    /// # Errors
    /// [`NotYet`] says when to come again and which limit takes longest.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its fast path is, see `Core::take_now`")]
    pub fn try_acquire(&self, cost: impl Into<Cost<N>>) -> Result<Permit<'_, N>, NotYet> {
        let cost = cost.into();
        if let Some(at) = self.core.take_now(cost) {
            return Ok(Permit::new(&self.core, Grant::at_once(cost, at)));
        }
        Ok(Permit::new(&self.core, self.core.take_or_tell(cost)?))
    }

    /// As [`acquire`](Self::acquire), with a permit that keeps the limiter alive.
    ///
    /// # Errors
    /// As `acquire`.
    pub fn acquire_owned(&self, cost: impl Into<Cost<N>>) -> Result<OwnedPermit<N>, AcquireError> {
        let cost = cost.into();
        let grant = match self.core.take_now(cost) {
            Some(at) => Grant::at_once(cost, at),
            None => self.core.take_in_line(cost, Patience::ENDLESS)?,
        };
        Ok(OwnedPermit::new(self.clone(), grant))
    }

    /// Takes a place in line without waiting; never blocks.
    ///
    /// # Errors
    /// [`AcquireError::ExceedsBurst`] if the cost is above a limit's burst.
    pub fn reserve(&self, cost: impl Into<Cost<N>>) -> Result<Reservation<'_, N>, AcquireError> {
        Ok(match self.core.join(cost.into(), Moment::NEVER)? {
            Joined::Granted(grant) => Reservation::granted(&self.core, grant),
            Joined::Waiting(place) => Reservation::waiting(&self.core, place),
        })
    }

    /// Stops everybody for `length`: what a provider's 429 with Retry-After asks for.
    ///
    /// The levels drop to zero, for the provider has just said that its own are empty, and nothing
    /// is earned until the end; afterwards callers leave at the rate, not in a herd. Of overlapping
    /// pauses the later end holds. Calls that are under way are not stopped.
    pub fn pause_for(&self, length: Duration) {
        tracing::debug!(?length, "every limit is paused");
        self.core.change(|front| (0..N).for_each(|limit| front.levels.pause(limit, length)));
    }

    /// Pauses one limit alone, by its index; the others go on earning. Nobody is granted anything
    /// before its end, not even a call that costs nothing of this limit: all wait in one line, and a
    /// call that passed it would pass those who need it.
    ///
    /// # Panics
    /// If there is no such limit.
    pub fn pause_limit(&self, limit: usize, length: Duration) {
        Self::check(limit);
        tracing::debug!(limit = %self.core.names()[limit], ?length, "a limit is paused");
        self.core.change(|front| front.levels.pause(limit, length));
    }

    /// Ends every pause now. Levels earn again from here on.
    pub fn resume(&self) {
        tracing::debug!("pauses are over");
        self.core.change(|front| front.levels.resume());
    }

    /// Takes over what the provider's headers say about one limit: it has `remaining` left, and
    /// `in_flight` are on their way that it has not counted yet. The level is lowered to the
    /// difference, never raised.
    ///
    /// # Panics
    /// If there is no such limit.
    pub fn observe(&self, limit: usize, remaining: u64, in_flight: u64) {
        Self::check(limit);
        self.core.change(|front| front.levels.observe(limit, remaining, in_flight));
    }

    /// Gives one limit another rate and burst from now on; those who wait feel it at once. What was
    /// earned stays, up to the new burst. Waiting callers whose cost no longer fits into the burst
    /// get [`AcquireError::ExceedsBurst`].
    ///
    /// # Errors
    /// A rate out of range or a limit that does not exist; nothing is changed then.
    pub fn set_rate(&self, limit: usize, rate: Rate) -> Result<(), RateError> {
        if limit >= N {
            return Err(RateError::NoSuchLimit { index: limit, limits: N });
        }
        let checked = rate.limit()?;
        tracing::debug!(limit = %self.core.names()[limit], ?rate, "a limit has another rate");
        self.core.change(|front| {
            front.levels.set_rate(limit, checked);
            front.rate_changed = true;
        });
        Ok(())
    }

    /// Figures to look at, consistent with each other.
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// The limits' names, in the order in which they were given: the order of a [`Cost`].
    pub fn names(&self) -> &[LimitName; N] {
        self.core.names()
    }

    /// The index of the limit of this name.
    pub fn limit_index(&self, name: &str) -> Option<usize> {
        self.core.limit_index(name)
    }

    #[track_caller]
    fn check(limit: usize) {
        assert!(limit < N, "there is no limit {limit}: the limiter has {N}, counted from 0");
    }
}

/// One limit, called `rate`.
impl RateLimiter<1> {
    /// `rate` permits a second, one second's worth of burst, empty at the start.
    ///
    /// # Panics
    /// On a rate that is not above zero and finite, or outside one a day to 10⁹ a second.
    /// [`new`](RateLimiter::new) returns an error instead.
    #[track_caller]
    pub fn per_second(rate: f64) -> Self {
        Self::single(Rate::per_second(rate))
    }

    /// `rate` permits a minute, one second's worth of burst (at least 1), empty at the start.
    ///
    /// # Panics
    /// As [`per_second`](RateLimiter::per_second).
    #[track_caller]
    pub fn per_minute(rate: f64) -> Self {
        Self::single(Rate::per_minute(rate))
    }

    #[track_caller]
    fn single(rate: Rate) -> Self {
        Self::new([("rate", rate)]).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Blocks until one permit is there. It cannot fail: a burst is never below 1.
    #[inline]
    pub fn acquire_one(&self) -> Permit<'_, 1> {
        match self.acquire(1) {
            Ok(permit) => permit,
            Err(error) => unreachable!("a burst is at least 1, and nothing ends the wait: {error}"),
        }
    }

    /// One permit if it is there and nobody waits; never blocks.
    ///
    /// # Errors
    /// [`NotYet`] says when to come again.
    #[inline]
    pub fn try_acquire_one(&self) -> Result<Permit<'_, 1>, NotYet> {
        self.try_acquire(1)
    }
}

impl<const N: usize> Clone for RateLimiter<N> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone() }
    }
}

impl<const N: usize> fmt::Debug for RateLimiter<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("limits", self.core.names()).finish_non_exhaustive()
    }
}

//! A stage's limiter with its types erased: what a step costs, its permit, and what settles it.

use std::any::Any;
use std::marker::PhantomData;
use std::time::Duration;

use ratelimit::{AcquireError, Cancel, Cost, LimitStats, Permit, RateLimiter, Reservation};

use crate::cx::Cx;
use crate::fault::Fault;
use crate::inputs::{Given, Inputs};

/// What stands before a stage's calls.
pub(crate) trait Gate: Send + Sync {
    /// Blocks until the step's cost is granted, or until `cancel`: then there is no permit.
    ///
    /// `held` is the stage's `Inputs::Held`.
    fn pass<'g>(
        &'g self,
        held: &dyn Any,
        cancel: &Cancel,
    ) -> Result<Option<Box<dyn Passed + 'g>>, Fault>;

    /// The service said "later" to everybody.
    fn pause(&self, pause: Duration);

    /// The limits' names.
    fn names(&self) -> Vec<String>;

    /// A place in the limiter's line for a step, which nobody will take: when its turn would come.
    /// `None` if its cost cannot be told or never be granted.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    fn foresee<'g>(&'g self, given: &[Given]) -> Option<Box<dyn Foreseen + 'g>>;

    /// What callers wait for just now, if some do.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    fn waited_for(&self) -> Option<Wait>;
}

/// A place in line.
#[cfg_attr(not(feature = "cli"), allow(dead_code))]
pub(crate) trait Foreseen {
    /// Time until its turn.
    fn due_in(&self) -> Duration;
}

impl<const N: usize> Foreseen for Reservation<'_, N> {
    fn due_in(&self) -> Duration {
        self.ready_in()
    }
}

/// The limit that holds callers up.
#[cfg_attr(not(feature = "cli"), allow(dead_code))]
pub(crate) struct Wait {
    pub(crate) limit: String,
    /// What is left of its pause; zero if it is only its rate.
    pub(crate) paused_for: Duration,
}

/// A permit during a call.
pub(crate) trait Passed {
    /// Charges or refunds the difference to what the call said that it used.
    fn settle(self: Box<Self>, cx: &Cx<'_>);
}

/// A limiter and the cost of a step.
pub(crate) struct Limited<I, F, C, const N: usize> {
    limiter: RateLimiter<N>,
    cost: F,
    of: PhantomData<fn(I) -> C>,
}

impl<I, F, C, const N: usize> Limited<I, F, C, N> {
    pub(crate) fn new(limiter: RateLimiter<N>, cost: F) -> Self {
        Limited { limiter, cost, of: PhantomData }
    }
}

impl<I, F, C, const N: usize> Gate for Limited<I, F, C, N>
where
    I: Inputs,
    C: Into<Cost<N>> + 'static,
    F: for<'a> Fn(I::Refs<'a>) -> C + Send + Sync,
{
    fn pass<'g>(
        &'g self,
        held: &dyn Any,
        cancel: &Cancel,
    ) -> Result<Option<Box<dyn Passed + 'g>>, Fault> {
        let Some(held) = held.downcast_ref::<I::Held>() else {
            return Err(Fault::fatal("the engine handed a limiter another stage's inputs"));
        };
        let cost: Cost<N> = (self.cost)(I::lend(held)).into();
        match self.limiter.acquire_until(cost, cancel) {
            Ok(permit) => {
                tracing::debug!(
                    limits = ?self.names(),
                    cost = ?cost.amounts(),
                    granted_at_ns = permit.granted_at().as_nanos(),
                    waited_ns = permit.waited().as_nanos(),
                    "permit granted"
                );
                Ok(Some(Box::new(Granted { permit, cost, limiter: &self.limiter })))
            }
            Err(AcquireError::Cancelled) => Ok(None),
            Err(error @ AcquireError::ExceedsBurst { .. }) => Err(Fault::fatal(error)),
            Err(error) => Err(Fault::transient(error)),
        }
    }

    fn pause(&self, pause: Duration) {
        self.limiter.pause_for(pause);
    }

    fn names(&self) -> Vec<String> {
        self.limiter.stats().limits.iter().map(|limit| limit.name.to_string()).collect()
    }

    fn foresee<'g>(&'g self, given: &[Given]) -> Option<Box<dyn Foreseen + 'g>> {
        let held = I::hold(given).ok()?;
        let cost: Cost<N> = (self.cost)(I::lend(&held)).into();
        Some(Box::new(self.limiter.reserve(cost).ok()?))
    }

    fn waited_for(&self) -> Option<Wait> {
        let stats = self.limiter.stats();
        let calls_left = |limit: &LimitStats| {
            let of_one = limit.granted as f64 / stats.granted.max(1) as f64;
            limit.available as f64 / of_one.max(1.0)
        };
        // The one that is paused longest; without a pause the one with enough for the fewest calls.
        let limit = stats.limits.iter().filter(|_| stats.waiting > 0).min_by(|a, b| {
            let paused = b.paused_for.cmp(&a.paused_for);
            paused.then(calls_left(a).total_cmp(&calls_left(b)))
        })?;
        Some(Wait { limit: limit.name.to_string(), paused_for: limit.paused_for })
    }
}

struct Granted<'g, const N: usize> {
    permit: Permit<'g, N>,
    cost: Cost<N>,
    limiter: &'g RateLimiter<N>,
}

impl<const N: usize> Passed for Granted<'_, N> {
    fn settle(self: Box<Self>, cx: &Cx<'_>) {
        let named = cx.limits_named();
        if named.is_empty() {
            return; // the estimate stands
        }
        let mut amounts = self.cost.amounts();
        for name in named {
            if let Some(index) = self.limiter.limit_index(&name) {
                amounts[index] = cx.used_of(&name).unwrap_or(amounts[index]);
            } else {
                // What was paid must not be lost over a misspelt name: the estimate stands, loudly.
                tracing::warn!(
                    stage = cx.stage(),
                    limit = name,
                    "cx.used(..) of a limit that the stage's limiter does not have"
                );
            }
        }
        self.permit.settle(amounts);
        tracing::debug!(charged = ?self.cost.amounts(), used = ?amounts, "permit settled");
    }
}

#[cfg(test)]
mod tests {
    use ratelimit::Rate;

    use super::*;
    use crate::node::{Node, Root};

    #[test]
    fn who_waits_is_told_for_which_limit() {
        let rates = [("requests", Rate::per_second(1e9)), ("tokens", Rate::per_minute(1.0))];
        let limiter = RateLimiter::new(rates).unwrap();
        let gate = Limited::<Node<u8, Root>, _, [u64; 2], 2>::new(limiter.clone(), |_: &u8| [1, 1]);
        let wait = || gate.waited_for().map(|wait| (wait.limit, wait.paused_for.is_zero()));
        assert_eq!(wait(), None, "nobody waits yet");
        let line = limiter.reserve([1, 1]).unwrap();
        assert_eq!(wait(), Some(("tokens".to_string(), true)));
        limiter.pause_limit(0, Duration::from_secs(60));
        assert_eq!(wait(), Some(("requests".to_string(), false)));
        drop(line);
    }
}

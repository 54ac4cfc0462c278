//! A stage's limiter with its types erased: what a step costs, its permit, and what settles it.

use std::any::Any;
use std::marker::PhantomData;
use std::time::Duration;

use ratelimit::{AcquireError, Cancel, Cost, Permit, RateLimiter};

use crate::cx::Cx;
use crate::fault::Fault;
use crate::inputs::Inputs;

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
            Ok(permit) => Ok(Some(Box::new(Granted { permit, cost, limiter: &self.limiter }))),
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
    }
}

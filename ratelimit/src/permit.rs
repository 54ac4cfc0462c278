//! What a granted caller holds.

use crate::{Cost, LimitName, RateLimiter, UnknownLimit, core::Core, line::Grant};
use std::{fmt, time::Duration};

/// Leave to make one call, paid for when it was granted.
///
/// Dropping it changes nothing about the charge: the call counts as made at its estimated cost, since
/// even a call that failed may have been billed. If the true cost turns out otherwise,
/// [`settle`](Permit::settle) charges or refunds the difference. Where permits in flight are bounded,
/// dropping it gives its place to the next in line. `Send` and `Sync`.
pub struct Permit<'a, const N: usize> {
    core: &'a Core<N>,
    grant: Grant<N>,
}

/// A [`Permit`] that keeps its limiter alive, for those who must store it. Costs an `Arc` clone.
#[must_use = "where permits in flight are bounded, dropping one gives its place away"]
pub struct OwnedPermit<const N: usize> {
    limiter: RateLimiter<N>,
    grant: Grant<N>,
}

/// The same methods for both kinds of permit; they differ in how they reach the limiter.
macro_rules! permit {
    ([$($generics:tt)*] $permit:ty, $self:ident => $core:expr) => {
        impl<$($generics)*> $permit {
            /// What was charged: the estimate, or what it was settled to since.
            pub fn cost(&self) -> Cost<N> {
                self.grant.cost
            }

            /// When it was granted, by the limiter's clock: the instant at which every limit
            /// covered the cost. A caller that wakes up later than that has lost nothing.
            pub fn granted_at(&self) -> Duration {
                self.grant.at.reading()
            }

            /// Time in line, from joining to the grant.
            pub fn waited(&self) -> Duration {
                self.grant.at.since(self.grant.joined)
            }

            /// The limiter's limits, in the order of [`cost`](Self::cost).
            pub fn limits(&$self) -> &[LimitName; N] {
                $core.names()
            }

            /// Says what the call really cost: charges or refunds the difference, and ends the
            /// permit. A refund never fills a limit above its burst; an overcharge may take a level
            /// below zero, and those who wait then wait longer. Settle to 0 only what was never
            /// sent. Does not block on other callers' waits.
            pub fn settle(mut self, actual: impl Into<Cost<N>>) {
                self.adjust(actual);
            }

            /// As [`settle`](Self::settle), and the permit stays: for a cost that comes in parts.
            pub fn adjust(&mut $self, actual: impl Into<Cost<N>>) {
                let (charged, actual) = ($self.grant.cost, actual.into());
                if charged != actual {
                    $core.change(|front| front.levels.settle(charged, actual));
                    $self.grant.cost = actual;
                }
            }

            /// As [`adjust`](Self::adjust), for one limit by its name; the other charges stay.
            ///
            /// # Errors
            /// When the limiter has no limit of that name; nothing is changed then.
            pub fn settle_limit(&mut $self, name: &str, actual: u64) -> Result<(), UnknownLimit> {
                let limit = $core.limit_index(name).ok_or_else(|| $core.unknown(name))?;
                let cost = $self.grant.cost.with(limit, actual);
                $self.adjust(cost);
                Ok(())
            }
        }

        impl<$($generics)*> Drop for $permit {
            #[inline]
            fn drop(&mut $self) {
                if $core.bounded {
                    $core.change(crate::front::Front::release);
                }
            }
        }

        impl<$($generics)*> fmt::Debug for $permit {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($permit))
                    .field("cost", &self.cost().amounts())
                    .field("granted_at", &self.granted_at())
                    .field("waited", &self.waited())
                    .finish()
            }
        }
    };
}

permit!(['a, const N: usize] Permit<'a, N>, self => self.core);
permit!([const N: usize] OwnedPermit<N>, self => self.limiter.core());

impl<'a, const N: usize> Permit<'a, N> {
    #[inline]
    pub(crate) fn new(core: &'a Core<N>, grant: Grant<N>) -> Self {
        Self { core, grant }
    }
}

impl<const N: usize> OwnedPermit<N> {
    pub(crate) fn new(limiter: RateLimiter<N>, grant: Grant<N>) -> Self {
        Self { limiter, grant }
    }
}

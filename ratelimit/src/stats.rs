//! Figures to look at while a limiter works.

use crate::{Cost, LimitName};
use std::time::Duration;

/// A limiter's figures at one instant. Taken under its locks, so they belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Callers and reservations in line.
    pub waiting: usize,
    /// Permits granted so far; those of dropped reservations count, too.
    pub granted: u64,
    /// Calls refused so far because no permit was to be had now, or in time.
    pub refused: u64,
    /// Permits held; 0 where [`in_flight`](crate::Builder::in_flight) does not bound them.
    pub in_flight: usize,
    /// Time that all granted permits waited in line together, by the limiter's clock.
    pub total_wait: Duration,
    /// Each limit's figures, in the order in which they were given.
    pub limits: Vec<LimitStats>,
}

/// One limit's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitStats {
    /// Its name.
    pub name: LimitName,
    /// Whole permits that are there now; below zero after an overcharge.
    pub available: i64,
    /// The amount granted so far, as estimated by the calls' costs.
    pub granted: u64,
    /// Refusals that were this limit's doing.
    pub refused: u64,
    /// What is left of its pause; zero if it is not paused.
    pub paused_for: Duration,
    /// The part of all waiting in which this limit took longest.
    pub total_wait: Duration,
}

/// What is counted as it happens.
#[derive(Debug)]
pub(crate) struct Tally<const N: usize> {
    permits: u64,
    refused_in_flight: u64,
    granted: [u64; N],
    refused: [u64; N],
    waited: [Duration; N],
}

impl<const N: usize> Tally<N> {
    pub(crate) fn new() -> Self {
        Self {
            permits: 0,
            refused_in_flight: 0,
            granted: [0; N],
            refused: [0; N],
            waited: [Duration::ZERO; N],
        }
    }

    #[inline]
    pub(crate) fn granted(&mut self, cost: Cost<N>) {
        self.permits = self.permits.wrapping_add(1);
        for (sum, amount) in self.granted.iter_mut().zip(cost.amounts()) {
            *sum = sum.wrapping_add(amount);
        }
    }

    pub(crate) fn refused(&mut self, limit: Option<usize>) {
        match limit {
            Some(limit) => self.refused[limit] += 1,
            None => self.refused_in_flight += 1,
        }
    }

    pub(crate) fn waited(&mut self, limit: usize, time: Duration) {
        self.waited[limit] = self.waited[limit].saturating_add(time);
    }
}

impl Stats {
    pub(crate) fn of<const N: usize>(
        front: &crate::front::Front<N>,
        names: &[LimitName; N],
        waiting: usize,
    ) -> Self {
        let (tally, now) = (&front.tally, front.levels.at());
        let limits = front.levels.buckets().iter().enumerate().map(|(index, bucket)| LimitStats {
            name: names[index].clone(),
            available: bucket.available(now),
            granted: tally.granted[index],
            refused: tally.refused[index],
            paused_for: bucket.paused_until().since(now),
            total_wait: tally.waited[index],
        });
        Self {
            waiting,
            granted: tally.permits,
            refused: tally.refused.iter().sum::<u64>() + tally.refused_in_flight,
            in_flight: front.held(),
            total_wait: tally
                .waited
                .iter()
                .fold(Duration::ZERO, |sum, one| sum.saturating_add(*one)),
            limits: limits.collect(),
        }
    }
}

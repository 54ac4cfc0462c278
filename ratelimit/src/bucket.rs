//! The levels of all limits, in exact arithmetic.
//!
//! A level is counted in parts of a permit, as many parts as the limit's period has nanoseconds. A
//! nanosecond then earns a whole number of parts (the limit's amount), so nothing is ever rounded
//! and no remainder is lost. Bounds: a burst is below 2⁶⁴ permits and a period below 2⁵⁵ ns, so a
//! full level is below 2¹¹⁹ parts; what is earned at once saturates at 2¹²⁷, and a debt is cut off
//! at 2¹²⁶, so `i128` never overflows and a saturated credit always means "full".

use crate::{Cost, moment::Moment, sync::mutant};
use std::time::Duration;

/// The deepest debt: beyond it overcharges are forgiven. It takes 128 of the largest to get there.
const DEEPEST: i128 = -(1 << 126);

/// Rate and burst of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Permits earned in a period; parts earned in a nanosecond.
    amount: u64,
    /// The period; parts of a permit.
    period_ns: u64,
    burst: u64,
}

impl Limit {
    pub(crate) const fn new(amount: u64, period_ns: u64, burst: u64) -> Self {
        Self { amount, period_ns, burst }
    }

    #[cfg(test)]
    pub(crate) const fn amount(&self) -> u64 {
        self.amount
    }

    #[cfg(test)]
    pub(crate) const fn period_ns(&self) -> u64 {
        self.period_ns
    }

    pub(crate) const fn burst(&self) -> u64 {
        self.burst
    }

    #[inline]
    fn parts(&self, permits: u64) -> i128 {
        // Below 2¹¹⁹, see above.
        i128::from(permits) * i128::from(self.period_ns)
    }

    /// A level after `nanos` of earning, at most a full burst.
    #[inline]
    fn risen(&self, level: i128, nanos: u128) -> i128 {
        let full = self.parts(self.burst);
        let level = match u64::try_from(nanos) {
            // Below 2¹¹⁹ + 2⁶⁴ · 2⁵⁵.
            Ok(nanos) => level + i128::from(nanos) * i128::from(self.amount),
            Err(_) => level.saturating_add(self.earned_in_ages(nanos)),
        };
        level.min(full)
    }

    /// What more than 584 years earn, saturating.
    #[cold]
    fn earned_in_ages(&self, nanos: u128) -> i128 {
        if mutant("ages-overflow") {
            return i128::MIN;
        }
        let parts = nanos.checked_mul(u128::from(self.amount));
        parts.and_then(|parts| i128::try_from(parts).ok()).unwrap_or(i128::MAX)
    }
}

/// One limit with what it holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    limit: Limit,
    /// Parts of a permit; at most a full burst, below zero after an overcharge.
    level: i128,
    /// Nothing is earned or granted before this.
    paused_until: Moment,
}

impl Bucket {
    pub(crate) fn new(limit: Limit, full: bool) -> Self {
        let level = if full { limit.parts(limit.burst) } else { 0 };
        Self { limit, level, paused_until: Moment::ZERO }
    }

    pub(crate) const fn limit(&self) -> Limit {
        self.limit
    }

    pub(crate) const fn paused_until(&self) -> Moment {
        self.paused_until
    }

    /// Whole permits that are there; debts round away from zero.
    pub(crate) fn available(&self) -> i64 {
        let whole = self.level.div_euclid(i128::from(self.limit.period_ns));
        i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX })
    }

    #[inline]
    fn credit(&mut self, from: Moment, to: Moment) {
        let nanos = to.nanos_since(from.max(self.paused_until));
        if nanos != 0 {
            self.level = self.limit.risen(self.level, nanos);
        }
    }

    /// The first instant from `now` on at which the level covers `cost`.
    ///
    /// A cost of nothing waits for the end of a pause, but not for a debt to be worked off.
    #[inline]
    fn ready(&self, now: Moment, cost: u64) -> Moment {
        let start = now.max(self.paused_until);
        let missing = self.limit.parts(cost).saturating_sub(self.level);
        if cost == 0 || missing <= 0 {
            return start;
        }
        start.after(missing.unsigned_abs().div_ceil(u128::from(self.limit.amount)))
    }

    /// Charges a cost that may not be covered.
    fn charge(&mut self, cost: u64) {
        self.level = self.level.saturating_sub(self.limit.parts(cost)).max(DEEPEST);
    }

    fn give_back(&mut self, amount: u64) {
        let full = self.limit.parts(self.limit.burst);
        self.level = self.level.saturating_add(self.limit.parts(amount)).min(full);
    }

    fn lower_to(&mut self, permits: i128) {
        let parts = permits.saturating_mul(i128::from(self.limit.period_ns)).max(DEEPEST);
        self.level = self.level.min(parts);
    }

    fn pause(&mut self, until: Moment) {
        if !mutant("credit-kept-over-pause") {
            self.level = self.level.min(0);
        }
        self.paused_until = self.paused_until.max(until);
    }

    /// Another rate from here on; the level keeps its worth, rounded down by less than a part.
    fn set(&mut self, limit: Limit) {
        let (old, new) = (i128::from(self.limit.period_ns), i128::from(limit.period_ns));
        let (whole, rest) = (self.level.div_euclid(old), self.level.rem_euclid(old));
        let level = whole.saturating_mul(new).saturating_add((rest * new).div_euclid(old));
        self.level = level.clamp(DEEPEST, limit.parts(limit.burst));
        self.limit = limit;
    }
}

/// All limits of a limiter at one instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Levels<const N: usize> {
    /// The latest instant that was seen: the levels are those of this instant.
    at: Moment,
    buckets: [Bucket; N],
}

impl<const N: usize> Levels<N> {
    pub(crate) const fn new(at: Moment, buckets: [Bucket; N]) -> Self {
        Self { at, buckets }
    }

    pub(crate) const fn at(&self) -> Moment {
        self.at
    }

    pub(crate) const fn buckets(&self) -> &[Bucket; N] {
        &self.buckets
    }

    /// Moves to `now` and credits the time since. A clock that went backwards credits nothing.
    #[inline]
    pub(crate) fn advance(&mut self, now: Moment) {
        if now > self.at {
            for bucket in &mut self.buckets {
                bucket.credit(self.at, now);
            }
            if !mutant("sleep-credited-twice") {
                self.at = now;
            }
        }
    }

    /// Is every limit full, and none paused?
    pub(crate) fn are_full(&self) -> bool {
        self.buckets.iter().all(|bucket| {
            bucket.paused_until <= self.at && bucket.level == bucket.limit.parts(bucket.limit.burst)
        })
    }

    /// Do all levels cover the cost now?
    #[inline]
    pub(crate) fn covers(&self, cost: Cost<N>) -> bool {
        self.buckets.iter().zip(cost.amounts()).all(|(bucket, cost)| {
            bucket.paused_until <= self.at
                && (cost == 0 || bucket.limit.parts(cost) <= bucket.level)
        })
    }

    /// The first instant at which all levels cover the cost, and the limit that takes longest.
    pub(crate) fn ready(&self, cost: Cost<N>) -> (Moment, usize) {
        let (mut latest, mut slowest) = (self.at, 0);
        for (index, (bucket, amount)) in self.buckets.iter().zip(cost.amounts()).enumerate() {
            let ready = bucket.ready(self.at, amount);
            if ready > latest {
                (latest, slowest) = (ready, index);
            }
        }
        (latest, slowest)
    }

    /// The limit that can never grant the cost, if there is one.
    #[inline]
    pub(crate) fn never(&self, cost: Cost<N>) -> Option<usize> {
        let amounts = cost.amounts();
        (0..N).find(|&index| amounts[index] > self.buckets[index].limit.burst)
    }

    /// Charges a cost that is covered.
    #[inline]
    pub(crate) fn take(&mut self, cost: Cost<N>) {
        for (bucket, amount) in self.buckets.iter_mut().zip(cost.amounts()) {
            // Saturates only in forecasts of lines that end after the end of time.
            bucket.level = bucket.level.saturating_sub(bucket.limit.parts(amount));
        }
    }

    /// Replaces a charge by another: refunds what is less, charges what is more.
    pub(crate) fn settle(&mut self, charged: Cost<N>, actual: Cost<N>) {
        let amounts = charged.amounts().into_iter().zip(actual.amounts());
        for (bucket, (charged, actual)) in self.buckets.iter_mut().zip(amounts) {
            if actual > charged {
                bucket.charge(actual - charged);
            } else if !mutant("refund-lost") {
                bucket.give_back(charged - actual);
            }
        }
    }

    pub(crate) fn pause(&mut self, limit: usize, length: Duration) {
        self.buckets[limit].pause(self.at.after_duration(length));
    }

    pub(crate) fn resume(&mut self) {
        for bucket in &mut self.buckets {
            bucket.paused_until = bucket.paused_until.min(self.at);
        }
    }

    pub(crate) fn observe(&mut self, limit: usize, remaining: u64, in_flight: u64) {
        self.buckets[limit].lower_to(i128::from(remaining) - i128::from(in_flight));
    }

    pub(crate) fn set_rate(&mut self, index: usize, limit: Limit) {
        self.buckets[index].set(limit);
    }
}

//! The levels of all limits, in exact arithmetic.
//!
//! A level is counted in parts of a permit, as many parts as the limit's period has nanoseconds. A
//! nanosecond then earns a whole number of parts (the limit's amount), so nothing is ever rounded
//! and no remainder is lost. Bounds: a burst is below 2⁶⁴ permits, a period below 2⁵⁵ ns, and an
//! amount not above its period, so any number of permits is below 2¹¹⁹ parts, as is what 2⁶⁴ ns
//! earn; a debt is cut off at 2¹²⁶, so `i128` never overflows.

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

    #[inline]
    fn full(&self) -> i128 {
        self.parts(self.burst)
    }

    /// What is earned from the clock's zero to `at`: below 2⁶⁴ · 2⁵⁵.
    #[inline]
    fn earned(&self, at: Moment) -> i128 {
        i128::from(at.nanos()) * i128::from(self.amount)
    }
}

/// One limit with what it holds.
///
/// Its level is not stored but the number from which it follows at any instant, which only a charge
/// moves: time passes without a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    limit: Limit,
    /// What was earned when the level was zero: at `t` the level is `earned(t)` less this, at most a
    /// full burst. Below zero after an overcharge.
    spent: i128,
    /// Nothing is earned or granted before this: until then the level is that of this instant.
    paused_until: Moment,
}

impl Bucket {
    pub(crate) fn new(at: Moment, limit: Limit, full: bool) -> Self {
        let mut bucket = Self { limit, spent: 0, paused_until: Moment::ZERO };
        bucket.set_level(at, if full { limit.full() } else { 0 });
        bucket
    }

    pub(crate) const fn limit(&self) -> Limit {
        self.limit
    }

    pub(crate) const fn paused_until(&self) -> Moment {
        self.paused_until
    }

    /// Parts that are there; below zero after an overcharge.
    fn level(&self, at: Moment) -> i128 {
        (self.limit.earned(at.max(self.paused_until)) - self.spent).min(self.limit.full())
    }

    fn set_level(&mut self, at: Moment, level: i128) {
        self.spent = self.limit.earned(at.max(self.paused_until)) - level;
    }

    /// Whole permits that are there; debts round away from zero.
    pub(crate) fn available(&self, at: Moment) -> i64 {
        let whole = self.level(at).div_euclid(i128::from(self.limit.period_ns));
        i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX })
    }

    /// The first instant from `now` on at which the level covers `cost`.
    ///
    /// A cost of nothing waits for the end of a pause, but not for a debt to be worked off.
    fn ready(&self, now: Moment, cost: u64) -> Moment {
        let start = now.max(self.paused_until);
        let missing = self.limit.parts(cost) - self.level(now);
        if cost == 0 || missing <= 0 {
            return start;
        }
        start.after(missing.unsigned_abs().div_ceil(u128::from(self.limit.amount)))
    }

    /// What would be spent after a charge of `cost` at `now`, if that covers it. Not for a pause.
    #[inline]
    fn spent_after(&self, now: Moment, cost: u64) -> Option<i128> {
        let earned = self.limit.earned(now);
        // What was earned beyond a full burst is gone. So written it compiles without a branch, which
        // the processor would guess wrong: the time stamp counter moves in steps of 10 ns, and calls
        // that come as fast as that find it unmoved now and then.
        let gone = (earned - self.limit.full() - self.spent).max(0);
        let spent = self.spent + gone + self.limit.parts(cost);
        (cost == 0 || spent <= earned).then_some(spent)
    }

    /// Charges a cost, covered or not.
    fn charge(&mut self, at: Moment, cost: u64) {
        let level = self.level(at) - self.limit.parts(cost);
        self.set_level(at, level.max(DEEPEST));
    }

    fn give_back(&mut self, at: Moment, amount: u64) {
        self.set_level(at, (self.level(at) + self.limit.parts(amount)).min(self.limit.full()));
    }

    fn lower_to(&mut self, at: Moment, permits: i128) {
        let parts = permits * i128::from(self.limit.period_ns);
        self.set_level(at, self.level(at).min(parts));
    }

    fn pause(&mut self, at: Moment, until: Moment) {
        let level = self.level(at);
        self.paused_until = self.paused_until.max(until);
        let kept = if mutant("credit-kept-over-pause") { level } else { level.min(0) };
        self.set_level(at, kept);
    }

    fn resume(&mut self, at: Moment) {
        let level = self.level(at);
        self.paused_until = self.paused_until.min(at);
        self.set_level(at, level);
    }

    /// Another rate from here on; the level keeps its worth, rounded down by less than a part.
    fn set_limit(&mut self, at: Moment, limit: Limit) {
        let (old, new) = (i128::from(self.limit.period_ns), i128::from(limit.period_ns));
        let level = self.level(at);
        let (whole, rest) = (level.div_euclid(old), level.rem_euclid(old));
        let level = whole.saturating_mul(new).saturating_add((rest * new).div_euclid(old));
        self.limit = limit;
        self.set_level(at, level.clamp(DEEPEST, limit.full()));
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

    /// Moves to `now`, unless the clock went backwards.
    pub(crate) fn advance(&mut self, now: Moment) {
        self.at = self.at.max(now);
    }

    /// Moves to `now` and charges the cost, if it is covered then. Otherwise changes nothing.
    /// To be called only while no limit is paused.
    #[inline]
    pub(crate) fn take_at(&mut self, now: Moment, cost: Cost<N>) -> Option<Moment> {
        debug_assert!(!self.are_paused() || cfg!(loom), "shut by whoever paused");
        let now = now.max(self.at);
        let mut spent = [0; N];
        for ((spent, bucket), cost) in spent.iter_mut().zip(&self.buckets).zip(cost.amounts()) {
            *spent = bucket.spent_after(now, cost)?;
        }
        for (bucket, spent) in self.buckets.iter_mut().zip(spent) {
            bucket.spent = spent;
        }
        self.at = now;
        Some(now)
    }

    /// Is any limit paused?
    pub(crate) fn are_paused(&self) -> bool {
        self.buckets.iter().any(|bucket| bucket.paused_until > self.at)
    }

    /// Is every limit full, and none paused?
    pub(crate) fn are_full(&self) -> bool {
        !self.are_paused()
            && self.buckets.iter().all(|bucket| bucket.level(self.at) == bucket.limit.full())
    }

    /// Do all levels cover the cost now?
    pub(crate) fn covers(&self, cost: Cost<N>) -> bool {
        self.ready(cost).0 == self.at
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
    pub(crate) fn take(&mut self, cost: Cost<N>) {
        for (bucket, amount) in self.buckets.iter_mut().zip(cost.amounts()) {
            bucket.charge(self.at, amount);
        }
    }

    /// Replaces a charge by another: refunds what is less, charges what is more.
    pub(crate) fn settle(&mut self, charged: Cost<N>, actual: Cost<N>) {
        let amounts = charged.amounts().into_iter().zip(actual.amounts());
        for (bucket, (charged, actual)) in self.buckets.iter_mut().zip(amounts) {
            if actual > charged {
                bucket.charge(self.at, actual - charged);
            } else if !mutant("refund-lost") {
                bucket.give_back(self.at, charged - actual);
            }
        }
    }

    pub(crate) fn pause(&mut self, limit: usize, length: Duration) {
        self.buckets[limit].pause(self.at, self.at.after_duration(length));
    }

    pub(crate) fn resume(&mut self) {
        for bucket in &mut self.buckets {
            bucket.resume(self.at);
        }
    }

    pub(crate) fn observe(&mut self, limit: usize, remaining: u64, in_flight: u64) {
        self.buckets[limit].lower_to(self.at, i128::from(remaining) - i128::from(in_flight));
    }

    pub(crate) fn set_rate(&mut self, index: usize, limit: Limit) {
        self.buckets[index].set_limit(self.at, limit);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Moment {
        Moment::from_clock(Duration::from_secs(seconds))
    }

    fn parts(permits: i128) -> i128 {
        permits * i128::from(SECOND)
    }

    /// Empty at first; a permit a second, at most three kept.
    fn bucket() -> Bucket {
        Bucket::new(at(0), Limit::new(1, SECOND, 3), false)
    }

    #[test]
    fn the_fast_path_takes_what_is_covered_and_no_more() {
        let mut bucket = bucket();
        assert_eq!(bucket.spent_after(at(2), 2), Some(parts(2)));
        assert_eq!(bucket.spent_after(at(2), 3), None);
        assert_eq!(bucket.spent_after(at(7), 1), Some(parts(5)), "4 of 7 did not fit");
        bucket.charge(at(0), 5);
        assert_eq!(bucket.spent_after(at(1), 0), Some(parts(5)), "nothing waits for no debt");
    }

    #[test]
    fn a_take_from_all_limits_tells_its_instant() {
        let mut levels = Levels::new(at(0), [bucket(), bucket()]);
        assert_eq!(levels.take_at(at(2), [2, 3].into()), None);
        assert_eq!(levels.take_at(at(2), [2, 1].into()), Some(at(2)));
        assert_eq!(levels.buckets().map(|bucket| bucket.available(at(2))), [0, 1]);
    }

    #[test]
    fn the_limit_that_takes_longest_is_named_and_of_equals_the_first() {
        let levels = Levels::new(at(0), [bucket(), bucket()]);
        assert_eq!(levels.ready([1, 2].into()), (at(2), 1));
        assert_eq!(levels.ready([1, 1].into()), (at(1), 0));
        assert_eq!(levels.ready([0, 0].into()), (at(0), 0));
        assert!(levels.covers([0, 0].into()) && !levels.covers([0, 1].into()));
    }

    #[test]
    fn another_rate_keeps_the_worth_of_a_part() {
        let (mut bucket, now) = (bucket(), Moment::from_clock(Duration::from_millis(1500)));
        bucket.set_limit(now, Limit::new(1, 10 * SECOND, 3));
        assert_eq!(bucket.level(now), parts(15), "one and a half permits of ten seconds");
    }
}

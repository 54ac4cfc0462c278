//! The two locks of a limiter and who holds which when.
//!
//! Lock order: line, then front. The fast path holds the front alone, for a few nanoseconds. Whoever
//! finds that a permit is not there, or the front shut, enters the line: both locks, everything due
//! granted, then the change. Nobody is woken and nobody sleeps under either.

use crate::bucket::{Bucket, Levels, Limit};
use crate::clock::Time;
use crate::front::Front;
use crate::line::{Grant, Line, Outcome, Place};
use crate::moment::Moment;
use crate::stats::Stats;
use crate::sync::{Mutex, Spin, SpinGuard, lock, mutant};
use crate::{AcquireError, Cancel, Cost, LimitName, NotYet, Parker, UnknownLimit};

/// What the handles of one limiter share.
pub(crate) struct Core<const N: usize> {
    time: Time,
    names: [LimitName; N],
    /// Permits in flight are bounded, so a dropped permit has something to give back.
    pub(crate) bounded: bool,
    front: Spin<Front<N>>,
    line: Mutex<Line<N>>,
}

/// Until when a caller is ready to wait.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    pub(crate) deadline: Moment,
    pub(crate) cancel: Option<&'a Cancel>,
}

impl Patience<'_> {
    pub(crate) const ENDLESS: Self = Self { deadline: Moment::NEVER, cancel: None };

    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(Cancel::is_cancelled)
    }
}

/// What joining the line came to.
pub(crate) enum Joined<const N: usize> {
    Granted(Grant<N>),
    Waiting(Place),
}

enum Look<const N: usize> {
    Ended(Outcome<N>),
    Failed(AcquireError),
    Sleep(Moment),
}

impl<const N: usize> Core<N> {
    pub(crate) fn new(
        time: Time,
        names: [LimitName; N],
        limits: [Limit; N],
        full: bool,
        held_max: Option<usize>,
    ) -> Self {
        let now = time.now();
        let levels = Levels::new(now, limits.map(|limit| Bucket::new(now, limit, full)));
        Self {
            time,
            names,
            bounded: held_max.is_some(),
            front: Spin::new(Front::new(levels, held_max.unwrap_or(usize::MAX))),
            line: Mutex::new(Line::new(levels)),
        }
    }

    pub(crate) fn names(&self) -> &[LimitName; N] {
        &self.names
    }

    pub(crate) fn limit_index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    pub(crate) fn unknown(&self, name: &str) -> UnknownLimit {
        let known = self.names.iter().map(LimitName::as_str).collect::<Vec<_>>().join(", ");
        UnknownLimit { name: name.to_owned(), known }
    }

    #[inline]
    pub(crate) fn now(&self) -> Moment {
        self.time.now()
    }

    /// Takes the cost, if it is there and nobody waits, and tells when. One lock, no allocation.
    ///
    /// All of it is compiled into the caller. As a function of its own it saves registers on the
    /// stack, and the lock waits for those stores: 1 ns with one limit, 6 with two (AMD Zen 3).
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured, see above")]
    pub(crate) fn take_now(&self, cost: Cost<N>) -> Option<Moment> {
        let now = self.now();
        match self.front.try_lock() {
            Some(front) => self.take_from(front, now, cost),
            None => self.take_contended(now, cost),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_contended(&self, now: Moment, cost: Cost<N>) -> Option<Moment> {
        self.take_from(self.front.lock(), now, cost)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of `take_now`")]
    fn take_from(
        &self,
        mut front: SpinGuard<'_, Front<N>>,
        now: Moment,
        cost: Cost<N>,
    ) -> Option<Moment> {
        if front.shut && !mutant("line-jumped") {
            return None;
        }
        if mutant("levels-one-at-a-time") {
            drop(front);
            return self.take_one_at_a_time(cost);
        }
        let at = front.levels.take_at(now, cost)?;
        front.count(cost);
        Some(at)
    }

    /// The fault that `levels-one-at-a-time` stands for.
    #[cold]
    fn take_one_at_a_time(&self, cost: Cost<N>) -> Option<Moment> {
        let mut at = None;
        for (limit, amount) in cost.amounts().into_iter().enumerate() {
            let one = Cost::from([0; N]).with(limit, amount);
            at = self.front.lock().levels.take_at(self.now(), one);
        }
        self.front.lock().count(cost);
        at
    }

    /// A permit, waited for if need be.
    #[cold]
    pub(crate) fn take_in_line(
        &self,
        cost: Cost<N>,
        patience: Patience<'_>,
    ) -> Result<Grant<N>, AcquireError> {
        match self.join(cost, patience.deadline)? {
            Joined::Granted(grant) => Ok(grant),
            Joined::Waiting(place) => self.wait(place, patience),
        }
    }

    /// A permit now, or when it will be there.
    #[cold]
    pub(crate) fn take_or_tell(&self, cost: Cost<N>) -> Result<Grant<N>, NotYet> {
        self.enter(|line, front| {
            if let Some(limit) = front.levels.never(cost) {
                front.tally.refused(Some(limit));
                let limit = self.names[limit].clone();
                return Err(NotYet { retry_after: std::time::Duration::MAX, limit });
            }
            let (ready, slowest) = line.turn(front, cost);
            let now = front.levels.at();
            if line.is_empty() && ready <= now && front.has_place() {
                front.take(cost);
                return Ok(Grant::at_once(cost, now));
            }
            let limit = self.culprit(front, ready, slowest);
            Err(NotYet { retry_after: ready.since(now), limit })
        })
    }

    /// Names the limit behind a refusal, and counts it.
    fn culprit(&self, front: &mut Front<N>, ready: Moment, slowest: usize) -> LimitName {
        if ready <= front.levels.at() && !front.has_place() {
            front.tally.refused(None);
            return LimitName::new("in_flight");
        }
        front.tally.refused(Some(slowest));
        self.names[slowest].clone()
    }

    /// A permit if it is there, otherwise a place in line, unless it would come after the deadline.
    pub(crate) fn join(&self, cost: Cost<N>, deadline: Moment) -> Result<Joined<N>, AcquireError> {
        self.enter(|line, front| {
            if let Some(limit) = front.levels.never(cost) {
                front.tally.refused(Some(limit));
                return Err(self.exceeds(front, cost, limit));
            }
            let (ready, slowest) = line.turn(front, cost);
            let now = front.levels.at();
            if line.is_empty() && ready <= now && front.has_place() {
                front.take(cost);
                return Ok(Joined::Granted(Grant::at_once(cost, now)));
            }
            if ready > deadline {
                let limit = self.culprit(front, ready, slowest);
                return Err(AcquireError::Timeout { retry_after: ready.since(now), limit });
            }
            Ok(Joined::Waiting(line.join(front, cost, (ready, slowest))))
        })
    }

    fn exceeds(&self, front: &Front<N>, cost: Cost<N>, limit: usize) -> AcquireError {
        AcquireError::ExceedsBurst {
            limit: self.names[limit].clone(),
            cost: cost.amounts()[limit],
            burst: front.levels.buckets()[limit].limit().burst(),
        }
    }

    /// Sleeps, outside every lock, until the place in line is granted or patience ends.
    pub(crate) fn wait(
        &self,
        place: Place,
        patience: Patience<'_>,
    ) -> Result<Grant<N>, AcquireError> {
        let parker = Parker::new();
        let _watch = patience.cancel.map(|cancel| cancel.watch(&parker));
        loop {
            match self.enter(|line, front| self.look(line, front, place, patience, &parker)) {
                Look::Ended(Outcome::Granted(grant)) => return Ok(grant),
                Look::Ended(Outcome::Never { cost, limit }) => {
                    return Err(self.exceeds(&self.front.lock(), cost, limit));
                }
                Look::Failed(error) => return Err(error),
                Look::Sleep(until) => self.sleep(&parker, until),
            }
        }
    }

    fn sleep(&self, parker: &Parker, until: Moment) {
        let until = (until != Moment::NEVER).then(|| until.reading());
        if mutant("sleep-under-lock") {
            let _line = lock(&self.line);
            return self.time.park(parker, until);
        }
        self.time.park(parker, until);
    }

    fn look(
        &self,
        line: &mut Line<N>,
        front: &mut Front<N>,
        place: Place,
        patience: Patience<'_>,
        parker: &Parker,
    ) -> Look<N> {
        if let Some(outcome) = line.outcome(place) {
            return Look::Ended(outcome);
        }
        if patience.is_cancelled() {
            line.leave(front, place);
            return Look::Failed(AcquireError::Cancelled);
        }
        let (now, deadline) = (front.levels.at(), patience.deadline);
        let Some(entry) = line.entry(place) else {
            unreachable!("a place is in line until its outcome was told, which happens once");
        };
        let (ready, slowest) = (entry.ready, entry.slowest);
        if deadline <= now || ready > deadline {
            line.leave(front, place);
            let limit = self.culprit(front, ready, slowest);
            return Look::Failed(AcquireError::Timeout { retry_after: ready.since(now), limit });
        }
        // Due and still here: all permits that may be held are held, and who drops one wakes us.
        let wake = if ready > now { ready } else { Moment::NEVER };
        entry.sleeps_until = wake.min(deadline);
        entry.parker = Some(parker.clone());
        Look::Sleep(entry.sleeps_until)
    }

    /// Gives a place in line back, or the permit that it has become.
    pub(crate) fn leave(&self, place: Place) {
        self.enter(|line, front| line.leave(front, place));
    }

    /// Takes back a grant that nobody used.
    pub(crate) fn undo(&self, grant: Grant<N>) {
        self.change(|front| {
            front.levels.settle(grant.cost, Cost::from([0; N]));
            front.release();
        });
    }

    /// When the place will be granted if nothing changes; now, if that is decided.
    pub(crate) fn ready_in(&self, place: Place) -> std::time::Duration {
        self.enter(|line, front| match line.entry(place) {
            Some(entry) => entry.ready.since(front.levels.at()),
            None => std::time::Duration::ZERO,
        })
    }

    pub(crate) fn is_decided(&self, place: Place) -> bool {
        self.enter(|line, _| line.is_decided(place))
    }

    /// Changes the levels at this instant; whoever waits is rescheduled.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Front<N>) -> R) -> R {
        let now = self.now();
        let mut front = self.front.lock();
        if !front.shut {
            front.levels.advance(now);
            let result = change(&mut front);
            front.shut_if(false);
            return result;
        }
        drop(front);
        self.enter(|line, front| {
            line.changed = true;
            change(front)
        })
    }

    pub(crate) fn stats(&self) -> Stats {
        self.enter(|line, front| Stats::of(front, &self.names, line.len()))
    }

    /// Nobody waits, nothing is paused, every level is full and every rate is the one it began with.
    pub(crate) fn is_idle(&self) -> bool {
        self.enter(|line, front| line.is_empty() && !front.rate_changed && front.levels.are_full())
    }

    /// Both locks, in order; all that is due is granted before `act` and, if it changed anything,
    /// after it. Wakes whom it concerns once the locks are released.
    fn enter<R>(&self, act: impl FnOnce(&mut Line<N>, &mut Front<N>) -> R) -> R {
        let (result, to_wake) = {
            let mut line = lock(&self.line);
            let now = self.now();
            let mut front = self.front.lock();
            line.catch_up(&mut front, now);
            let result = act(&mut line, &mut front);
            if line.changed {
                line.plan(&front);
                line.catch_up(&mut front, now);
            }
            front.shut_if(!line.is_empty());
            (result, std::mem::take(&mut line.to_wake))
        };
        to_wake.iter().for_each(Parker::wake);
        result
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Two permits are there.
    fn core(held_max: Option<usize>) -> Core<1> {
        let time = Time::Other(crate::sync::Arc::new(crate::testing::ManualClock::new()));
        let limit = Limit::new(1, 1_000_000_000, 2);
        Core::new(time, [LimitName::new("calls")], [limit], true, held_max)
    }

    /// The line would grant it, too, and cost several times as much.
    #[test]
    fn the_fast_path_grants_what_is_there() {
        let core = core(None);
        assert!(core.take_now(1.into()).is_some());
        assert!(core.take_contended(core.now(), 1.into()).is_some());
        assert!(core.take_now(1.into()).is_none());
    }

    #[test]
    fn a_level_that_is_short_is_named_before_the_bound_on_permits() {
        let core = core(Some(1));
        assert!(core.take_now(2.into()).is_some());
        assert_eq!(core.take_or_tell(1.into()).unwrap_err().limit, "calls");
        assert_eq!(core.take_or_tell(0.into()).unwrap_err().limit, "in_flight");
    }
}

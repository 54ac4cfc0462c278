//! The one line in which everybody waits, whatever the limit.
//!
//! Only the head leaves, at the first instant at which every limit's level covers its cost, and
//! takes from all at once. A line for each limit would let the credit of one pile up while the head
//! waits for another.

use crate::{Cost, Parker, front::Front, moment::Moment, sync::mutant};
use std::collections::{HashMap, VecDeque};

/// A place in line; they count up, so the line is sorted by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(u64);

/// A permit that was taken from the levels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant<const N: usize> {
    pub(crate) cost: Cost<N>,
    /// When all levels covered the cost, which is when it was taken; not when the caller woke up.
    pub(crate) at: Moment,
    pub(crate) joined: Moment,
}

impl<const N: usize> Grant<N> {
    /// To somebody who did not wait.
    #[inline]
    pub(crate) fn at_once(cost: Cost<N>, at: Moment) -> Self {
        Self { cost, at, joined: at }
    }
}

/// How a wait in line ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome<const N: usize> {
    Granted(Grant<N>),
    /// A new rate made the cost larger than this limit's burst.
    Never {
        cost: Cost<N>,
        limit: usize,
    },
}

#[derive(Debug)]
pub(crate) struct Entry<const N: usize> {
    place: Place,
    cost: Cost<N>,
    joined: Moment,
    /// When it will be granted if nothing changes; with a bound on permits in flight, not before.
    pub(crate) ready: Moment,
    /// The limit that takes longest.
    pub(crate) slowest: usize,
    /// When its thread wakes by itself. Later than `ready`, or than a grant: it must be woken.
    pub(crate) sleeps_until: Moment,
    pub(crate) parker: Option<Parker>,
}

/// Everybody who waits, and what became of those who have not asked yet.
///
/// Guarded by the limiter's line lock. While the line is not empty, `Front::shut` is set and
/// nobody without this lock changes the levels.
#[derive(Debug)]
pub(crate) struct Line<const N: usize> {
    entries: VecDeque<Entry<N>>,
    next: u64,
    /// The levels as they will be when the last in line has been granted. Only of use if there is one.
    tail: crate::bucket::Levels<N>,
    ended: HashMap<Place, Outcome<N>>,
    /// Levels or entries changed: `ready` of every entry is out of date.
    pub(crate) changed: bool,
    /// Whom to wake once the locks are released.
    pub(crate) to_wake: Vec<Parker>,
}

impl<const N: usize> Line<N> {
    pub(crate) fn new(tail: crate::bucket::Levels<N>) -> Self {
        Self {
            entries: VecDeque::new(),
            next: 0,
            tail,
            ended: HashMap::new(),
            changed: false,
            to_wake: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Grants every head that is due, at its own time, then moves the levels to `now`.
    ///
    /// A caller that wakes up late so loses nothing, and those behind it neither.
    pub(crate) fn catch_up(&mut self, front: &mut Front<N>, now: Moment) {
        let now = now.max(front.levels.at());
        while self.entries.front().is_some_and(|head| head.ready <= now) && front.has_place() {
            let Some(head) = self.entries.pop_front() else { break };
            front.levels.advance(if mutant("late-wake-up-loses-credit") {
                now
            } else {
                head.ready
            });
            debug_assert!(front.levels.covers(head.cost), "granted before its time");
            let grant = Grant { cost: head.cost, at: front.levels.at(), joined: head.joined };
            if mutant("sleep-credited-twice") {
                front.count(head.cost);
            } else {
                front.take(head.cost);
            }
            front.tally.waited(head.slowest, grant.at.since(grant.joined));
            self.end(head, Outcome::Granted(grant), now);
        }
        front.levels.advance(now);
    }

    fn end(&mut self, entry: Entry<N>, outcome: Outcome<N>, now: Moment) {
        self.ended.insert(entry.place, outcome);
        if entry.sleeps_until > now {
            self.to_wake.extend(entry.parker);
        }
    }

    /// Works out anew when everybody's turn is, and wakes those whose time moved earlier.
    ///
    /// To be called when all that is due has been granted. Those whose cost no longer fits into a
    /// burst leave the line, or they would block it for ever.
    pub(crate) fn plan(&mut self, front: &Front<N>) {
        self.changed = false;
        let now = front.levels.at();
        let mut levels = front.levels;
        for mut entry in std::mem::take(&mut self.entries) {
            if let Some(limit) = levels.never(entry.cost) {
                let cost = entry.cost;
                self.end(entry, Outcome::Never { cost, limit }, now);
                continue;
            }
            (entry.ready, entry.slowest) = levels.ready(entry.cost);
            levels.advance(entry.ready);
            levels.take(entry.cost);
            if entry.ready < entry.sleeps_until && !mutant("earlier-turn-not-told") {
                entry.sleeps_until = entry.ready;
                self.to_wake.extend(entry.parker.clone());
            }
            self.entries.push_back(entry);
        }
        self.tail = levels;
    }

    /// When a newcomer would be granted, behind all those who wait, and the limit that takes longest.
    pub(crate) fn turn(&mut self, front: &Front<N>, cost: Cost<N>) -> (Moment, usize) {
        if self.entries.is_empty() {
            self.tail = front.levels;
        } else {
            self.tail.advance(front.levels.at());
        }
        self.tail.ready(cost)
    }

    /// Joins at the end. `turn` has just told `ready` and `slowest`.
    pub(crate) fn join(&mut self, front: &Front<N>, cost: Cost<N>, turn: (Moment, usize)) -> Place {
        let place = Place(self.next);
        self.next += 1;
        let (ready, slowest) = turn;
        self.tail.advance(ready);
        self.tail.take(cost);
        self.entries.push_back(Entry {
            place,
            cost,
            joined: front.levels.at(),
            ready,
            slowest,
            // Nobody sleeps yet: whoever will looks at `ready` first.
            sleeps_until: Moment::ZERO,
            parker: None,
        });
        place
    }

    pub(crate) fn entry(&mut self, place: Place) -> Option<&mut Entry<N>> {
        let index = self.index(place)?;
        self.entries.get_mut(index)
    }

    /// What became of a place, if it was decided. Tells it once.
    pub(crate) fn outcome(&mut self, place: Place) -> Option<Outcome<N>> {
        self.ended.remove(&place)
    }

    pub(crate) fn is_decided(&self, place: Place) -> bool {
        self.ended.contains_key(&place)
    }

    /// Gives a place up. Nobody ahead moves, and nobody behind gets later.
    pub(crate) fn leave(&mut self, front: &mut Front<N>, place: Place) {
        if let Some(index) = self.index(place) {
            self.entries.remove(index);
            self.changed = true;
        } else if let Some(Outcome::Granted(grant)) = self.outcome(place) {
            front.levels.settle(grant.cost, Cost::from([0; N]));
            front.release();
            self.changed = true;
        }
    }

    fn index(&self, place: Place) -> Option<usize> {
        self.entries.binary_search_by_key(&place, |entry| entry.place).ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::bucket::{Bucket, Levels, Limit};

    fn at(seconds: u64) -> Moment {
        Moment::from_clock(std::time::Duration::from_secs(seconds))
    }

    /// One is in line, due at 1 s and asleep until `until`.
    fn sleeper(until: u64) -> (Line<1>, Front<1>) {
        let bucket = Bucket::new(at(0), Limit::new(1, 1_000_000_000, 1), false);
        let levels = Levels::new(at(0), [bucket]);
        let (mut line, front) = (Line::new(levels), Front::new(levels, usize::MAX));
        let turn = line.turn(&front, 1.into());
        let place = line.join(&front, 1.into(), turn);
        let entry = line.entry(place).unwrap();
        (entry.sleeps_until, entry.parker) = (at(until), Some(Parker::new()));
        (line, front)
    }

    #[test]
    fn a_grant_wakes_only_who_would_sleep_on() {
        for (until, woken) in [(0, 0), (1, 0), (2, 1)] {
            let (mut line, mut front) = sleeper(until);
            line.catch_up(&mut front, at(1));
            assert_eq!((line.len(), line.to_wake.len()), (0, woken), "asleep until {until}");
        }
    }

    #[test]
    fn a_plan_wakes_only_whose_turn_moved_before_the_end_of_the_sleep() {
        for (until, woken) in [(0, 0), (1, 0), (2, 1)] {
            let (mut line, front) = sleeper(until);
            line.plan(&front);
            assert_eq!((line.len(), line.to_wake.len()), (1, woken), "asleep until {until}");
        }
    }
}

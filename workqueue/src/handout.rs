//! The rules of those who take: what a worker gets, who is woken for it, what it hands in.

use std::collections::VecDeque;
use std::time::Instant;

use crate::Pending;
use crate::finished::Finished;
use crate::state::{Phase, State};
use crate::sync::{self, mutant};
use crate::ticket::Entry;
use crate::wakes::{Call, Wakes};

/// What a worker gets when it asks.
#[derive(Debug)]
pub(crate) enum Offer {
    /// Tasks.
    Taken,
    /// Nothing now: wait, until then if it is this worker that watches the clock.
    Wait(Option<Instant>),
    /// The sentinel.
    Over,
}

/// How many tasks a worker takes at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchSize {
    /// As long as that many wait: together they take less time than it takes to wake a thread.
    pub(crate) least: usize,
    pub(crate) most: usize,
}

/// What tasks taken together may take: longer ones are taken one by one, so that none waits behind
/// another while a worker is idle.
const MOST_NS: u128 = 50_000;
/// What tasks taken together should take, though others be idle: to wake one takes longer.
const LEAST_NS: u128 = 2_000;

impl BatchSize {
    pub(crate) const ONE: Self = Self { least: 1, most: 1 };

    /// For tasks that took so long on average, up to `most` of them.
    pub(crate) fn for_tasks_of(mean_ns: u128, most: usize) -> Self {
        let fit = |ns: u128| usize::try_from(ns / mean_ns.max(1)).unwrap_or(most).clamp(1, most);
        Self { least: fit(LEAST_NS), most: fit(MOST_NS) }
    }

    /// Of `waiting` tasks, of which there is at least one, one part of `shares`.
    #[inline]
    fn of(self, waiting: usize, shares: usize) -> usize {
        if self.most == 1 {
            1
        } else {
            (waiting / shares).clamp(self.least, self.most).min(waiting)
        }
    }
}

impl<T, R> State<T, R> {
    // Workers.

    /// Wakes a worker if there is something to do, one that sleeps, and none on its way already.
    /// Whoever changed something calls it, and so does the woken worker: each wakes the next.
    pub(crate) fn call_worker(&mut self, wakes: &mut Wakes) {
        let due_before_alarm =
            || self.delayed.nearest().is_some_and(|due| self.alarm.is_none_or(|set| due < set));
        if self.idle > 0 && !self.wake_in_flight && (!self.waiting.is_empty() || due_before_alarm())
        {
            self.wake_in_flight = true;
            wakes.workers = wakes.workers.max(Call::One);
        }
    }

    /// Whether a worker that asks gets something, whatever the inbox holds.
    pub(crate) fn has_next(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What a worker gets: its share of what waits into `batch`, or what it has to do without.
    pub(crate) fn offer(
        &mut self,
        batch: &mut VecDeque<Entry<T>>,
        size: BatchSize,
        wakes: &mut Wakes,
    ) -> Offer {
        if self.phase == Phase::Cancelled {
            return Offer::Over;
        }
        self.collect_due();
        if self.waiting.is_empty() {
            let over =
                self.phase == Phase::Draining && (!self.limits.grows || self.unfinished == 0);
            let alarm =
                self.delayed.nearest().filter(|due| self.alarm.is_none_or(|set| *due < set));
            return if over { Offer::Over } else { Offer::Wait(alarm) };
        }
        let mut charged = 0;
        for _ in 0..size.of(self.waiting.len(), self.limits.shares) {
            let Some(entry) = self.waiting.pop_front() else { break };
            charged += usize::from(entry.is_charged());
            batch.push_back(entry);
        }
        self.charged -= charged;
        if mutant("unfinished-counted-at-pop") {
            self.unfinished += batch.len();
        }
        if !mutant("no-cascade") {
            self.call_worker(wakes);
        }
        self.call_producers(self.limits.capacity / 2, wakes);
        Offer::Taken
    }

    fn collect_due(&mut self) {
        if self.delayed.is_empty() {
            return;
        }
        let now = sync::now();
        while let Some(entry) = self.delayed.pop_due(now) {
            self.waiting.push_back(entry);
        }
    }

    /// A worker falls asleep.
    pub(crate) fn sleep(&mut self, alarm: Option<Instant>) {
        self.idle += 1;
        self.alarm = alarm.or(self.alarm);
    }

    /// A worker has woken, for whatever reason.
    pub(crate) fn wake(&mut self, alarm: Option<Instant>) {
        self.idle -= 1;
        if !mutant("wakes-not-decremented") {
            self.wake_in_flight = false;
        }
        if alarm.is_some() && self.alarm == alarm {
            self.alarm = None;
        }
    }

    /// Takes in what a worker finished: the only way in which a task ends, but for `hand_back`.
    pub(crate) fn settle(&mut self, finished: &mut Finished<T, R>, wakes: &mut Wakes) {
        if finished.panicked > 0 {
            self.panicked.add(std::mem::take(&mut finished.panicked));
        }
        if !finished.outcomes.is_empty() {
            wakes.waiters |= std::mem::take(&mut self.reader_waits);
            for outcome in finished.outcomes.drain(..) {
                self.unread.push(outcome);
            }
        }
        for (entry, due) in finished.again.drain(..) {
            match due {
                _ if self.phase == Phase::Cancelled && !mutant("again-not-handed-back") => {
                    finished.unstarted.push(entry);
                }
                Some(due) => self.delayed.push(entry, due),
                None => self.waiting.push_back(entry),
            }
        }
        if !finished.unstarted.is_empty() {
            self.put_back(&mut finished.unstarted, wakes);
        }
        self.end(std::mem::take(&mut finished.ended), wakes);
        self.call_worker(wakes);
    }

    /// Tasks that a worker took and did not start: first in line again, or handed back.
    fn put_back(&mut self, unstarted: &mut Vec<Entry<T>>, wakes: &mut Wakes) {
        if self.phase == Phase::Cancelled {
            let pending = unstarted.drain(..).map(Pending::from).collect();
            self.hand_back(pending, wakes);
            return;
        }
        // Their place in the capacity may be taken by now.
        for entry in unstarted.drain(..).rev().map(Entry::freed) {
            self.waiting.push_front(entry);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::state::Limits;
    use crate::{Outcome, Ticket};
    use std::time::Duration;

    #[test]
    fn a_batch_takes_as_long_as_it_may_and_no_longer() {
        let sizes = |mean_ns| {
            let size = BatchSize::for_tasks_of(mean_ns, 64);
            (size.least, size.most)
        };
        assert_eq!(sizes(0), (64, 64));
        assert_eq!(sizes(100), (20, 64));
        assert_eq!(sizes(1_000), (2, 50));
        assert_eq!(sizes(25_001), (1, 1));
        assert_eq!(sizes(u128::MAX), (1, 1));
    }

    #[test]
    fn a_worker_leaves_the_others_their_share() {
        let size = BatchSize { least: 4, most: 16 };
        assert_eq!(size.of(1, 4), 1, "no more than there is");
        assert_eq!(size.of(8, 4), 4, "at least that many, for they are short");
        assert_eq!(size.of(40, 4), 10, "one part of four");
        assert_eq!(size.of(400, 4), 16, "no more than may be");
        assert_eq!(BatchSize::ONE.of(400, 4), 1);
    }

    const LIMITS: Limits = Limits { capacity: 4, batch: 3, shares: 1, grows: true, keep: false };

    /// Three moments, all in the future.
    fn moments() -> [Instant; 3] {
        [60, 61, 62].map(|seconds| Instant::now() + Duration::from_secs(seconds))
    }

    #[test]
    fn a_worker_is_called_for_what_waits_and_only_one_at_a_time() {
        let mut state: State<u64, ()> = State::new(LIMITS);
        let call = |state: &mut State<u64, ()>| {
            let mut wakes = Wakes::default();
            state.call_worker(&mut wakes);
            wakes.workers
        };
        state.sleep(None);
        assert_eq!(call(&mut state), Call::Nobody, "nothing waits");
        state.push(0);
        assert_eq!(call(&mut state), Call::One);
        assert_eq!(call(&mut state), Call::Nobody, "one is on its way");
        state.wake(None);
        assert_eq!(call(&mut state), Call::Nobody, "nobody sleeps");
        state.sleep(None);
        assert_eq!(call(&mut state), Call::One);
    }

    #[test]
    fn a_sleeper_is_called_for_a_delay_that_ends_before_any_alarm() {
        let [early, due, late] = moments();
        for (alarm, call) in [
            (None, Call::One),
            (Some(late), Call::One),
            (Some(due), Call::Nobody),
            (Some(early), Call::Nobody),
        ] {
            let mut state: State<u64, ()> = State::new(LIMITS);
            state.delayed.push(Entry::free(Ticket(0), 0), due);
            state.sleep(alarm);
            let mut wakes = Wakes::default();
            state.call_worker(&mut wakes);
            assert_eq!(wakes.workers, call, "{alarm:?}");
        }
    }

    #[test]
    fn one_worker_alone_watches_the_nearest_delay() {
        let [early, due, late] = moments();
        let mut state: State<u64, ()> = State::new(LIMITS);
        state.delayed.push(Entry::free(Ticket(0), 0), due);
        let (mut batch, mut wakes) = (VecDeque::new(), Wakes::default());
        for (set, watches) in
            [(None, Some(due)), (Some(late), Some(due)), (Some(due), None), (Some(early), None)]
        {
            state.alarm = set;
            let offer = state.offer(&mut batch, BatchSize::ONE, &mut wakes);
            assert!(matches!(offer, Offer::Wait(alarm) if alarm == watches), "{set:?}: {offer:?}");
        }
        // An alarm is gone once whoever set it has woken, and not when another one has.
        state.alarm = None;
        state.sleep(Some(due));
        state.sleep(None);
        assert_eq!(state.alarm, Some(due));
        state.wake(None);
        assert_eq!(state.alarm, Some(due));
        state.sleep(Some(early));
        state.wake(Some(due));
        assert_eq!(state.alarm, Some(early), "it was set anew, earlier");
        state.wake(Some(early));
        assert_eq!((state.alarm, state.idle), (None, 0));
    }

    #[test]
    fn whoever_takes_calls_the_next_worker_and_producers_at_half_the_capacity() {
        let mut state: State<u64, ()> = State::new(LIMITS);
        state.push_all(&mut vec![0, 1, 2, 3]);
        state.push_free(4);
        state.sleep(None);
        state.block();
        let mut take = |least| {
            let (mut batch, mut wakes) = (VecDeque::new(), Wakes::default());
            let offer = state.offer(&mut batch, BatchSize { least, most: 3 }, &mut wakes);
            assert!(matches!(offer, Offer::Taken));
            state.wake_in_flight = false;
            (batch.len(), state.charged, wakes.workers, wakes.producers)
        };
        assert_eq!(take(1), (3, 1, Call::One, true), "its share: one of one, three at most");
        assert_eq!(take(1), (2, 0, Call::Nobody, false), "the last one took up no capacity");

        let mut state: State<u64, ()> = State::new(LIMITS);
        state.push_all(&mut vec![0, 1, 2, 3]);
        state.block();
        let mut producers = || {
            let (mut batch, mut wakes) = (VecDeque::new(), Wakes::default());
            state.offer(&mut batch, BatchSize::ONE, &mut wakes);
            wakes.producers
        };
        assert_eq!([producers(), producers(), producers()], [false, true, false]);
    }

    /// With both locks it would have the same, and cost more.
    #[test]
    fn a_worker_needs_the_state_alone_where_something_waits() {
        let mut state: State<u64, ()> = State::new(LIMITS);
        assert!(!state.has_next());
        state.push(0);
        assert!(state.has_next());
        let mut finished: Finished<u64, ()> = Finished::new();
        finished.ended = 1;
        assert!(finished.leaves_nothing());
        finished.again.push((Entry::free(Ticket(0), 0), None));
        assert!(!finished.leaves_nothing());
        finished.unstarted.push(Entry::free(Ticket(1), 1));
        finished.again.clear();
        assert!(!finished.leaves_nothing());
    }

    #[test]
    fn what_is_due_is_given_out() {
        let mut state: State<u64, ()> = State::new(LIMITS);
        let now = Instant::now();
        state.delayed.push(Entry::free(Ticket(1), 1), now);
        state.delayed.push(Entry::free(Ticket(0), 0), now + Duration::from_secs(3600));
        let (mut batch, mut wakes) = (VecDeque::new(), Wakes::default());
        let offer = state.offer(&mut batch, BatchSize::ONE, &mut wakes);
        assert!(matches!(offer, Offer::Taken) && batch.len() == 1 && batch[0].task == 1);
        assert_eq!(state.delayed.len(), 1);
    }

    #[test]
    fn what_a_worker_hands_in_is_counted_and_told() {
        let mut state: State<u64, u64> = State::new(Limits { keep: true, ..LIMITS });
        state.push_all(&mut vec![0, 1, 2, 3]);
        state.waiting.clear();
        (state.reader_waits, state.joiner_waits) = (true, true);
        let mut finished = Finished::new();
        (finished.ended, finished.panicked) = (2, 1);
        let mut settle = |finished: &mut Finished<u64, u64>| {
            let mut wakes = Wakes::default();
            state.settle(finished, &mut wakes);
            let (figures, waiting) = (state.stats(), state.waiting.len());
            (wakes.waiters, figures.done, figures.panicked, state.delayed.len(), waiting)
        };
        assert_eq!(settle(&mut finished), (false, 1, 1, 0, 0), "no outcome, and not the last");
        assert_eq!((finished.ended, finished.panicked), (0, 0), "told once");
        let (worker, elapsed) = (crate::WorkerId(0), Duration::ZERO);
        let done = Outcome::Done { ticket: Ticket(0), worker, elapsed, value: 0 };
        finished.outcomes.push(done);
        let later = Some(Instant::now() + Duration::from_secs(3600));
        finished.again.push((Entry::free(Ticket(2), 2), later));
        finished.again.push((Entry::free(Ticket(3), 3), None));
        assert_eq!(settle(&mut finished), (true, 1, 1, 1, 1), "the reader waits no more");
        assert_eq!(settle(&mut finished), (false, 1, 1, 1, 1), "nothing new");

        // Once cancelled, what would come back is handed back, and is the last to end.
        state.cancel(&mut Wakes::default());
        state.joiner_waits = true;
        state.accepted += 1;
        state.unfinished += 1;
        finished.again.push((Entry::free(Ticket(4), 4), later));
        let mut wakes = Wakes::default();
        state.settle(&mut finished, &mut wakes);
        assert_eq!((state.stats().cancelled, state.unfinished), (3, 0));
        assert!(wakes.waiters && state.delayed.is_empty());
    }

    #[test]
    fn what_was_not_started_is_first_in_line_again_in_its_order() {
        let mut state: State<u64, ()> = State::new(LIMITS);
        for task in 0..4 {
            state.push(task);
        }
        let (mut batch, mut wakes) = (VecDeque::new(), Wakes::default());
        state.offer(&mut batch, BatchSize { least: 3, most: 3 }, &mut wakes);
        let mut finished = Finished::new();
        finished.unstarted.extend(batch.drain(..));
        state.settle(&mut finished, &mut wakes);
        state.offer(&mut batch, BatchSize { least: 4, most: 4 }, &mut wakes);
        assert!(batch.into_iter().map(|entry| entry.task).eq(0..4));
        assert_eq!((state.charged, state.unfinished), (0, 4));
    }
}

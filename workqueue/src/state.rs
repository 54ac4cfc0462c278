//! What the state's lock protects, and how a queue ends. No lock and no waiting in here.
//!
//! The rules of those who put are in `intake.rs` and, on credit, in `inbox.rs`; of those who take in
//! `handout.rs`.

use std::collections::VecDeque;
use std::time::Instant;

use crate::delay::Delayed;
use crate::sync::mutant;
use crate::sync::thread::{self, ThreadId};
use crate::ticket::Entry;
use crate::unread::Unread;
use crate::wakes::{Call, Wakes};
use crate::{Counter, Pending, Stats, WorkerId};

/// How far a queue is on its way to the end; it only moves forward. This is the sentinel: not an
/// item, which would overtake late tasks, block in a full queue and be miscounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    Draining,
    Cancelled,
}

/// What never changes about a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many submitted tasks may wait.
    pub(crate) capacity: usize,
    /// How many tasks a worker takes at most.
    pub(crate) batch: usize,
    /// Into how many parts a worker splits what waits, to leave the others theirs.
    pub(crate) shares: usize,
    /// Whether running tasks can add to the queue, so that an idle worker waits for them.
    pub(crate) grows: bool,
    /// Whether outcomes are kept.
    pub(crate) keep: bool,
}

/// Everything that changes, but for what was put on credit and not taken in yet: whoever has to know
/// of that holds both locks of [`Shared`](crate::shared::Shared).
///
/// Always: `unfinished` = waiting + delayed + running; accepted = `unfinished` + done + panicked +
/// cancelled; `charged` + what the inbox holds + its credit ≤ capacity; if something waits and a
/// worker is idle, a wake is in flight, and then the inbox is empty and without credit.
#[derive(Debug)]
pub(crate) struct State<T, R> {
    pub(crate) limits: Limits,
    pub(crate) phase: Phase,
    pub(crate) waiting: VecDeque<Entry<T>>,
    pub(crate) delayed: Delayed<T>,
    /// Tasks in `waiting` that take up capacity.
    pub(crate) charged: usize,
    pub(crate) accepted: u64,
    pub(crate) unfinished: usize,
    /// How often `unfinished` came down to 0.
    pub(crate) epoch: u64,
    pub(crate) panicked: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) unread: Unread<R>,
    /// Tasks handed back that nobody has taken yet.
    pub(crate) returned: Vec<Pending<T>>,

    /// Workers that sleep, those included whose wake is in flight.
    pub(crate) idle: usize,
    /// A worker was told to wake and has not yet. One is enough: it wakes the next.
    pub(crate) wake_in_flight: bool,
    /// The moment for which an idle worker has set its alarm.
    pub(crate) alarm: Option<Instant>,
    /// Workers that have not left; the exit latch.
    pub(crate) workers: usize,
    /// Their threads: a wait for the queue on one of them would be a wait for itself.
    pub(crate) threads: Vec<ThreadId>,
    /// The last worker whose state could not be built, and why.
    pub(crate) death: Option<(WorkerId, String)>,

    /// Producers that wait for room, those included whose wake is in flight.
    pub(crate) blocked: usize,
    /// Those of them that were told to wake and have not yet.
    pub(crate) waking: usize,
    /// Somebody waits for `unfinished` to be 0, or for workers to leave.
    pub(crate) joiner_waits: bool,
    /// Somebody waits for an outcome.
    pub(crate) reader_waits: bool,
}

impl<T, R> State<T, R> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            phase: Phase::Open,
            waiting: VecDeque::new(),
            delayed: Delayed::new(),
            charged: 0,
            accepted: 0,
            unfinished: 0,
            epoch: 0,
            panicked: Counter::new(),
            cancelled: Counter::new(),
            unread: Unread::new(),
            returned: Vec::new(),
            idle: 0,
            wake_in_flight: false,
            alarm: None,
            workers: 0,
            threads: Vec::new(),
            death: None,
            blocked: 0,
            waking: 0,
            joiner_waits: false,
            reader_waits: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.delayed.len()
    }

    /// Whether this thread is one of the queue's workers.
    pub(crate) fn is_inside(&self) -> bool {
        let this = || thread::current().id();
        !self.threads.is_empty() && self.threads.contains(&this()) && !mutant("unaware-of-inside")
    }

    /// No worker is left although the queue was not over.
    pub(crate) const fn is_dead(&self) -> bool {
        self.death.is_some() && self.workers == 0
    }

    /// No outcome can come any more.
    pub(crate) fn is_over(&self) -> bool {
        (self.phase > Phase::Open && self.unfinished == 0) || self.is_dead()
    }

    pub(crate) fn stats(&self) -> Stats {
        let count = |counter: &Counter| usize::try_from(counter.get()).unwrap_or(usize::MAX);
        let (queued, panicked, cancelled) =
            (self.len(), count(&self.panicked), count(&self.cancelled));
        let accepted = usize::try_from(self.accepted).unwrap_or(usize::MAX);
        Stats {
            queued,
            running: self.unfinished.saturating_sub(queued),
            done: accepted.saturating_sub(self.unfinished + panicked + cancelled),
            panicked,
            cancelled,
            blocked_producers: self.blocked,
            workers: self.workers,
        }
    }

    pub(crate) fn hand_back(&mut self, mut pending: Vec<Pending<T>>, wakes: &mut Wakes) {
        if self.limits.keep {
            for task in &pending {
                self.unread.skip(task.ticket);
            }
        }
        let count = pending.len();
        self.cancelled.add(count as u64);
        self.returned.append(&mut pending);
        // The same way out as for a task that ran: a `join` must not wait for what will never run.
        if !mutant("cancelled-stay-unfinished") {
            self.end(count, wakes);
        }
    }

    /// `count` tasks have ended, however they did.
    pub(crate) fn end(&mut self, count: usize, wakes: &mut Wakes) {
        debug_assert!(count <= self.unfinished, "more tasks ended than were accepted");
        self.unfinished -= count;
        if self.unfinished == 0 && count > 0 {
            self.epoch += 1;
            wakes.waiters |= std::mem::take(&mut self.joiner_waits);
            if self.phase > Phase::Open {
                // The last one: idle workers may go, readers have read all there will be.
                wakes.workers = Call::All;
                wakes.waiters |= std::mem::take(&mut self.reader_waits);
            }
        }
    }

    pub(crate) fn close(&mut self, wakes: &mut Wakes) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
            self.wake_everybody(wakes);
        }
    }

    /// Hands back whatever has not started.
    pub(crate) fn cancel(&mut self, wakes: &mut Wakes) {
        self.phase = Phase::Cancelled;
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let pending = waiting.chain(self.delayed.drain()).map(Pending::from).collect();
        self.charged = 0;
        self.hand_back(pending, wakes);
        self.wake_everybody(wakes);
    }

    pub(crate) const fn wake_everybody(&mut self, wakes: &mut Wakes) {
        self.waking = self.blocked;
        self.joiner_waits = false;
        self.reader_waits = false;
        *wakes = Wakes { workers: Call::All, producers: true, waiters: true };
    }

    /// What `cancel` gives: everything that was handed back and not taken, in order.
    pub(crate) fn take_returned(&mut self) -> Vec<Pending<T>> {
        let mut all = std::mem::take(&mut self.returned);
        all.sort_unstable_by_key(|pending| pending.ticket);
        all
    }

    /// What no worker is left to run, and what was handed back.
    pub(crate) fn take_leftovers(&mut self) -> Vec<Pending<T>> {
        if self.is_dead() {
            let mut nobody = Wakes::default();
            self.cancel(&mut nobody);
        }
        self.take_returned()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn state(keep: bool) -> State<u64, ()> {
        State::new(Limits { capacity: 8, batch: 1, shares: 1, grows: true, keep })
    }

    /// Ends `count` tasks; whether a worker, and whether joiners and readers are woken for it.
    fn end(state: &mut State<u64, ()>, count: usize) -> (Call, bool) {
        let mut wakes = Wakes::default();
        state.end(count, &mut wakes);
        (wakes.workers, wakes.waiters)
    }

    #[test]
    fn the_last_task_wakes_joiners_and_at_the_end_everybody() {
        let mut state = state(true);
        state.push(0);
        state.push(1);
        (state.joiner_waits, state.reader_waits) = (true, true);
        assert_eq!(end(&mut state, 1), (Call::Nobody, false));
        assert_eq!((state.unfinished, state.epoch), (1, 0));
        assert_eq!(end(&mut state, 1), (Call::Nobody, true));
        assert_eq!((state.unfinished, state.epoch), (0, 1));
        assert!(state.reader_waits && !state.joiner_waits, "more outcomes may come");
        assert_eq!(end(&mut state, 0), (Call::Nobody, false));
        assert_eq!(state.epoch, 1, "nothing ended");

        state.push(2);
        state.phase = Phase::Draining;
        assert_eq!(end(&mut state, 1), (Call::All, true));
        assert!(!state.reader_waits, "no more outcomes can come");
    }

    #[test]
    fn what_is_handed_back_counts_as_cancelled_and_leaves_no_gap_for_readers() {
        for keep in [true, false] {
            let mut state = state(keep);
            state.push(0);
            state.push(1);
            state.block();
            let mut wakes = Wakes::default();
            state.cancel(&mut wakes);
            assert_eq!((wakes.workers, wakes.producers, wakes.waiters), (Call::All, true, true));
            assert_eq!((state.charged, state.waking), (0, 1));
            let figures = state.stats();
            assert_eq!(
                (figures.cancelled, figures.done, figures.running, figures.queued),
                (2, 0, 0, 0)
            );
            assert!(state.is_over());
            let back: Vec<_> = state.take_returned().into_iter().map(|back| back.task).collect();
            assert_eq!(back, [0, 1]);
            assert!(state.take_returned().is_empty(), "each is handed back once");
        }
    }

    #[test]
    fn figures_add_up_while_tasks_wait_run_and_come_back() {
        let mut state = state(true);
        for task in 0..5 {
            state.push(task);
        }
        let mut pop = || state.waiting.pop_front().unwrap();
        let (_running, again) = (pop(), pop());
        state.delayed.push(again, Instant::now());
        state.panicked.add(1);
        end(&mut state, 1);
        let figures = state.stats();
        assert_eq!((figures.queued, figures.running, figures.done, figures.panicked), (4, 0, 0, 1));
        assert_eq!(figures.accepted(), 5);
    }

    #[test]
    fn a_queue_is_over_when_it_is_closed_and_nothing_is_left() {
        let mut state = state(true);
        assert!(!state.is_over(), "more can come");
        state.push(0);
        state.close(&mut Wakes::default());
        assert!(!state.is_over(), "one is left");
        let mut again = Wakes::default();
        state.close(&mut again);
        assert!(!again.any(), "nothing new is said by closing it twice");
        end(&mut state, 1);
        assert!(state.is_over());
    }
}

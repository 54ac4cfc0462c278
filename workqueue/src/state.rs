//! What the queue's one lock protects, and every rule about it. No lock and no waiting in here.

use std::collections::VecDeque;
use std::time::Instant;

use crate::delay::Delayed;
use crate::sync::thread::ThreadId;
use crate::sync::{self, mutant};
use crate::ticket::Entry;
use crate::unread::Unread;
use crate::{Counter, Outcome, Pending, Refusal, Stats, Ticket, WorkerId};

/// How far a queue is on its way to the end; it only moves forward. This is the sentinel: not an
/// item, which would overtake late tasks, block in a full queue and be miscounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    Draining,
    Cancelled,
}

/// How many to wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Call {
    #[default]
    Nobody,
    One,
    All,
}

/// Which threads to wake once the lock is free again.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Wakes {
    pub(crate) workers: Call,
    pub(crate) producers: bool,
    pub(crate) waiters: bool,
}

impl Wakes {
    pub(crate) fn any(&self) -> bool {
        self.workers > Call::Nobody || self.producers || self.waiters
    }
}

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

/// What a worker has to say about the tasks that it took, told under the same lock as it takes the
/// next ones.
#[derive(Debug)]
pub(crate) struct Finished<T, R> {
    /// Tasks that returned or panicked.
    pub(crate) ended: usize,
    /// Those of them that panicked.
    pub(crate) panicked: u64,
    /// Their outcomes; none when the queue only counts.
    pub(crate) outcomes: Vec<Outcome<R>>,
    /// Tasks that come back, and when.
    pub(crate) again: Vec<(Entry<T>, Option<Instant>)>,
    /// Tasks that were taken and not started.
    pub(crate) unstarted: Vec<Entry<T>>,
}

impl<T, R> Finished<T, R> {
    pub(crate) const fn new() -> Self {
        Self {
            ended: 0,
            panicked: 0,
            outcomes: Vec::new(),
            again: Vec::new(),
            unstarted: Vec::new(),
        }
    }
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

/// Everything that changes, under the one lock of [`Shared`](crate::shared::Shared).
///
/// Always: `unfinished` = waiting + delayed + running; accepted = `unfinished` + done + panicked +
/// cancelled; `charged` ≤ capacity; if something waits and a worker is idle, a wake is in flight.
#[derive(Debug)]
pub(crate) struct State<T, R> {
    limits: Limits,
    pub(crate) phase: Phase,
    waiting: VecDeque<Entry<T>>,
    delayed: Delayed<T>,
    /// Tasks in `waiting` that take up capacity.
    charged: usize,
    accepted: u64,
    pub(crate) unfinished: usize,
    /// How often `unfinished` came down to 0.
    pub(crate) epoch: u64,
    panicked: Counter,
    cancelled: Counter,
    pub(crate) unread: Unread<R>,
    /// Tasks handed back that nobody has taken yet.
    pub(crate) returned: Vec<Pending<T>>,

    /// Workers that sleep, those included whose wake is in flight.
    idle: usize,
    /// A worker was told to wake and has not yet. One is enough: it wakes the next.
    wake_in_flight: bool,
    /// The moment for which an idle worker has set its alarm.
    alarm: Option<Instant>,
    /// Workers that have not left; the exit latch.
    pub(crate) workers: usize,
    /// Their threads: a wait for the queue on one of them would be a wait for itself.
    pub(crate) threads: Vec<ThreadId>,
    /// The last worker whose state could not be built, and why.
    pub(crate) death: Option<(WorkerId, String)>,

    /// Producers that wait for room, those included whose wake is in flight.
    pub(crate) blocked: usize,
    /// Those of them that were told to wake and have not yet.
    waking: usize,
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

    // Producers.

    /// Why nothing more is taken, if so.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.phase {
            Phase::Cancelled => Some(Refusal::Cancelled),
            Phase::Draining => Some(Refusal::Closed),
            Phase::Open if self.is_dead() => Some(Refusal::Dead),
            Phase::Open => None,
        }
    }

    /// Whether a producer may put; one that comes new does not push past those that wait.
    pub(crate) const fn has_room(&self, waited: bool) -> bool {
        self.charged < self.limits.capacity && (waited || self.blocked == 0)
    }

    pub(crate) fn push(&mut self, task: T, charged: bool) -> Ticket {
        let ticket = Ticket(self.accepted);
        self.accepted += 1;
        if !mutant("unfinished-counted-at-pop") {
            self.unfinished += 1;
        }
        self.charged += usize::from(charged);
        debug_assert!(self.charged <= self.limits.capacity, "more tasks than capacity");
        self.waiting.push_back(Entry { ticket, task, charged });
        ticket
    }

    /// A producer begins to wait for room.
    pub(crate) const fn block(&mut self) {
        self.blocked += 1;
    }

    /// A producer has woken, for whatever reason.
    pub(crate) const fn unblock(&mut self) {
        self.blocked -= 1;
        self.waking = self.waking.saturating_sub(1);
    }

    /// A producer that waited leaves: those whom no wake has reached may go on if there is room.
    pub(crate) const fn pass_room_on(&mut self, wakes: &mut Wakes) {
        self.call_producers(self.limits.capacity - 1, wakes);
    }

    /// Wakes all producers that wait, once no more tasks than `low` take up capacity. All of them: a
    /// single one may fill less than there is room for, and nobody would call the others.
    const fn call_producers(&mut self, low: usize, wakes: &mut Wakes) {
        if self.blocked > self.waking && self.charged <= low {
            self.waking = self.blocked;
            wakes.producers = true;
        }
    }

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

    /// What a worker gets: tasks into `batch`, up to `most`; or what it has to do without.
    pub(crate) fn offer(
        &mut self,
        batch: &mut VecDeque<Entry<T>>,
        most: usize,
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
        let share = if most == 1 { 1 } else { self.waiting.len() / self.limits.shares };
        for entry in self.waiting.drain(..share.clamp(1, most)) {
            self.charged -= usize::from(entry.charged);
            batch.push_back(entry);
        }
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
                _ if self.phase == Phase::Cancelled => finished.unstarted.push(entry),
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
        for mut entry in unstarted.drain(..).rev() {
            // Its place in the capacity may be taken by now.
            entry.charged = false;
            self.waiting.push_front(entry);
        }
    }

    fn hand_back(&mut self, mut pending: Vec<Pending<T>>, wakes: &mut Wakes) {
        if self.limits.keep {
            for task in &pending {
                self.unread.skip(task.ticket);
            }
        }
        let count = pending.len();
        self.cancelled.add(count as u64);
        self.returned.append(&mut pending);
        self.end(count, wakes);
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

    // The end.

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

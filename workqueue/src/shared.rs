//! What everybody shares: the calls, each a critical section, and the three condition variables
//! that they wait on.

use std::collections::VecDeque;
use std::time::Duration;

use crate::finished::Finished;
use crate::handout::{BatchSize, Offer};
use crate::locks::{Locks, Patience, Whole};
use crate::state::{Limits, Phase, State};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{self, Condvar, mutant};
use crate::ticket::Entry;
use crate::wakes::{Call, Wakes};
use crate::{JoinError, Outcome, Refusal, SubmitAllError, SubmitError, Ticket, WorkerId};

/// A queue: what everybody shares.
#[derive(Debug)]
pub(crate) struct Shared<T, R> {
    outside: Outside,
    locks: Locks<T, R>,
    /// Workers wait here for tasks.
    work: Condvar,
    /// Producers wait here for room.
    room: Condvar,
    /// Joiners and readers wait here: for the last task, an outcome, the last worker.
    ended: Condvar,
}

/// What is read without a lock, apart from the locks, which everybody writes to.
#[derive(Debug)]
#[repr(align(128))]
struct Outside {
    limits: Limits,
    /// Whether `phase` is Cancelled; written under the lock.
    cancelled: AtomicBool,
}

impl<T, R> Shared<T, R> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            outside: Outside { limits, cancelled: AtomicBool::new(false) },
            locks: Locks::new(limits),
            work: Condvar::new(),
            room: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.outside.limits
    }

    pub(crate) fn lock(&self) -> Whole<'_, T, R> {
        self.locks.whole()
    }

    /// Unlocks, then wakes: the other way round, a woken thread runs straight into the lock.
    pub(crate) fn release(&self, whole: Whole<'_, T, R>, wakes: &Wakes) {
        drop(whole.leave_the_inbox());
        self.fire(wakes);
    }

    fn fire(&self, wakes: &Wakes) {
        match wakes.workers {
            Call::All if mutant("notify-one-at-close") => self.work.notify_one(),
            Call::All => self.work.notify_all(),
            Call::One => self.work.notify_one(),
            Call::Nobody => {}
        }
        if wakes.producers {
            if mutant("notify-one-at-low-water") {
                self.room.notify_one();
            } else {
                self.room.notify_all();
            }
        }
        if wakes.waiters {
            self.ended.notify_all();
        }
    }

    // Producers.

    pub(crate) fn put(&self, task: T, patience: Patience) -> Result<Ticket, SubmitError<T>> {
        {
            let mut inbox = self.locks.inbox();
            if inbox.has_credit() {
                return Ok(inbox.push(task));
            }
        }
        let mut turn = self.wait_for_turn(patience);
        let result = match turn.refusal {
            None => Ok(turn.state.push(task)),
            Some(refusal) => Err(refusal.of(task)),
        };
        self.end_turn(turn);
        result
    }

    /// Puts from the front of `tasks` until it is empty, or the queue takes no more.
    pub(crate) fn put_all(&self, tasks: &mut Vec<T>) -> Result<(), Refusal> {
        loop {
            self.locks.inbox().push_all(tasks);
            if tasks.is_empty() {
                return Ok(());
            }
            let mut turn = self.wait_for_turn(Patience::Forever);
            let refusal = turn.refusal;
            if refusal.is_none() {
                turn.state.push_all(tasks);
            }
            self.end_turn(turn);
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
        }
    }

    /// Puts all that an iterator gives, which runs outside the lock.
    pub(crate) fn put_iter(
        &self,
        tasks: impl IntoIterator<Item = T>,
    ) -> Result<usize, SubmitAllError<T>> {
        const CHUNK: usize = 256;
        let mut tasks = tasks.into_iter();
        let mut chunk = Vec::with_capacity(CHUNK.min(tasks.size_hint().0.max(1)));
        let mut accepted = 0;
        loop {
            chunk.extend(tasks.by_ref().take(CHUNK));
            let pulled = chunk.len();
            if pulled == 0 {
                return Ok(accepted);
            }
            let refusal = self.put_all(&mut chunk);
            accepted += pulled - chunk.len();
            if let Err(refusal) = refusal {
                let rest = chunk.into_iter().chain(tasks).collect();
                return Err(SubmitAllError { accepted, rest, refusal });
            }
        }
    }

    fn wait_for_turn(&self, patience: Patience) -> Turn<'_, T, R> {
        let mut state = self.lock();
        let mut waited = false;
        let mut yields = sync::YIELDS_BEFORE_SLEEP;
        let refusal = loop {
            if let Some(refusal) = state.refusal() {
                break Some(refusal);
            }
            if state.has_room(waited) {
                break None;
            }
            if patience.is_over() {
                break Some(Refusal::Full);
            }
            if yields > 0 {
                yields -= 1;
                state = self.locks.step_aside(state);
                continue;
            }
            state.block();
            state = self.locks.wait(&self.room, state, patience);
            state.unblock();
            waited = true;
        };
        Turn { state, waited, refusal }
    }

    fn end_turn(&self, mut turn: Turn<'_, T, R>) {
        let mut wakes = Wakes::default();
        if turn.waited {
            turn.state.pass_room_on(&mut wakes);
        }
        turn.state.call_worker(&mut wakes);
        self.release(turn.state, &wakes);
    }

    /// Adds a task from inside another one: no capacity, no waiting; a queue that is closed still
    /// runs what its tasks give rise to.
    pub(crate) fn spawn(&self, task: T) -> Result<Ticket, SubmitError<T>> {
        let mut state = self.lock();
        if state.phase == Phase::Cancelled {
            drop(state);
            return Err(SubmitError::Cancelled(task));
        }
        let mut wakes = Wakes::default();
        let ticket = state.push_free(task);
        state.call_worker(&mut wakes);
        self.release(state, &wakes);
        Ok(ticket)
    }

    // Workers.

    /// Hands in what is finished and waits for the next tasks, in one critical section if there are
    /// any. `false` is the sentinel.
    pub(crate) fn next(
        &self,
        finished: &mut Finished<T, R>,
        batch: &mut VecDeque<Entry<T>>,
        size: BatchSize,
    ) -> bool {
        let mut wakes = Wakes::default();
        let mut state = self.locks.part();
        if state.has_next() && finished.leaves_nothing() {
            // Something waits, so it is not the last task that ends: the inbox changes nothing.
            state.settle(finished, &mut wakes);
            let offer = state.offer(batch, size, &mut wakes);
            drop(state);
            self.fire(&wakes);
            return matches!(offer, Offer::Taken);
        }
        let mut state = self.locks.complete(state);
        state.settle(finished, &mut wakes);
        let mut yields = sync::YIELDS_BEFORE_SLEEP;
        loop {
            match state.offer(batch, size, &mut wakes) {
                Offer::Wait(_) if wakes.any() => {
                    // Somebody waits for what was handed in: wake them before falling asleep.
                    self.release(state, &std::mem::take(&mut wakes));
                    state = self.lock();
                }
                Offer::Wait(_) if yields > 0 => {
                    yields -= 1;
                    state = self.locks.step_aside(state);
                }
                Offer::Wait(alarm) => {
                    state.sleep(alarm);
                    let patience = alarm.map_or(Patience::Forever, Patience::Until);
                    state = self.locks.wait(&self.work, state, patience);
                    state.wake(alarm);
                }
                offer => {
                    self.release(state, &wakes);
                    return matches!(offer, Offer::Taken);
                }
            }
        }
    }

    /// A task that was taken alone has ended.
    pub(crate) fn task_done(&self) {
        if sync::unwinding() {
            return;
        }
        let mut wakes = Wakes::default();
        let mut state = self.locks.part();
        if state.unfinished > 1 || mutant("last-one-ends-alone") {
            // Not the last one, whatever the inbox holds.
            state.end(1, &mut wakes);
            drop(state);
            self.fire(&wakes);
            return;
        }
        let mut state = self.locks.complete(state);
        state.end(1, &mut wakes);
        self.release(state, &wakes);
    }

    /// Whether the queue is cancelled, without the lock.
    pub(crate) fn is_cancelled(&self) -> bool {
        // ORDERING: Relaxed. A hint to stop early; whoever acts on it asks again under the lock.
        self.outside.cancelled.load(Ordering::Relaxed)
    }

    // Those who wait for the end.

    pub(crate) fn join(&self, patience: Patience, waited: Duration) -> Result<(), JoinError> {
        let mut state = self.lock();
        if state.is_inside() {
            return Err(JoinError::InsideWorker);
        }
        let epoch = state.epoch;
        // The epoch: a joiner that wakes late must not stay for the next wave of tasks.
        let same_wave = |now: u64| now == epoch || mutant("join-without-epoch");
        while state.unfinished > 0 && same_wave(state.epoch) {
            let unfinished = state.unfinished;
            if let (true, Some((worker, message))) = (state.is_dead(), &state.death) {
                let (worker, message) = (*worker, message.clone());
                return Err(JoinError::Dead { unfinished, worker, message });
            }
            if patience.is_over() {
                return Err(JoinError::Timeout { unfinished, waited });
            }
            state.joiner_waits = true;
            state = self.locks.wait(&self.ended, state, patience);
        }
        Ok(())
    }

    /// Waits until every worker has left; on one of them it does not.
    pub(crate) fn await_exit(&self) {
        let mut state = self.lock();
        while state.workers > 0 && !state.is_inside() {
            state.joiner_waits = true;
            state = self.locks.wait(&self.ended, state, Patience::Forever);
        }
    }

    /// The next outcome that `take` gives; `None` when none can come, or none came in time.
    pub(crate) fn read(
        &self,
        take: impl Fn(&mut State<T, R>) -> Option<Outcome<R>>,
        patience: Patience,
    ) -> Option<Outcome<R>> {
        // The state's lock alone: whether a queue is over does not change by what is put.
        let mut state = self.locks.part();
        loop {
            let outcome = take(&mut state);
            if outcome.is_some() || state.is_over() || patience.is_over() {
                return outcome;
            }
            state.reader_waits = true;
            state = self.locks.wait_in_part(&self.ended, state, patience);
        }
    }

    // The end.

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        let mut wakes = Wakes::default();
        state.close(&mut wakes);
        self.release(state, &wakes);
    }

    /// Cancels; what is handed back goes where `take` puts it.
    pub(crate) fn cancel<V>(&self, take: impl FnOnce(&mut State<T, R>) -> V) -> V {
        let mut state = self.lock();
        let mut wakes = Wakes::default();
        // ORDERING: Relaxed, as in `is_cancelled`; the phase under the lock is what counts.
        self.outside.cancelled.store(true, Ordering::Relaxed);
        state.cancel(&mut wakes);
        let taken = take(&mut state);
        self.release(state, &wakes);
        taken
    }

    /// A worker leaves for good: the last thing that it does.
    pub(crate) fn leave(&self, finished: &mut Finished<T, R>, death: Option<(WorkerId, String)>) {
        let mut state = self.lock();
        let mut wakes = Wakes::default();
        state.settle(finished, &mut wakes);
        state.workers -= 1;
        if death.is_some() {
            state.death = death;
        }
        if state.workers == 0 {
            state.wake_everybody(&mut wakes);
        }
        self.release(state, &wakes);
    }
}

/// A producer's turn at the locks: there is room, or a reason to refuse.
struct Turn<'a, T, R> {
    state: Whole<'a, T, R>,
    /// Whether it took a wait.
    waited: bool,
    refusal: Option<Refusal>,
}

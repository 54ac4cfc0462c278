//! Group commit: whoever comes first leads, the others wait for his flush.
//!
//! Group commit as in `DeWitt` et al., "Implementation Techniques for Main Memory Database Systems"
//! (SIGMOD 1984, section 5.2), without a thread of its own. Leadership is possession of the
//! sink: [`State::sink`] is `None` while somebody leads. The core knows neither files nor locks, so
//! that loom can hold it whole: `tests/loom_group.rs`.

use std::collections::VecDeque;
use std::sync::PoisonError;

use crate::sync::{Arc, Condvar, Mutex, MutexGuard, YIELDS, mutant};
use crate::{Error, Result};

/// The most bytes that one group takes; a single larger record goes alone.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// Where groups go. Only the leader has it.
pub trait Sink {
    /// The sink while it is locked against other processes.
    type Held: Held;
    /// Waits briefly for company: `crowd` callers were about when the last group ended, in it or
    /// behind it; `queued` counts those who wait now.
    fn gather(&mut self, crowd: usize, queued: &dyn Fn() -> usize);
    /// Locks, runs `work` with the locked sink or with why it could not be locked, unlocks.
    fn hold<R>(&mut self, work: impl FnOnce(Result<&mut Self::Held>) -> R) -> R;
}

/// A locked sink.
pub trait Held {
    /// What a caller wants.
    type Request: std::fmt::Debug;
    /// What he gets.
    type Reply: std::fmt::Debug;
    /// How much of a group's limit it takes.
    fn bytes(request: &Self::Request) -> usize;
    /// Appends a group; one answer for each request, in order.
    fn append(&mut self, group: Vec<Self::Request>) -> Vec<Appended<Self::Reply>>;
    /// Makes durable what was appended. Only called if something awaits it.
    ///
    /// # Errors
    /// One for all that await it.
    fn flush(&mut self) -> Result<()>;
}

/// What became of a request when its group was appended.
#[derive(Debug)]
pub enum Appended<R> {
    /// It needs no flush: refused, failed, or not promised to be on disk.
    Settled(Result<R>),
    /// It holds once the group is flushed.
    AwaitsFlush(R),
}

/// The queue before a sink.
#[derive(Debug)]
pub struct Group<S: Sink> {
    state: Mutex<State<S>>,
}

/// Guarded by `Group::state`. If `queue` is not empty, then either somebody leads, or the front
/// ticket has been told that the sink is free.
#[derive(Debug)]
struct State<S: Sink> {
    sink: Option<S>,
    queue: VecDeque<Arc<Ticket<S>>>,
    /// Members of the last group and those who waited behind it when it ended: the threads that
    /// are likely to save again. Its members alone would let two half groups take turns for ever.
    crowd: usize,
    /// A leader panicked: the sink is gone for good.
    broken: bool,
}

type ReplyOf<S> = <<S as Sink>::Held as Held>::Reply;
type RequestOf<S> = <<S as Sink>::Held as Held>::Request;

#[derive(Debug)]
struct Ticket<S: Sink> {
    /// A claim wants the sink itself and has no request.
    claim: bool,
    slot: Mutex<Slot<RequestOf<S>, ReplyOf<S>>>,
    wake: Condvar,
}

/// Guarded by `Ticket::slot`: written once by a leader, read by the ticket's owner.
#[derive(Debug)]
struct Slot<Q, R> {
    request: Option<Q>,
    outcome: Option<Result<R>>,
    /// The sink was free when this was set; somebody else may have taken it since.
    may_lead: bool,
    /// The owner has gone to sleep: else nobody asks the kernel to wake him.
    asleep: bool,
}

impl<S: Sink> Group<S> {
    /// An empty queue before `sink`.
    pub fn new(sink: S) -> Self {
        let state = State { sink: Some(sink), queue: VecDeque::new(), crowd: 0, broken: false };
        Self { state: Mutex::new(state) }
    }

    /// Has `request` done, by this thread or by another; blocks until it is.
    ///
    /// # Errors
    /// Those of the sink; [`Error::Poisoned`] after a panic in it.
    pub fn submit(&self, request: RequestOf<S>) -> Result<ReplyOf<S>> {
        let ticket = Ticket::new(Some(request));
        let mut sink = self.enqueue(&ticket)?;
        loop {
            if let Some(sink) = sink.take() {
                self.lead(sink);
            }
            match ticket.wait() {
                Some(outcome) => return outcome,
                None => sink = self.take_sink(&ticket),
            }
        }
    }

    /// Runs `work` with the sink, between two groups; blocks until it is this caller's turn.
    ///
    /// # Errors
    /// [`Error::Poisoned`] after a panic in the sink.
    pub fn claim<R>(&self, work: impl FnOnce(&mut S) -> R) -> Result<R> {
        let ticket = Ticket::new(None);
        let mut sink = self.enqueue(&ticket)?;
        loop {
            if let Some(sink) = sink.take() {
                lock(&self.state).queue.pop_front();
                let mut lead = Leading::new(self, sink);
                if mutant("close-keeps-the-lead") {
                    let result = lead.sink.as_mut().map(work);
                    lock(&self.state).sink = lead.sink.take();
                    std::mem::forget(lead);
                    return result.ok_or_else(broken);
                }
                let result = lead.sink.as_mut().map(work).ok_or_else(broken);
                lead.finished = true;
                return result;
            }
            match ticket.wait() {
                Some(outcome) => return Err(outcome.err().unwrap_or_else(broken)),
                None => sink = self.take_sink(&ticket),
            }
        }
    }

    fn enqueue(&self, ticket: &Arc<Ticket<S>>) -> Result<Option<S>> {
        let mut state = lock(&self.state);
        if state.broken {
            return Err(broken());
        }
        state.queue.push_back(Arc::clone(ticket));
        Ok(state.take_for(ticket))
    }

    fn take_sink(&self, ticket: &Arc<Ticket<S>>) -> Option<S> {
        lock(&self.state).take_for(ticket)
    }

    /// One group: gather, take, append, flush, resolve, hand over.
    fn lead(&self, sink: S) {
        let mut lead = Leading::new(self, sink);
        let Some(sink) = lead.sink.as_mut() else { return };
        let crowd = lock(&self.state).crowd;
        if crowd > 1 {
            sink.gather(crowd, &|| lock(&self.state).queue.len());
        }
        let requests = lock(&self.state).take_group(&mut lead.tickets);
        let tickets = &lead.tickets;
        let (replies, flushed) = sink.hold(|held| match held {
            Err(error) => {
                for ticket in tickets {
                    ticket.resolve(Err(error.again()));
                }
                (Vec::new(), Ok(()))
            }
            Ok(held) => {
                let mut waiting = Vec::new();
                for (ticket, appended) in tickets.iter().zip(held.append(requests)) {
                    match appended {
                        Appended::Settled(outcome) => ticket.resolve(outcome),
                        Appended::AwaitsFlush(reply) => waiting.push((ticket, reply)),
                    }
                }
                if mutant("wake-before-flush") {
                    for (ticket, reply) in waiting.drain(..) {
                        ticket.resolve(Ok(reply));
                    }
                    return (waiting, held.flush());
                }
                let flushed = if waiting.is_empty() { Ok(()) } else { held.flush() };
                (waiting, flushed)
            }
        });
        for (ticket, reply) in replies {
            match &flushed {
                Ok(()) => ticket.resolve(Ok(reply)),
                Err(_) if mutant("failed-group-forgotten") => {}
                Err(error) => ticket.resolve(Err(error.again())),
            }
        }
        lead.finished = true;
    }
}

impl<S: Sink> State<S> {
    /// The sink, if it is free and nobody before has claimed it whole.
    fn take_for(&mut self, ticket: &Arc<Ticket<S>>) -> Option<S> {
        let front = self.queue.front()?;
        if Arc::ptr_eq(front, ticket) || !(front.claim || ticket.claim) {
            return self.sink.take();
        }
        None
    }

    /// Moves the next group out of the queue: up to the limit, up to the next claim.
    fn take_group(&mut self, tickets: &mut Vec<Arc<Ticket<S>>>) -> Vec<RequestOf<S>> {
        let (mut requests, mut bytes) = (Vec::new(), 0);
        while let Some(front) = self.queue.front() {
            let Some(request) = lock(&front.slot).request.take() else { break };
            bytes += S::Held::bytes(&request);
            if bytes > GROUP_BYTES_MAX && !requests.is_empty() {
                lock(&front.slot).request = Some(request);
                break;
            }
            requests.push(request);
            tickets.extend(self.queue.pop_front());
        }
        requests
    }
}

impl<S: Sink> Ticket<S> {
    fn new(request: Option<RequestOf<S>>) -> Arc<Self> {
        let claim = request.is_none();
        let slot = Mutex::new(Slot { request, outcome: None, may_lead: false, asleep: false });
        Arc::new(Self { claim, slot, wake: Condvar::new() })
    }

    /// Blocks until there is an outcome, or (`None`) until the sink was free.
    fn wait(&self) -> Option<Result<ReplyOf<S>>> {
        let mut yields = YIELDS;
        let mut slot = lock(&self.slot);
        loop {
            if let Some(outcome) = slot.outcome.take() {
                return Some(outcome);
            }
            if std::mem::take(&mut slot.may_lead) {
                return None;
            }
            if yields > 0 {
                yields -= 1;
                drop(slot);
                std::thread::yield_now();
                slot = lock(&self.slot);
                continue;
            }
            slot.asleep = !mutant("sleeps-unannounced");
            // The lock is never held over code that can panic, so a poisoned one is whole.
            slot = self.wake.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn resolve(&self, outcome: Result<ReplyOf<S>>) {
        let mut slot = lock(&self.slot);
        slot.outcome.get_or_insert(outcome);
        self.wake_owner(slot);
    }

    fn let_lead(&self) {
        let mut slot = lock(&self.slot);
        slot.may_lead = true;
        self.wake_owner(slot);
    }

    fn wake_owner(&self, slot: MutexGuard<'_, Slot<RequestOf<S>, ReplyOf<S>>>) {
        let asleep = slot.asleep;
        drop(slot);
        if asleep {
            self.wake.notify_one();
        }
    }
}

/// Gives leadership back on every way out, a panic included.
struct Leading<'a, S: Sink> {
    group: &'a Group<S>,
    sink: Option<S>,
    tickets: Vec<Arc<Ticket<S>>>,
    /// The sink came back whole.
    finished: bool,
}

impl<'a, S: Sink> Leading<'a, S> {
    fn new(group: &'a Group<S>, sink: S) -> Self {
        Self { group, sink: Some(sink), tickets: Vec::new(), finished: false }
    }
}

impl<S: Sink> Drop for Leading<'_, S> {
    fn drop(&mut self) {
        let mut state = lock(&self.group.state);
        if !self.finished {
            // The sink may be half changed: nobody may use it again, nobody may wait for it.
            state.broken = true;
            for ticket in self.tickets.drain(..).chain(state.queue.drain(..)) {
                ticket.resolve(Err(broken()));
            }
            return;
        }
        state.sink = self.sink.take();
        if !self.tickets.is_empty() {
            state.crowd = self.tickets.len() + state.queue.len();
        }
        let next = state.queue.front().cloned();
        drop(state);
        if let Some(next) = next
            && !mutant("no-hand-over")
        {
            next.let_lead();
        }
    }
}

fn broken() -> Error {
    let reason = "a panic while it was writing".to_owned();
    Error::Poisoned { path: std::path::PathBuf::new(), reason }
}

/// Nothing that can panic runs under these locks, so a poisoned one is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

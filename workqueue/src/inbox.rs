//! Where tasks are put while nobody has to hear of it, behind a lock of its own.
//!
//! Producers and workers would hand one lock to and fro, twice a task. So the state lends its free
//! room to the inbox, and whoever puts on that credit locks the inbox alone; whoever runs out of
//! tasks locks both, and takes in what was put. The state lends only while no worker sleeps, no
//! producer waits and the queue is open: what is put on credit has nobody to wake, no one to
//! overtake, and comes before any close.

use std::collections::VecDeque;

use crate::Ticket;
use crate::state::State;
use crate::sync::mutant;
use crate::ticket::Entry;

/// Tasks that were put and that the state does not know of yet.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    entries: VecDeque<Entry<T>>,
    /// The ticket of the next task.
    next: u64,
    /// How many more may be put.
    credit: usize,
}

impl<T> Inbox<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: VecDeque::new(), next: 0, credit: 0 }
    }

    pub(crate) const fn has_credit(&self) -> bool {
        self.credit > 0
    }

    /// Takes in one task, for which there is credit.
    pub(crate) fn push(&mut self, task: T) -> Ticket {
        debug_assert!(self.has_credit(), "more tasks than credit");
        let ticket = Ticket(self.next);
        self.next += 1;
        self.credit -= 1;
        self.entries.push_back(Entry::charged(ticket, task));
        ticket
    }

    /// Takes in as many of the tasks as there is credit for, from the front.
    pub(crate) fn push_all(&mut self, tasks: &mut Vec<T>) {
        let count = tasks.len().min(self.credit);
        for task in tasks.drain(..count) {
            self.push(task);
        }
    }
}

impl<T, R> State<T, R> {
    /// Takes in what was put on credit, and calls the credit back.
    pub(crate) fn absorb(&mut self, inbox: &mut Inbox<T>) {
        inbox.credit = 0;
        let count = inbox.entries.len();
        if count == 0 {
            return;
        }
        self.accept(count);
        self.charged += count;
        if self.waiting.is_empty() {
            std::mem::swap(&mut self.waiting, &mut inbox.entries);
        } else {
            self.waiting.append(&mut inbox.entries);
        }
    }

    /// Lends the room that is left, if nobody has to hear of what is put there.
    pub(crate) fn lend(&self, inbox: &mut Inbox<T>) {
        let nobody_sleeps = self.idle == 0 || mutant("lent-while-one-sleeps");
        let open = self.refusal().is_none() || mutant("lent-when-closed");
        if nobody_sleeps && open && self.blocked == 0 {
            inbox.next = self.accepted;
            inbox.credit = self.limits.capacity - self.charged;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::state::{Limits, Phase};

    fn state(capacity: usize) -> State<u64, ()> {
        State::new(Limits { capacity, batch: 1, shares: 1, grows: true, keep: false })
    }

    fn credit(state: &State<u64, ()>) -> usize {
        let mut inbox = Inbox::new();
        state.lend(&mut inbox);
        inbox.credit
    }

    #[test]
    fn what_is_put_on_credit_has_its_place_and_its_ticket() {
        let mut state = state(5);
        let mut inbox = Inbox::new();
        assert!(!inbox.has_credit(), "nothing was lent yet");
        state.push(0);
        state.push_free(1);
        state.lend(&mut inbox);
        assert_eq!(inbox.credit, 4, "a spawned task takes up no room");
        assert_eq!(inbox.push(2), Ticket(2));
        let mut tasks = vec![3, 4, 5, 6];
        inbox.push_all(&mut tasks);
        assert_eq!(tasks, [6], "there was credit for three");
        assert!(!inbox.has_credit());

        state.absorb(&mut inbox);
        assert_eq!((state.accepted, state.unfinished, state.charged), (6, 6, 5));
        let order: Vec<_> =
            state.waiting.iter().map(|entry| (entry.ticket().0, entry.task)).collect();
        assert_eq!(order, [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
        assert_eq!(credit(&state), 0, "it is full");
    }

    #[test]
    fn credit_is_called_back_whether_or_not_it_was_used() {
        let mut state = state(3);
        let mut inbox = Inbox::new();
        state.lend(&mut inbox);
        state.absorb(&mut inbox);
        assert_eq!((inbox.credit, state.accepted), (0, 0));
        state.lend(&mut inbox);
        inbox.push(0);
        state.absorb(&mut inbox);
        assert_eq!((inbox.credit, state.accepted, state.waiting.len()), (0, 1, 1));
        state.absorb(&mut inbox);
        assert_eq!((state.accepted, state.waiting.len()), (1, 1), "once");
    }

    #[test]
    fn nothing_is_lent_where_somebody_has_to_hear_of_a_task() {
        let mut state = state(3);
        assert_eq!(credit(&state), 3);
        state.sleep(None);
        assert_eq!(credit(&state), 0, "a worker has to be woken");
        state.wake(None);
        state.block();
        assert_eq!(credit(&state), 0, "a producer waits in line");
        state.unblock();
        assert_eq!(credit(&state), 3);
        for phase in [Phase::Draining, Phase::Cancelled] {
            state.phase = phase;
            assert_eq!(credit(&state), 0, "{phase:?}");
        }
    }
}

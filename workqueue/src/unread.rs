//! Outcomes that nobody has taken yet.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use crate::frontier::Frontier;
use crate::sync::mutant;
use crate::{Outcome, Ticket};

/// Outcomes from their completion until somebody takes them, in either of two orders.
///
/// Everything moves values around and drops none: it runs under the queue's lock.
#[derive(Debug)]
pub(crate) struct Unread<R> {
    /// In the order of completion.
    recent: VecDeque<Outcome<R>>,
    /// Those that a reader in ticket order has passed by, oldest ticket on top.
    sorted: BinaryHeap<Reverse<ByTicket<R>>>,
    frontier: Frontier,
}

impl<R> Unread<R> {
    pub(crate) fn new() -> Self {
        Self { recent: VecDeque::new(), sorted: BinaryHeap::new(), frontier: Frontier::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.recent.is_empty() && self.sorted.is_empty()
    }

    pub(crate) fn push(&mut self, outcome: Outcome<R>) {
        self.frontier.end(outcome.ticket());
        self.recent.push_back(outcome);
    }

    /// A ticket has ended without an outcome: it was handed back.
    pub(crate) fn skip(&mut self, ticket: Ticket) {
        self.frontier.end(ticket);
    }

    /// The next in the order of completion, as far as no reader in ticket order passed it by.
    pub(crate) fn next_completed(&mut self) -> Option<Outcome<R>> {
        self.recent.pop_front().or_else(|| self.sorted.pop().map(|first| first.0.0))
    }

    /// The next in ticket order: one that no older ticket can come before any more.
    pub(crate) fn next_ordered(&mut self) -> Option<Outcome<R>> {
        self.sorted.extend(self.recent.drain(..).map(|outcome| Reverse(ByTicket(outcome))));
        let oldest = self.frontier.oldest_open();
        if self.sorted.peek()?.0.0.ticket() >= oldest && !mutant("order-without-frontier") {
            return None;
        }
        self.sorted.pop().map(|first| first.0.0)
    }

    /// All of them, in no order.
    pub(crate) fn take_all(&mut self) -> Vec<Outcome<R>> {
        let mut all: Vec<_> = std::mem::take(&mut self.recent).into();
        all.extend(self.sorted.drain().map(|first| first.0.0));
        all
    }
}

#[derive(Debug)]
struct ByTicket<R>(Outcome<R>);

impl<R> Ord for ByTicket<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.ticket().cmp(&other.0.ticket())
    }
}

impl<R> PartialOrd for ByTicket<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> PartialEq for ByTicket<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ticket() == other.0.ticket()
    }
}

impl<R> Eq for ByTicket<R> {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::WorkerId;
    use std::time::Duration;

    fn done(ticket: u64) -> Outcome<()> {
        let (ticket, elapsed) = (Ticket(ticket), Duration::ZERO);
        Outcome::Done { ticket, worker: WorkerId(0), elapsed, value: () }
    }

    #[test]
    fn both_readers_of_one_queue_get_each_outcome_once() {
        let mut unread = Unread::new();
        for ticket in [4, 2, 0, 3] {
            unread.push(done(ticket));
        }
        let number = |outcome: Option<Outcome<()>>| outcome.map(|outcome| outcome.ticket().0);
        assert_eq!(number(unread.next_ordered()), Some(0));
        assert_eq!(number(unread.next_ordered()), None, "the first may still come");
        unread.push(done(6));
        assert_eq!(number(unread.next_completed()), Some(6), "no reader in order passed it by");
        assert_eq!(number(unread.next_completed()), Some(2), "the oldest of the others");
        unread.skip(Ticket(1));
        assert_eq!(number(unread.next_ordered()), Some(3));
        assert!(!unread.is_empty());
        assert_eq!(number(unread.next_ordered()), Some(4));
        assert!(unread.is_empty());
        assert_eq!(number(unread.next_ordered()), None);
    }

    #[test]
    fn all_that_is_left_is_taken_from_both() {
        let mut unread = Unread::new();
        unread.push(done(1));
        assert!(unread.next_ordered().is_none());
        unread.push(done(2));
        let mut left: Vec<_> = unread.take_all().iter().map(|outcome| outcome.ticket().0).collect();
        left.sort_unstable();
        assert_eq!(left, [1, 2]);
        assert!(unread.is_empty());
    }
}

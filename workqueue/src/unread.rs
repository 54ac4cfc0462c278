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

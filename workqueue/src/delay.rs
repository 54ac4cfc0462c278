//! Tasks that come back later.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::ticket::Entry;

/// Tasks by the moment they are due; among equals, the older ticket first.
#[derive(Debug)]
pub(crate) struct Delayed<T> {
    heap: BinaryHeap<Reverse<Due<T>>>,
}

impl<T> Delayed<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub(crate) fn push(&mut self, entry: Entry<T>, due: Instant) {
        self.heap.push(Reverse(Due { due, entry }));
    }

    /// When the first is due.
    pub(crate) fn nearest(&self) -> Option<Instant> {
        self.heap.peek().map(|first| first.0.due)
    }

    /// The first, if it is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Entry<T>> {
        if self.nearest()? > now {
            return None;
        }
        self.heap.pop().map(|first| first.0.entry)
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry<T>> + '_ {
        self.heap.drain().map(|first| first.0.entry)
    }
}

#[derive(Debug)]
struct Due<T> {
    due: Instant,
    entry: Entry<T>,
}

impl<T> Due<T> {
    /// No user's `Ord`: this runs under the lock.
    const fn key(&self) -> (Instant, u64) {
        (self.due, self.entry.ticket().0)
    }
}

impl<T> Ord for Due<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Due<T> {}

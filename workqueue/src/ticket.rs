//! Names for a task, for a worker, and for a task that was handed back.

use std::fmt;

/// The place of an accepted task in the order of acceptance, from 0; unique within its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

impl Ticket {
    /// How many tasks the queue had accepted before this one.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One of a queue's workers, from 0; its thread is called `<name>-<index>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub(crate) usize);

impl WorkerId {
    /// The worker's number, from 0 up to the number of workers.
    pub const fn index(self) -> usize {
        self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A task that was accepted, never completed, and is handed back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending<T> {
    /// The ticket that the task was accepted under.
    pub ticket: Ticket,
    /// The task itself.
    pub task: T,
}

/// A task on its way through a queue.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) ticket: Ticket,
    pub(crate) task: T,
    /// Whether it takes up capacity: what was submitted does, what was spawned or came back does not.
    pub(crate) charged: bool,
}

impl<T> From<Entry<T>> for Pending<T> {
    fn from(entry: Entry<T>) -> Self {
        Self { ticket: entry.ticket, task: entry.task }
    }
}

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

/// A task on its way through a queue. Small: entries travel between processors.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    /// The ticket, and in the top bit whether it takes up no capacity.
    place: u64,
    pub(crate) task: T,
}

impl<T> Entry<T> {
    const FREE: u64 = 1 << 63;

    /// A submitted task: it takes up capacity while it waits.
    pub(crate) const fn charged(ticket: Ticket, task: T) -> Self {
        Self { place: ticket.0, task }
    }

    /// A task that was spawned, or came back: it takes up none.
    pub(crate) const fn free(ticket: Ticket, task: T) -> Self {
        Self { place: ticket.0 | Self::FREE, task }
    }

    pub(crate) const fn ticket(&self) -> Ticket {
        Ticket(self.place & !Self::FREE)
    }

    pub(crate) const fn is_charged(&self) -> bool {
        self.place & Self::FREE == 0
    }

    /// The same task, taking up no capacity any more.
    pub(crate) fn freed(self) -> Self {
        Self::free(self.ticket(), self.task)
    }
}

impl<T> From<Entry<T>> for Pending<T> {
    fn from(entry: Entry<T>) -> Self {
        Self { ticket: entry.ticket(), task: entry.task }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_numbers() {
        assert_eq!((Ticket(7).number(), Ticket(7).to_string().as_str()), (7, "#7"));
        assert_eq!((WorkerId(7).index(), WorkerId(7).to_string().as_str()), (7, "7"));
    }

    #[test]
    fn an_entry_keeps_its_ticket_whatever_it_takes_up() {
        let charged = Entry::charged(Ticket(7), ());
        assert!(charged.is_charged() && charged.ticket() == Ticket(7));
        let freed = charged.freed();
        assert!(!freed.is_charged() && freed.ticket() == Ticket(7));
        let free = Entry::free(Ticket(0), ());
        assert!(!free.is_charged() && free.ticket() == Ticket(0));
    }
}

//! Tasks that come back later.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::Ticket;
use crate::ticket::Entry;

/// Tasks by the moment they are due; among equals, the older ticket first.
///
/// The keys are ours: no user's `Ord` runs under the queue's lock.
#[derive(Debug)]
pub(crate) struct Delayed<T> {
    tasks: BTreeMap<(Instant, Ticket), Entry<T>>,
}

impl<T> Delayed<T> {
    pub(crate) const fn new() -> Self {
        Self { tasks: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(crate) fn push(&mut self, entry: Entry<T>, due: Instant) {
        self.tasks.insert((due, entry.ticket()), entry);
    }

    /// When the first is due.
    pub(crate) fn nearest(&self) -> Option<Instant> {
        self.tasks.first_key_value().map(|((due, _), _)| *due)
    }

    /// The first, if it is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Entry<T>> {
        let first = self.tasks.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry<T>> + use<T> {
        std::mem::take(&mut self.tasks).into_values()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_due_comes_first_and_then_the_older_ticket() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut delayed = Delayed::new();
        for (ticket, due) in [(0, 3), (1, 2), (2, 3), (3, 1)] {
            delayed.push(Entry::free(Ticket(ticket), ()), at(due));
        }
        assert_eq!((delayed.len(), delayed.nearest()), (4, Some(at(1))));
        assert!(delayed.pop_due(at(0)).is_none(), "nothing is due yet");
        let mut pop = |now| delayed.pop_due(at(now)).map(|entry| entry.ticket().number());
        assert_eq!((pop(1), pop(1)), (Some(3), None), "due at its very moment, and it alone");
        assert_eq!((pop(3), pop(3), pop(3), pop(3)), (Some(1), Some(0), Some(2), None));
        assert!(delayed.is_empty() && delayed.nearest().is_none());
    }
}

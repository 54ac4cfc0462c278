//! Which tickets have ended: one bit for each, and the oldest that has not.

use std::collections::VecDeque;

use crate::Ticket;

const BITS: u64 = u64::BITS as u64;

/// All tickets below [`oldest_open`](Self::oldest_open) have ended.
#[derive(Debug, Default)]
pub(crate) struct Frontier {
    /// The ticket of the first bit of the first word; all below have ended.
    base: u64,
    /// A set bit is a ticket that has ended. The first word has a clear bit, or there is none.
    words: VecDeque<u64>,
}

impl Frontier {
    /// The oldest ticket that has not ended, or was not given out yet.
    pub(crate) fn oldest_open(&self) -> Ticket {
        Ticket(self.base + self.words.front().map_or(0, |word| u64::from(word.trailing_ones())))
    }

    /// Notes that a ticket has ended.
    ///
    /// # Panics
    /// With debug assertions, when it had ended before: each ticket ends exactly once.
    pub(crate) fn end(&mut self, ticket: Ticket) {
        debug_assert!(ticket.0 >= self.base, "task {ticket} ended twice");
        let offset = ticket.0.saturating_sub(self.base);
        // A queue of more than 2^64 words does not fit into memory: the cast keeps the value.
        let (word, bit) = ((offset / BITS) as usize, 1 << (offset % BITS));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        debug_assert!(self.words[word] & bit == 0, "task {ticket} ended twice");
        self.words[word] |= bit;
        while self.words.front() == Some(&u64::MAX) {
            self.words.pop_front();
            self.base += BITS;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_open_ticket_moves_over_whatever_has_ended() {
        let mut frontier = Frontier::default();
        for ticket in (1..200).rev() {
            frontier.end(Ticket(ticket));
            assert_eq!(frontier.oldest_open(), Ticket(0));
        }
        frontier.end(Ticket(0));
        assert_eq!(frontier.oldest_open(), Ticket(200));
        assert!(frontier.words.len() <= 1, "what has ended takes no memory");
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "task #3 ended twice")]
    fn a_ticket_that_ends_twice_is_found() {
        let mut frontier = Frontier::default();
        frontier.end(Ticket(3));
        frontier.end(Ticket(3));
    }
}

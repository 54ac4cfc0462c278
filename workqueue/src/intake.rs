//! The rules of those who put: what is refused, who has room, who is woken when there is room.

use crate::state::{Phase, State};
use crate::sync::mutant;
use crate::ticket::Entry;
use crate::wakes::Wakes;
use crate::{Refusal, Ticket};

impl<T, R> State<T, R> {
    // Producers.

    /// Why nothing more is taken, if so.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.phase {
            Phase::Cancelled => Some(Refusal::Cancelled),
            Phase::Draining => Some(Refusal::Closed),
            Phase::Open if self.is_dead() => Some(Refusal::Dead),
            Phase::Open => None,
        }
    }

    /// Whether a producer may put; one that comes new does not push past those that wait.
    pub(crate) const fn has_room(&self, waited: bool) -> bool {
        self.charged < self.limits.capacity && (waited || self.blocked == 0)
    }

    pub(crate) fn push(&mut self, task: T, charged: bool) -> Ticket {
        let ticket = Ticket(self.accepted);
        self.accepted += 1;
        if !mutant("unfinished-counted-at-pop") {
            self.unfinished += 1;
        }
        self.charged += usize::from(charged);
        debug_assert!(self.charged <= self.limits.capacity, "more tasks than capacity");
        self.waiting.push_back(Entry { ticket, task, charged });
        ticket
    }

    /// A producer begins to wait for room.
    pub(crate) const fn block(&mut self) {
        self.blocked += 1;
    }

    /// A producer has woken, for whatever reason.
    pub(crate) const fn unblock(&mut self) {
        self.blocked -= 1;
        self.waking = self.waking.saturating_sub(1);
    }

    /// A producer that waited leaves: those whom no wake has reached may go on if there is room.
    pub(crate) const fn pass_room_on(&mut self, wakes: &mut Wakes) {
        self.call_producers(self.limits.capacity - 1, wakes);
    }

    /// Wakes all producers that wait, once no more tasks than `low` take up capacity. All of them: a
    /// single one may fill less than there is room for, and nobody would call the others.
    pub(crate) const fn call_producers(&mut self, low: usize, wakes: &mut Wakes) {
        if self.blocked > self.waking && self.charged <= low {
            self.waking = self.blocked;
            wakes.producers = true;
        }
    }
}

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
            Phase::Draining if mutant("closed-not-refused") => None,
            Phase::Draining => Some(Refusal::Closed),
            Phase::Open if self.is_dead() => Some(Refusal::Dead),
            Phase::Open => None,
        }
    }

    /// Whether a producer may put; one that comes new does not push past those that wait.
    pub(crate) fn has_room(&self, waited: bool) -> bool {
        let one_more = usize::from(mutant("capacity-off-by-one"));
        self.charged < self.limits.capacity + one_more && (waited || self.blocked == 0)
    }

    /// Takes in as many of the tasks as there is room for, from the front.
    pub(crate) fn push_all(&mut self, tasks: &mut Vec<T>) {
        let count = tasks.len().min(self.limits.capacity - self.charged);
        let first = self.accept(count);
        self.charged += count;
        let entries = tasks.drain(..count).zip(first..);
        self.waiting.extend(entries.map(|(task, n)| Entry::charged(Ticket(n), task)));
    }

    /// Takes in one task, for which there is room.
    pub(crate) fn push(&mut self, task: T) -> Ticket {
        debug_assert!(self.charged < self.limits.capacity, "more tasks than capacity");
        let ticket = Ticket(self.accept(1));
        self.charged += 1;
        self.waiting.push_back(Entry::charged(ticket, task));
        ticket
    }

    /// Takes in one task that takes up no capacity.
    pub(crate) fn push_free(&mut self, task: T) -> Ticket {
        let ticket = Ticket(self.accept(1));
        self.waiting.push_back(Entry::free(ticket, task));
        ticket
    }

    /// Counts tasks as accepted, under the lock that lets them in, never by who is idle; gives the first
    /// one's ticket.
    pub(crate) fn accept(&mut self, count: usize) -> u64 {
        let first = self.accepted;
        self.accepted += count as u64;
        if !mutant("unfinished-counted-at-pop") {
            self.unfinished += count;
        }
        first
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::state::Limits;

    fn state(capacity: usize) -> State<u64, ()> {
        State::new(Limits { capacity, batch: 1, shares: 1, grows: true, keep: false })
    }

    fn calls(state: &mut State<u64, ()>, low: usize) -> bool {
        let mut wakes = Wakes::default();
        state.call_producers(low, &mut wakes);
        wakes.producers
    }

    #[test]
    fn producers_are_called_at_low_water_and_once() {
        let mut state = state(4);
        state.push_all(&mut vec![0, 1, 2, 3, 4]);
        assert_eq!((state.charged, state.unfinished), (4, 4), "no more than there is room for");
        assert!(!calls(&mut state, 4), "nobody waits");
        state.block();
        state.block();
        assert!(!calls(&mut state, 3));
        assert!(calls(&mut state, 4));
        assert!(!calls(&mut state, 4), "all of them are on their way");
        state.unblock();
        assert!(!calls(&mut state, 4), "the other one still is");
        state.block();
        assert!(calls(&mut state, 4), "one came after the call");
    }

    #[test]
    fn a_producer_that_leaves_passes_on_any_room_that_is_left() {
        let mut state = state(2);
        state.push(0);
        state.block();
        let mut wakes = Wakes::default();
        state.pass_room_on(&mut wakes);
        assert!(wakes.producers);
        state.unblock();
        state.push(1);
        state.block();
        let mut wakes = Wakes::default();
        state.pass_room_on(&mut wakes);
        assert!(!wakes.producers, "there is none");
    }

    #[test]
    fn a_new_producer_does_not_push_past_those_that_wait() {
        let mut state = state(1);
        assert!(state.has_room(false));
        state.block();
        assert!(!state.has_room(false) && state.has_room(true));
        state.push(0);
        assert!(!state.has_room(true));
    }

    #[test]
    fn each_phase_refuses_in_its_own_words() {
        let mut state = state(1);
        assert_eq!(state.refusal(), None);
        state.death = Some((crate::WorkerId(0), String::new()));
        state.workers = 1;
        assert_eq!(state.refusal(), None, "another one lives");
        state.workers = 0;
        assert_eq!(state.refusal(), Some(Refusal::Dead));
        state.phase = Phase::Draining;
        assert_eq!(state.refusal(), Some(Refusal::Closed));
        state.phase = Phase::Cancelled;
        assert_eq!(state.refusal(), Some(Refusal::Cancelled));
    }

    #[test]
    fn as_many_are_taken_in_as_there_is_room_for() {
        let mut state = state(4);
        state.push(0);
        let mut tasks = vec![1, 2, 3, 4, 5];
        state.push_all(&mut tasks);
        assert_eq!((state.charged, state.accepted, tasks), (4, 4, vec![4, 5]));
        let tickets: Vec<_> = state.waiting.iter().map(|entry| entry.ticket().0).collect();
        assert_eq!(tickets, [0, 1, 2, 3]);
        state.block();
        state.unblock();
        assert_eq!(state.blocked, 0);
    }
}

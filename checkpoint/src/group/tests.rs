//! The queue's parts, one by one; `tests/loom_group.rs` holds how they meet.

use super::{Appended, Group, Held, Leading, Sink, Ticket, lock};
use crate::Result;
use crate::sync::Arc;

/// Requests are their own size. Notes for which crowds it was asked to wait.
#[derive(Debug, Default)]
struct Sizes {
    gathered: Vec<usize>,
    held: Nothing,
}

#[derive(Debug, Default)]
struct Nothing;

impl Sink for Sizes {
    type Held = Nothing;

    fn gather(&mut self, crowd: usize, _queued: &dyn Fn() -> usize) {
        self.gathered.push(crowd);
    }

    fn hold<R>(&mut self, work: impl FnOnce(Result<&mut Nothing>) -> R) -> R {
        work(Ok(&mut self.held))
    }
}

impl Held for Nothing {
    type Request = usize;
    type Reply = usize;

    fn bytes(request: &usize) -> usize {
        *request
    }

    fn append(&mut self, group: Vec<usize>) -> Vec<Appended<usize>> {
        group.into_iter().map(|size| Appended::Settled(Ok(size))).collect()
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A queue of requests, and of claims where there is `None`.
fn queued(requests: &[Option<usize>]) -> (Group<Sizes>, Vec<Arc<Ticket<Sizes>>>) {
    let group = Group::new(Sizes::default());
    let tickets: Vec<_> = requests.iter().map(|request| Ticket::new(*request)).collect();
    lock(&group.state).queue.extend(tickets.iter().cloned());
    (group, tickets)
}

#[test]
fn a_group_ends_at_its_limit_and_before_a_claim() {
    for (queue, expected) in [
        (&[Some(1_048_575), Some(1), Some(1)][..], &[1_048_575, 1][..]),
        (&[Some(2_000_000), Some(1)], &[2_000_000]),
        (&[Some(1), Some(2_000_000)], &[1]),
        (&[Some(1), Some(2), None, Some(3)], &[1, 2]),
        (&[None, Some(3)], &[]),
    ] {
        let (group, _tickets) = queued(queue);
        let mut taken = Vec::new();
        let requests = lock(&group.state).take_group(&mut taken);
        assert_eq!((&*requests, taken.len()), (expected, expected.len()));
        let state = lock(&group.state);
        assert_eq!(state.queue.len(), queue.len() - expected.len());
        // Whoever was not taken has his request still.
        let next = state.queue.front().map(|ticket| lock(&ticket.slot).request);
        assert_eq!(next.flatten(), queue.get(expected.len()).copied().flatten());
    }
}

#[test]
fn who_saves_may_lead_for_savers_before_him_and_not_for_a_claim() {
    for (queue, expected) in [
        ([Some(1), Some(1)], [true, true]),
        ([None, Some(1)], [true, false]),
        ([Some(1), None], [true, false]),
        ([None, None], [true, false]),
    ] {
        for at in 0..2 {
            let (group, tickets) = queued(&queue);
            assert_eq!(group.take_sink(&tickets[at]).is_some(), expected[at], "{queue:?} {at}");
            assert!(group.take_sink(&tickets[0]).is_none() || !expected[at], "it is taken");
        }
    }
}

#[test]
fn a_leader_waits_for_company_if_there_was_some() {
    let group = Group::new(Sizes::default());
    for (crowd, expected) in [(0, &[][..]), (1, &[]), (2, &[2]), (5, &[2, 5])] {
        lock(&group.state).crowd = crowd;
        assert_eq!(group.submit(7).unwrap(), 7);
        assert_eq!(group.claim(|sink| sink.gathered.clone()).unwrap(), expected);
    }
}

#[test]
fn a_crowd_is_a_group_and_those_behind_it() {
    let (group, tickets) = queued(&[Some(1), Some(1), Some(1)]);
    let sink = lock(&group.state).sink.take().unwrap();
    let mut lead = Leading::new(&group, sink);
    lead.tickets = vec![Ticket::new(Some(1)), Ticket::new(Some(1))];
    lead.finished = true;
    drop(lead);
    assert_eq!(lock(&group.state).crowd, 5);
    assert!(lock(&tickets[0].slot).may_lead && !lock(&tickets[1].slot).may_lead);
    // A claim between two groups says nothing about how many save.
    lock(&group.state).queue.clear();
    group.claim(|_| ()).unwrap();
    assert_eq!(lock(&group.state).crowd, 5);
}

/// Whoever only yielded would take a processor for as long as a flush lasts.
#[test]
fn who_waits_sleeps_in_the_end_and_is_woken() {
    for expected in [Some(7), None] {
        let ticket = Ticket::<Sizes>::new(Some(1));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| ticket.wait().map(Result::unwrap));
            while !lock(&ticket.slot).asleep {
                std::thread::yield_now();
            }
            match expected {
                Some(reply) => ticket.resolve(Ok(reply)),
                None => ticket.let_lead(),
            }
            assert_eq!(waiting.join().unwrap(), expected);
        });
    }
}

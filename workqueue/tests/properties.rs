//! Random calls against a plain model.
//!
//! 1. `Queue`, one thread: every answer equals that of a `VecDeque` with a phase.
//! 2. `WorkQueue` with real workers: whatever is called in whatever order, each accepted task ends
//!    exactly once, refused ones come back, and both readers give what they promise.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use workqueue::{Outcome, Queue, Refusal, Step, SubmitError, WorkQueue};

#[derive(Debug, Clone)]
enum Call {
    Put,
    PutTimeout,
    PutAll(usize),
    Get,
    Done(usize),
    Keep(usize),
    Close,
    Cancel,
    Join,
    Len,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        6 => Just(Call::Put),
        1 => Just(Call::PutTimeout),
        2 => (0..6_usize).prop_map(Call::PutAll),
        6 => Just(Call::Get),
        4 => any::<usize>().prop_map(Call::Done),
        1 => any::<usize>().prop_map(Call::Keep),
        1 => Just(Call::Close),
        1 => Just(Call::Cancel),
        3 => Just(Call::Join),
        2 => Just(Call::Len),
    ];
    prop::collection::vec(call, 0..60)
}

/// What a queue is, without threads.
#[derive(Default)]
struct Model {
    waiting: VecDeque<(u64, u64)>,
    accepted: u64,
    taken: usize,
    ended: Option<Refusal>,
}

impl Model {
    fn put(&mut self, capacity: usize, task: u64) -> Result<u64, Refusal> {
        if let Some(refusal) = self.ended {
            return Err(refusal);
        }
        if self.waiting.len() == capacity {
            return Err(Refusal::Full);
        }
        self.waiting.push_back((self.accepted, task));
        self.accepted += 1;
        Ok(self.accepted - 1)
    }
}

fn answer(real: Result<workqueue::Ticket, SubmitError<u64>>, task: u64) -> Result<u64, Refusal> {
    real.map(workqueue::Ticket::number).map_err(|error| {
        let refusal = error.refusal();
        assert_eq!(error.into_task(), task, "it comes back");
        refusal
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_answers_as_the_model_does(capacity in 1..5_usize, calls in calls()) {
        let queue = Queue::bounded(capacity);
        let mut model = Model::default();
        let mut taken = Vec::new();
        let mut next = 0;
        for call in calls {
            next += 1;
            match call {
                Call::Put => prop_assert_eq!(
                    answer(queue.try_put(next), next), model.put(capacity, next)
                ),
                Call::PutTimeout => prop_assert_eq!(
                    answer(queue.put_timeout(next, Duration::ZERO), next),
                    model.put(capacity, next)
                ),
                Call::PutAll(count) => {
                    // Alone, so no more than there is room for: it would wait for ever.
                    let room = if model.ended.is_some() { count } else { capacity - model.waiting.len() };
                    let tasks: Vec<u64> = (next..).take(count.min(room)).collect();
                    next += tasks.len() as u64;
                    let accepted = tasks.iter().filter(|n| model.put(capacity, **n).is_ok()).count();
                    match queue.put_all(tasks.clone()) {
                        Ok(all) => prop_assert_eq!((all, accepted), (tasks.len(), tasks.len())),
                        Err(error) => {
                            prop_assert_eq!(error.accepted, accepted);
                            prop_assert_eq!(Some(error.refusal), model.ended);
                            prop_assert_eq!(&error.rest, &tasks[accepted..]);
                        }
                    }
                }
                Call::Get if model.waiting.is_empty() && model.ended.is_none() => {}
                Call::Get => {
                    let expected = model.waiting.pop_front();
                    let got = queue.get();
                    prop_assert_eq!(got.as_ref().map(|t| (t.ticket().number(), **t)), expected);
                    model.taken += usize::from(got.is_some());
                    taken.extend(got);
                }
                Call::Done(which) | Call::Keep(which) if !taken.is_empty() => {
                    let task = taken.swap_remove(which % taken.len());
                    model.taken -= 1;
                    if matches!(call, Call::Keep(_)) { task.into_task(); } else { drop(task); }
                }
                Call::Done(_) | Call::Keep(_) => {}
                Call::Close => {
                    queue.close();
                    model.ended = model.ended.or(Some(Refusal::Closed));
                }
                Call::Cancel => {
                    let returned: Vec<_> =
                        queue.cancel().into_iter().map(|p| (p.ticket.number(), p.task)).collect();
                    prop_assert_eq!(returned, model.waiting.drain(..).collect::<Vec<_>>());
                    model.ended = Some(Refusal::Cancelled);
                }
                Call::Join => prop_assert_eq!(
                    queue.join_timeout(Duration::ZERO).is_ok(),
                    model.waiting.len() + model.taken == 0
                ),
                Call::Len => {
                    prop_assert_eq!(queue.len(), model.waiting.len());
                    prop_assert_eq!(queue.is_empty(), model.waiting.is_empty());
                }
            }
        }
        taken.clear();
        queue.cancel();
        queue.join();
        prop_assert!(queue.get().is_none());
    }
}

/// What a task does when it runs.
#[derive(Debug, Clone, Copy)]
enum Act {
    Return,
    Panic,
    Again,
    Spawn,
}

#[derive(Debug, Clone)]
enum Step2 {
    Submit(Act),
    TrySubmit(Act),
    SubmitAll(Vec<Act>),
    Read,
    ReadInOrder,
    Join,
    Close,
    Cancel,
}

fn steps() -> impl Strategy<Value = Vec<Step2>> {
    let act = || prop_oneof![5 => Just(Act::Return), 1 => Just(Act::Panic), 1 => Just(Act::Again), 1 => Just(Act::Spawn)];
    let step = prop_oneof![
        8 => act().prop_map(Step2::Submit),
        2 => act().prop_map(Step2::TrySubmit),
        3 => prop::collection::vec(act(), 0..20).prop_map(Step2::SubmitAll),
        4 => Just(Step2::Read),
        4 => Just(Step2::ReadInOrder),
        2 => Just(Step2::Join),
        1 => Just(Step2::Close),
        1 => Just(Step2::Cancel),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_accepted_task_ends_once(
        workers in 1..4_usize, capacity in 1..8_usize, batch in 1..5_usize, steps in steps()
    ) {
        let queue = WorkQueue::builder().workers(workers).capacity(capacity).batch(batch).start_with(
            |_| (),
            |(), act: Act, context| match act {
                Act::Return => Step::Done(true),
                Act::Panic => std::panic::resume_unwind(Box::new("asked to")),
                Act::Again => Step::Again(Act::Return, Duration::from_micros(50)),
                Act::Spawn => Step::Done(context.spawn(Act::Return).is_ok()),
            },
        ).unwrap();
        let mut ends: BTreeMap<u64, usize> = BTreeMap::new();
        let mut note = |ticket: workqueue::Ticket| *ends.entry(ticket.number()).or_default() += 1;
        let (mut submitted, mut refused, mut last_in_order) = (0, 0, None);
        for step in steps {
            match step {
                Step2::Submit(act) => {
                    submitted += 1;
                    refused += usize::from(queue.submit(act).is_err());
                }
                Step2::TrySubmit(act) => {
                    submitted += 1;
                    refused += usize::from(queue.try_submit(act).is_err());
                }
                Step2::SubmitAll(acts) => {
                    submitted += acts.len();
                    refused += queue.submit_all(acts).map_or_else(|error| error.rest.len(), |_| 0);
                }
                Step2::Read => {
                    queue.completed().try_next().iter().for_each(|outcome| note(outcome.ticket()));
                }
                Step2::ReadInOrder => {
                    if let Some(outcome) = queue.ordered().try_next() {
                        note(outcome.ticket());
                        prop_assert!(last_in_order < Some(outcome.ticket()), "in ticket order");
                        last_in_order = Some(outcome.ticket());
                    }
                }
                Step2::Join => queue.join().unwrap(),
                Step2::Close => queue.close(),
                Step2::Cancel => queue.cancel().iter().for_each(|pending| note(pending.ticket)),
            }
        }
        let report = queue.wait_completion();
        report.pending().iter().for_each(|pending| note(pending.ticket));
        let stats = report.stats();
        let panics = report.iter().filter(|o| matches!(o, Outcome::Panicked(_))).count();
        prop_assert!(panics <= stats.panicked);
        report.iter().for_each(|outcome| note(outcome.ticket()));
        let accepted = stats.accepted();
        prop_assert!(accepted >= submitted - refused, "spawned ones come on top");
        prop_assert_eq!(ends.len(), accepted);
        prop_assert!(ends.values().all(|times| *times == 1));
        prop_assert_eq!(ends.keys().copied().collect::<Vec<_>>(), (0..accepted as u64).collect::<Vec<_>>());
        prop_assert_eq!((stats.queued, stats.running, stats.workers, stats.blocked_producers), (0, 0, 0, 0));
    }
}

//! Every public item exists under its name, and is `Send` and `Sync` where it should be.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use workqueue::{
    BuildError, Builder, Completed, Context, Counter, JoinError, Mapped, OnPanic, Ordered, Outcome,
    PanicReport, Pending, Queue, Refusal, Report, Stats, Step, SubmitAllError, SubmitError, Taken,
    Ticket, WorkQueue, WorkerId, map_completed, map_ordered,
};

fn shared<V: Send + Sync + Debug>() {}
fn error<E: Error + Send + Sync + 'static>() {}

/// Not `Debug`: errors do not print the task.
struct Opaque;

#[test]
fn everything_is_send_and_sync_and_debug() {
    shared::<Builder>();
    shared::<Completed<u8>>();
    shared::<Context<u8>>();
    shared::<Counter>();
    shared::<Mapped<std::ops::Range<u8>, u8>>();
    shared::<OnPanic>();
    shared::<Ordered<u8>>();
    shared::<Outcome<u8>>();
    shared::<PanicReport>();
    shared::<Pending<u8>>();
    shared::<Queue<u8>>();
    shared::<Queue<std::cell::Cell<u8>>>();
    shared::<Report<u8, u8>>();
    shared::<Stats>();
    shared::<Step<u8, u8>>();
    shared::<Taken<'_, u8>>();
    shared::<Ticket>();
    shared::<WorkQueue<u8, u8>>();
    shared::<WorkQueue<std::cell::Cell<u8>, std::cell::Cell<u8>>>();
    shared::<WorkerId>();
    error::<BuildError>();
    error::<JoinError>();
    error::<PanicReport>();
    error::<Refusal>();
    error::<SubmitAllError<Opaque>>();
    error::<SubmitError<Opaque>>();
}

#[test]
fn a_queue_alone() {
    static COUNTER: Counter = Counter::new();
    let queue: Queue<u8> = Queue::new();
    assert!(Queue::<u8>::default().is_empty());
    assert!(queue.put(1).is_ok() && queue.try_put(2).is_ok());
    assert!(queue.put_timeout(3, Duration::ZERO).is_ok());
    assert_eq!(queue.put_all([4, 5]).unwrap(), 2);
    assert_eq!(queue.len(), 5);
    let taken: Taken<'_, u8> = queue.get().unwrap();
    assert_eq!((taken.ticket().number(), *taken), (0, 1));
    drop(taken);
    assert_eq!(queue.get().unwrap().into_task(), 2);
    let returned: Vec<Pending<u8>> = queue.cancel();
    assert_eq!(returned.iter().map(|pending| pending.task).collect::<Vec<_>>(), [3, 4, 5]);
    queue.close();
    queue.join();
    assert_eq!(queue.join_timeout(Duration::ZERO), Ok(()));
    assert_eq!((COUNTER.increment(), COUNTER.add(2), COUNTER.get()), (1, 3, 3));
    assert_eq!(Counter::default().get(), 0);
}

#[test]
fn a_queue_with_workers() {
    let queue: WorkQueue<u8, u8> = WorkQueue::builder()
        .workers(1)
        .name("named")
        .capacity(8)
        .batch(1)
        .on_panic(OnPanic::Report)
        .start_with(
            |worker: WorkerId| worker.index(),
            |state: &mut usize, task: u8, context: &Context<u8>| {
                assert_eq!(context.worker().index(), *state);
                assert!(!context.is_cancelled());
                if task == 0 {
                    let _: Result<Ticket, SubmitError<u8>> = context.spawn(9);
                }
                if task == 1 { Step::Again(2, Duration::ZERO) } else { task.into() }
            },
        )
        .unwrap();
    let _: Ticket = queue.submit(0).unwrap();
    assert!(queue.try_submit(1).is_ok());
    assert!(queue.submit_timeout(2, Duration::from_secs(60)).is_ok());
    assert_eq!(queue.submit_all([3]).unwrap(), 1);
    assert_eq!(queue.join(), Ok(()));
    assert_eq!(queue.join_timeout(Duration::ZERO), Ok(()));
    let Stats { queued, running, done, panicked, cancelled, blocked_producers, workers, .. } =
        queue.stats();
    assert_eq!((queued, running, done, panicked), (0, 0, 5, 0));
    assert_eq!((cancelled, blocked_producers, workers), (0, 0, 1));
    let mut completed = queue.completed();
    assert!(completed.next().is_some() && completed.try_next().is_some());
    let mut ordered = queue.ordered();
    assert!(ordered.next().is_some() && ordered.try_next().is_some());
    assert!(ordered.next_timeout(Duration::ZERO).is_some());
    assert!(completed.next_timeout(Duration::ZERO).is_none() && !completed.is_over());
    assert_eq!(queue.submit(5).unwrap().number(), 5);
    queue.close();
    assert!(matches!(queue.submit(6), Err(SubmitError::Closed(6))));
    assert!(queue.cancel().len() <= 1);
    let report: Report<u8, u8> = queue.wait_completion();
    assert_eq!(report.len() + report.pending().len(), usize::from(!report.is_empty()));
    assert_eq!(report.stats().accepted(), 6);
    for outcome in &report {
        match outcome {
            Outcome::Done { ticket, worker, elapsed, value } => {
                assert_eq!((ticket.number(), worker.index(), *value), (5, 0, 5));
                assert!(*elapsed < Duration::from_secs(60));
            }
            Outcome::Panicked(report) => panic!("{report}"),
        }
    }
    assert!(report.into_iter().all(|outcome| outcome.into_result().is_ok()));
}

#[test]
fn streams() {
    let builder = || WorkQueue::builder().workers(1).discard_outcomes();
    assert_eq!(map_ordered(0..3_u8, builder(), |n| n).count(), 3);
    assert_eq!(map_completed(0..3_u8, builder(), |n| n).count(), 3);
    assert_eq!(builder().map_ordered(0..3_u8, |n| n).unwrap().count(), 3);
    let mut stream = builder().map_completed(0..3_u8, |n| n).unwrap();
    assert!(stream.next().is_some());
    assert!(stream.live() <= stream.live_max() && stream.pulled() >= 1);
    assert!(stream.stats().workers <= 1);
    let _: Report<u8, u8> = stream.stop();
}

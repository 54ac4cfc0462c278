//! Models of those who read outcomes while tasks run.
//!
//! Actions: run, read in order, read as completed, close, pull an item, give an outcome.
#![cfg(loom)]

mod loom_bound;

use loom::thread;
use loom_bound::model;
use workqueue::{Outcome, WorkQueue, map_completed, map_ordered};

/// I7: no gap, no swap, and the reader ends.
///
/// Kills: order-without-frontier
#[test]
fn an_ordered_reader_against_two_workers() {
    // Bound 3: three threads, two of which are workers with a life from start to exit.
    model(3, || {
        let queue = WorkQueue::builder().workers(2).start(|n: u64| n).unwrap();
        let reader = queue.ordered();
        queue.submit_all([0, 1]).unwrap();
        queue.close();
        let read: Vec<u64> = reader.map(|outcome| outcome.into_result().unwrap()).collect();
        assert_eq!(read, [0, 1]);
    });
}

/// I1: outcomes as they finish, each once, and the reader ends.
#[test]
fn a_reader_as_completed_against_a_worker() {
    // Bound 3: without one it takes minutes (802 645 schedules, which it was seen to hold in).
    model(3, || {
        let queue = WorkQueue::builder().workers(1).start(|n: u64| n).unwrap();
        let mut reader = queue.completed();
        queue.submit(0).unwrap();
        assert_eq!(reader.next().map(|outcome| outcome.ticket().number()), Some(0));
        assert!(reader.try_next().is_none() && !reader.is_over());
        queue.submit(1).unwrap();
        queue.close();
        assert_eq!(reader.next().map(|outcome| outcome.ticket().number()), Some(1));
        assert!(reader.next().is_none() && reader.is_over());
    });
}

/// I5: a reader that waits for a task that is cancelled hears that it will not come.
#[test]
fn cancel_against_a_reader() {
    // Bound 3: without one it takes minutes (763 592 schedules, which it was seen to hold in).
    model(3, || {
        let queue = WorkQueue::builder().workers(1).start(|n: u64| n).unwrap();
        let reader = queue.ordered();
        queue.submit_all([0, 1]).unwrap();
        let waiting = thread::spawn(move || reader.count());
        let returned = queue.cancel().len();
        assert_eq!(waiting.join().unwrap() + returned, 2);
    });
}

/// I6: live ≤ limit, and the stream gives every item's outcome.
#[test]
fn a_stream_keeps_its_live_limit() {
    // Bound 3: without one it takes minutes.
    model(3, || {
        let builder = WorkQueue::builder().workers(1).capacity(1);
        let mut stream = map_ordered(0..2_u64, builder, |n| n);
        let read: Vec<u64> =
            stream.by_ref().map(|outcome| outcome.into_result().unwrap()).collect();
        assert_eq!(read, [0, 1]);
        assert_eq!((stream.pulled(), stream.live(), stream.live_max()), (2, 0, 1));
    });
}

/// I1, I5: a stream that is stopped early accounts for every item it pulled.
#[test]
fn a_stream_that_is_stopped_early() {
    // Bound 3: without one it takes minutes.
    model(3, || {
        let builder = WorkQueue::builder().workers(1).capacity(2);
        let mut stream = map_completed(0..3_u64, builder, |n| n);
        assert!(matches!(stream.next(), Some(Outcome::Done { .. })));
        let pulled = stream.pulled();
        assert!(pulled <= 3);
        let report = stream.stop();
        assert_eq!(1 + report.len() + report.pending().len(), pulled);
    });
}

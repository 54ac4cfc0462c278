//! Models of a full queue: who waits for room is woken, and room is never overdrawn.
//!
//! Actions: submit, submit with a timeout, submit many, take (one, two at once), cancel.
#![cfg(loom)]

mod loom_bound;

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;
use loom_bound::model;
use workqueue::{Queue, SubmitError, WorkQueue};

/// I6, I8.
#[test]
fn capacity_1_with_two_workers() {
    // Bound 3: three threads that all block.
    model(3, || {
        let queue =
            WorkQueue::builder().workers(2).capacity(1).discard_outcomes().start(|()| ()).unwrap();
        queue.submit(()).unwrap();
        queue.submit(()).unwrap();
        assert_eq!(queue.wait_completion().stats().done, 2);
    });
}

/// I6, I11: two producers wait for the one place.
///
/// Kills: notify-one-at-low-water
#[test]
fn capacity_1_with_two_producers() {
    // Bound 3: without one it takes minutes.
    model(3, || {
        let queue = Arc::new(Queue::bounded(1));
        queue.put(2).unwrap();
        let producers: Vec<_> = (0..2)
            .map(|n| {
                let queue = queue.clone();
                thread::spawn(move || queue.put(n).unwrap())
            })
            .collect();
        for _ in 0..3 {
            drop(queue.get().unwrap());
        }
        for producer in producers {
            producer.join().unwrap();
        }
        assert!(queue.is_empty());
        queue.join();
    });
}

/// I6, I11: a batch makes room for two at once, and both producers must hear of it.
#[test]
fn capacity_2_batch_2_with_two_producers() {
    // Bound 3: three threads and four tasks.
    model(3, || {
        let queue = Arc::new(
            WorkQueue::builder()
                .workers(1)
                .capacity(2)
                .batch(2)
                .discard_outcomes()
                .start(|()| ())
                .unwrap(),
        );
        let theirs = queue.clone();
        let producer = thread::spawn(move || {
            assert_eq!(theirs.submit_all([(), ()]).unwrap(), 2);
            drop(theirs);
        });
        assert_eq!(queue.submit_all([(), ()]).unwrap(), 2);
        producer.join().unwrap();
        let queue = Arc::try_unwrap(queue).unwrap();
        assert_eq!(queue.wait_completion().stats().done, 4);
    });
}

/// I2, I6: a producer whose time is up leaves, with its task, and does not keep the others waiting.
#[test]
fn a_producer_whose_time_is_up_passes_the_room_on() {
    // Bound 3: without one it takes minutes (559 102 schedules, which it was seen to hold in).
    model(3, || {
        let queue = Arc::new(Queue::bounded(1));
        queue.put(0).unwrap();
        let patient = {
            let queue = queue.clone();
            thread::spawn(move || queue.put(1).unwrap())
        };
        let hasty = {
            let queue = queue.clone();
            thread::spawn(move || queue.put_timeout(2, Duration::from_secs(1)))
        };
        assert_eq!(queue.get().unwrap().into_task(), 0);
        match hasty.join().unwrap() {
            Ok(_) => {
                assert_eq!(queue.get().unwrap().into_task() + queue.get().unwrap().into_task(), 3)
            }
            Err(SubmitError::Full(2)) => assert_eq!(queue.get().unwrap().into_task(), 1),
            Err(other) => panic!("{other}"),
        }
        patient.join().unwrap();
        queue.join();
    });
}

/// I2, I11: cancel refuses a producer that waits, which has its task back.
///
/// Kills: cancelled-stay-unfinished
#[test]
fn cancel_against_a_blocked_producer() {
    model(None, || {
        let queue = Arc::new(Queue::bounded(1));
        queue.put(0).unwrap();
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || queue.put(1))
        };
        let returned: Vec<_> = queue.cancel().into_iter().map(|pending| pending.task).collect();
        match producer.join().unwrap() {
            Err(SubmitError::Cancelled(1)) => assert_eq!(returned, [0]),
            other => panic!("there was never room for it: {other:?}"),
        }
        assert!(queue.get().is_none());
        queue.join();
    });
}

//! Order: of tasks with one worker, of outcomes with many, and what a batch leaves to the others.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use workqueue::{Outcome, WorkQueue};

#[test]
fn one_worker_runs_tasks_in_the_order_of_submission() {
    for batch in [1, 8] {
        let ran = Arc::new(Mutex::new(Vec::new()));
        let theirs = ran.clone();
        let builder = WorkQueue::builder().workers(1).batch(batch).capacity(16);
        let queue = builder.start(move |n: u32| theirs.lock().unwrap().push(n)).unwrap();
        queue.submit_all(0..500).unwrap();
        assert_eq!(queue.wait_completion().len(), 500);
        assert!(ran.lock().unwrap().iter().copied().eq(0..500));
    }
}

#[test]
fn each_producers_tasks_keep_their_order() {
    let ran: Arc<Mutex<BTreeMap<u32, Vec<u32>>>> = Arc::default();
    let theirs = ran.clone();
    let queue = WorkQueue::builder()
        .workers(1)
        .capacity(4)
        .start(move |(producer, n)| theirs.lock().unwrap().entry(producer).or_default().push(n))
        .unwrap();
    std::thread::scope(|scope| {
        for producer in 0..3 {
            let queue = &queue;
            scope.spawn(move || {
                for n in 0..200 {
                    queue.submit((producer, n)).unwrap();
                }
            });
        }
    });
    queue.join().unwrap();
    let ran = ran.lock().unwrap();
    assert_eq!(ran.len(), 3);
    assert!(ran.values().all(|order| order.iter().copied().eq(0..200)));
}

#[test]
fn ordered_has_no_gap_where_a_task_panicked_or_was_taken_or_handed_back() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let queue = WorkQueue::builder()
        .workers(2)
        .start(move |n: u32| match n {
            0 => wait.lock().unwrap().recv().unwrap(),
            3 => std::panic::resume_unwind(Box::new("three")),
            _ => {}
        })
        .unwrap();
    queue.submit_all(0..6).unwrap();
    // Whichever ends first is taken out of the order by another reader; it is not the held one.
    let taken = queue.completed().next().unwrap().ticket();
    let mut ordered = queue.ordered();
    assert!(ordered.try_next().is_none(), "the oldest is not done, so none is to come before it");
    go.send(()).unwrap();
    queue.join().unwrap();
    queue.cancel();
    let read: Vec<(u64, bool)> = ordered
        .map(|outcome| (outcome.ticket().number(), matches!(outcome, Outcome::Panicked(_))))
        .collect();
    let expected: Vec<(u64, bool)> =
        (0..6).filter(|n| *n != taken.number()).map(|n| (n, n == 3)).collect();
    assert_eq!(read, expected);
}

#[test]
fn slow_tasks_are_taken_one_by_one_however_large_a_batch_may_be() {
    // Each task needs another one that runs at the same time: a worker that kept some for later would
    // leave the last ones alone.
    let pair = Barrier::new(2);
    let queue = WorkQueue::builder()
        .workers(2)
        .batch(64)
        .discard_outcomes()
        .start(move |()| {
            pair.wait();
            // Longer than tasks in a batch may take together.
            std::thread::sleep(Duration::from_micros(200));
        })
        .unwrap();
    queue.submit_all([(); 42]).unwrap();
    let joined = queue.join_timeout(Duration::from_secs(60));
    if joined.is_err() {
        std::mem::forget(queue); // its drop would wait for ever
    }
    joined.unwrap();
}

#[test]
fn an_outcome_tells_how_long_its_task_took() {
    let nap = Duration::from_millis(5);
    let queue = WorkQueue::builder().workers(1).start(move |()| std::thread::sleep(nap)).unwrap();
    queue.submit(()).unwrap();
    for outcome in queue.wait_completion() {
        assert!(matches!(outcome, Outcome::Done { elapsed, .. } if elapsed >= nap));
    }
}

//! Models of workers: tasks run, each once, and nobody sleeps while there is something to do.
//!
//! Actions: submit, submit another, run (returns, panics, waits for the other task, spawns one), join,
//! join again, close, exit.
#![cfg(loom)]

mod loom_bound;

use std::panic::resume_unwind;
use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom_bound::model;
use workqueue::{Outcome, Step, WorkQueue};

/// `join` returned, so what the tasks wrote is seen, although they wrote it Relaxed.
fn counted(count: &AtomicUsize) -> usize {
    // ORDERING: Relaxed on purpose: `join` alone must make the tasks' writes visible.
    count.load(Ordering::Relaxed)
}

fn count(count: &AtomicUsize) {
    // ORDERING: Relaxed on purpose, as in `counted`.
    count.fetch_add(1, Ordering::Relaxed);
}

/// I1, I3, I8.
///
/// Kills: wakes-not-decremented
/// Kills: lent-while-one-sleeps
#[test]
fn one_worker_two_tasks_join() {
    model(None, || {
        let ran = Arc::new(AtomicUsize::new(0));
        let theirs = ran.clone();
        let queue = WorkQueue::builder().workers(1).start(move |()| count(&theirs)).unwrap();
        queue.submit(()).unwrap();
        queue.submit(()).unwrap();
        queue.join().unwrap();
        assert_eq!(counted(&ran), 2);
        assert_eq!(queue.wait_completion().len(), 2);
    });
}

/// I1, I3, I5.
#[test]
fn two_workers_two_tasks_join() {
    // Bound 3: three threads, two of which are workers with a life from start to exit.
    model(3, || {
        let ran = Arc::new(AtomicUsize::new(0));
        let theirs = ran.clone();
        let queue = WorkQueue::builder().workers(2).start(move |()| count(&theirs)).unwrap();
        queue.submit(()).unwrap();
        queue.submit(()).unwrap();
        queue.join().unwrap();
        assert_eq!(counted(&ran), 2);
        assert_eq!(queue.stats().done, 2);
    });
}

/// I8: two tasks that wait for each other run at the same time, or never end. Only this model needs
/// the woken worker to wake the next one: in all others somebody comes back for what is left.
///
/// Kills: no-cascade
#[test]
fn two_tasks_that_wait_for_each_other() {
    // Bound 3: three threads, two of which are workers with a life from start to exit.
    model(3, || {
        let meeting = Arc::new((Mutex::new(0), Condvar::new()));
        let queue = WorkQueue::builder()
            .workers(2)
            .discard_outcomes()
            .start(move |()| {
                let (arrived, both) = &*meeting;
                let mut arrived = arrived.lock().unwrap();
                *arrived += 1;
                if *arrived == 2 {
                    both.notify_all();
                }
                while *arrived < 2 {
                    arrived = both.wait(arrived).unwrap();
                }
            })
            .unwrap();
        queue.submit_all([(), ()]).unwrap();
        queue.join().unwrap(); // before any close, which would wake everybody
        assert_eq!(queue.stats().done, 2);
    });
}

/// I3, I10: `join` waits for a task that panics, its report is there by then, the worker lives on.
///
/// Kills: unfinished-counted-at-pop
/// Kills: panic-ends-worker
#[test]
fn a_caught_panic_is_reported_before_join_returns() {
    // Bound 3: without one it takes minutes (719 921 schedules, which it was seen to hold in).
    model(3, || {
        let queue = WorkQueue::builder()
            .workers(1)
            .start(|boom: bool| {
                if boom {
                    resume_unwind(Box::new("boom"))
                }
            })
            .unwrap();
        queue.submit(true).unwrap();
        queue.join().unwrap();
        assert_eq!(queue.stats().panicked, 1);
        let first = queue.completed().try_next();
        assert!(matches!(first, Some(Outcome::Panicked(report)) if report.message() == "boom"));
        assert_eq!(queue.stats().workers, 1);
        queue.submit(false).unwrap();
        assert_eq!(queue.wait_completion().stats().done, 1);
    });
}

/// I1, I3: what a task spawns is waited for by whoever waits for the task.
#[test]
fn a_spawned_task_is_part_of_its_parent() {
    model(None, || {
        let queue = WorkQueue::builder()
            .workers(1)
            .start_with(
                |_| (),
                |(), depth: u32, context| {
                    if depth > 0 {
                        context.spawn(depth - 1).unwrap();
                    }
                    Step::Done(depth)
                },
            )
            .unwrap();
        queue.submit(1).unwrap();
        queue.close();
        assert_eq!(queue.wait_completion().stats().done, 2);
    });
}

/// A task that comes back later: whoever is idle watches the clock for it, and it runs once more.
#[test]
fn a_task_comes_back_when_it_is_due() {
    // Bound 3: three threads, two of which are workers with a life from start to exit.
    model(3, || {
        let queue = WorkQueue::builder()
            .workers(2)
            .start_with(
                |_| (),
                |(), first: bool, _| match first {
                    true => Step::Again(false, Duration::from_secs(1)),
                    false => Step::Done(()),
                },
            )
            .unwrap();
        queue.submit(true).unwrap();
        queue.join().unwrap();
        assert_eq!(queue.wait_completion().stats().done, 1);
    });
}

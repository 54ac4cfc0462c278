//! Models of the ways to end: everybody hears of it, and each task ends once.
//!
//! Actions: submit, close, cancel, join, another join, come back (Again), build the state (fails),
//! drop the queue, drop it inside a task.
#![cfg(loom)]

mod loom_bound;

use std::panic::resume_unwind;
use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use loom_bound::model;
use workqueue::{Completed, JoinError, Queue, Step, SubmitError, WorkQueue};

/// I4, I5: a put is Ok exactly if it comes before close, and then it is given out; each thread that
/// waits gets the sentinel.
///
/// Kills: notify-one-at-close
/// Kills: closed-not-refused
/// Kills: lent-when-closed
#[test]
fn submit_against_close() {
    // Bound 3: without one it takes minutes (4 062 711 schedules, which it was seen to hold in).
    model(3, || {
        let queue = Arc::new(Queue::new());
        let threads: Vec<_> = (0..2)
            .map(|thread| {
                let queue = queue.clone();
                thread::spawn(move || {
                    let put = thread == 0 && queue.put(()).is_ok();
                    let mut got = 0;
                    while let Some(task) = queue.get() {
                        got += 1;
                        drop(task);
                    }
                    (usize::from(put), got)
                })
            })
            .collect();
        queue.close();
        assert!(matches!(queue.put(()), Err(SubmitError::Closed(()))));
        let ends: Vec<(usize, usize)> =
            threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let (put, got) = ends.iter().fold((0, 0), |sum, end| (sum.0 + end.0, sum.1 + end.1));
        assert_eq!(put, got);
        queue.join();
    });
}

/// I1, I2, I9: each task was either run or handed back, and is dropped once (loom's `Arc` would be
/// found to leak).
#[test]
fn cancel_against_a_worker() {
    // Bound 3: without one it takes minutes (404 302 schedules, which it was seen to hold in).
    model(3, || {
        let ran = Arc::new(AtomicUsize::new(0));
        let theirs = ran.clone();
        let queue = WorkQueue::builder()
            .workers(1)
            .start(move |task: Arc<AtomicUsize>| {
                // ORDERING: Relaxed; read after the worker has left.
                theirs.fetch_add(1, Ordering::Relaxed);
                drop(task);
            })
            .unwrap();
        let task = Arc::new(AtomicUsize::new(0));
        queue.submit(task.clone()).unwrap();
        queue.submit(task.clone()).unwrap();
        let returned = queue.cancel();
        assert!(matches!(queue.submit(task), Err(SubmitError::Cancelled(_))));
        let report = queue.wait_completion();
        assert!(report.pending().is_empty(), "a batch of one is never left half run");
        assert_eq!(report.len() + returned.len(), 2);
        // ORDERING: Relaxed; the worker has left.
        assert_eq!(ran.load(Ordering::Relaxed), report.len());
    });
}

/// I3, I11.
#[test]
fn two_joiners() {
    // Bound 3: without one it takes minutes.
    model(3, || {
        let queue = Arc::new(WorkQueue::builder().workers(1).start(|()| ()).unwrap());
        queue.submit(()).unwrap();
        let other = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.join().unwrap();
                assert_eq!(queue.stats().done, 1);
            })
        };
        queue.join().unwrap();
        assert_eq!(queue.stats().done, 1);
        other.join().unwrap();
    });
}

/// I3: a joiner that waits for the first wave returns although the second began before it woke.
///
/// Kills: join-without-epoch
#[test]
fn a_joiner_across_two_waves() {
    model(None, || {
        let queue = Arc::new(Queue::new());
        let joined = Arc::new((Mutex::new(false), Condvar::new()));
        queue.put(1).unwrap();
        let taker = {
            let (queue, joined) = (queue.clone(), joined.clone());
            thread::spawn(move || {
                let first = queue.get().unwrap();
                let in_first_wave = format!("{queue:?}").contains("joiner_waits: true");
                drop(first);
                queue.put(2).unwrap();
                let second = queue.get().unwrap();
                if in_first_wave {
                    let mut done = joined.0.lock().unwrap();
                    while !*done {
                        done = joined.1.wait(done).unwrap();
                    }
                }
                drop(second);
            })
        };
        queue.join();
        *joined.0.lock().unwrap() = true;
        joined.1.notify_all();
        taker.join().unwrap();
    });
}

/// I3: a task puts another and ends; whoever waits for the first waits for both.
///
/// Kills: last-one-ends-alone
#[test]
fn a_joiner_waits_for_what_the_last_task_put() {
    model(None, || {
        let queue = Arc::new(Queue::new());
        let done = Arc::new(AtomicUsize::new(0));
        queue.put(1).unwrap();
        let taker = {
            let (queue, done) = (queue.clone(), done.clone());
            thread::spawn(move || {
                let first = queue.get().unwrap();
                queue.put(2).unwrap();
                drop(first);
                let second = queue.get().unwrap();
                // ORDERING: Relaxed on purpose: `join` alone must make it visible.
                done.store(1, Ordering::Relaxed);
                drop(second);
            })
        };
        queue.join();
        // ORDERING: as above.
        assert_eq!(done.load(Ordering::Relaxed), 1);
        taker.join().unwrap();
    });
}

/// I1, I4: a task that comes back after close still runs.
#[test]
fn again_against_close() {
    // Bound 3: three threads, two of which are workers with a life from start to exit.
    model(3, || {
        let queue = WorkQueue::builder()
            .workers(2)
            .discard_outcomes()
            .start_with(
                |_| (),
                |(), tries: u32, _| match tries {
                    0 => Step::Done(()),
                    _ => Step::Again(tries - 1, Duration::ZERO),
                },
            )
            .unwrap();
        queue.submit(1).unwrap();
        queue.close();
        assert_eq!(queue.wait_completion().stats().done, 1);
    });
}

/// I1, I2: a task that comes back after cancel is handed back.
///
/// Kills: again-not-handed-back
#[test]
fn again_against_cancel() {
    model(None, || {
        let queue = WorkQueue::builder()
            .workers(1)
            .start_with(
                |_| (),
                |(), tries: u32, _| match tries {
                    0 => Step::Done(()),
                    _ => Step::Again(tries - 1, Duration::ZERO),
                },
            )
            .unwrap();
        queue.submit(1).unwrap();
        let returned = queue.cancel().len();
        let report = queue.wait_completion();
        assert_eq!(report.len() + report.pending().len() + returned, 1);
    });
}

/// I2, I5, I11: when the last worker dies nobody waits for it: the submitter has its task back, or
/// finds it in what is left; `join` says why.
///
/// Kills: capacity-off-by-one
#[test]
fn the_last_worker_dies_against_submit() {
    model(None, || {
        let queue = WorkQueue::builder()
            .workers(1)
            .capacity(1)
            .start_with(
                |_| -> () { resume_unwind(Box::new("no client")) },
                |(), (), _| Step::Done(()),
            )
            .unwrap();
        let mut accepted = 0;
        for _ in 0..2 {
            match queue.submit(()) {
                Ok(_) => accepted += 1,
                Err(SubmitError::Dead(())) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert!(accepted <= 1, "there is room for one");
        match queue.join() {
            Ok(()) => assert_eq!(accepted, 0),
            Err(JoinError::Dead { unfinished, message, .. }) => {
                assert_eq!((unfinished, message.as_str()), (accepted, "no client"));
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(queue.wait_completion().pending().len(), accepted);
    });
}

/// I5: the last handle is dropped by a task; the queue closes, and its worker does not wait for itself.
///
/// Kills: unaware-of-inside
#[test]
fn a_queue_dropped_inside_its_own_task() {
    model(None, || {
        type Slot = Arc<Mutex<Option<WorkQueue<Task, ()>>>>;
        struct Task(Slot);
        let slot: Slot = Arc::new(Mutex::new(None));
        let queue = WorkQueue::builder()
            .workers(1)
            .discard_outcomes()
            .start(|task: Task| {
                let queue = task.0.lock().unwrap().take();
                if let Some(queue) = &queue {
                    assert_eq!(queue.join(), Err(JoinError::InsideWorker));
                }
                drop(queue);
            })
            .unwrap();
        queue.submit(Task(slot.clone())).unwrap();
        *slot.lock().unwrap() = Some(queue);
        // Either the task has the queue, or nobody came for it yet and it goes here.
        let left = slot.lock().unwrap().take();
        drop(left);
    });
}

/// I9: a value's drop may ask the queue, from whichever thread it is dropped on: no lock is held.
///
/// Kills: dropped-under-lock
#[test]
fn values_are_dropped_without_the_lock() {
    model(None, || {
        struct Asks(Completed<Asks>, Arc<AtomicUsize>);
        impl Drop for Asks {
            fn drop(&mut self) {
                self.0.is_over();
                // ORDERING: Relaxed; read after the queue is gone.
                self.1.fetch_add(1, Ordering::Relaxed);
            }
        }
        let dropped = Arc::new(AtomicUsize::new(0));
        let queue = WorkQueue::builder().workers(1).start(|task: Asks| task).unwrap();
        for _ in 0..2 {
            queue.submit(Asks(queue.completed(), dropped.clone())).unwrap();
        }
        drop(queue.cancel());
        drop(queue);
        // ORDERING: as above.
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
    });
}

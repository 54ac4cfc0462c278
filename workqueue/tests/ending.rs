//! The ways to stop, and what becomes of a task in each; bad input, and what it gets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use workqueue::{BuildError, Counter, JoinError, OnPanic, Queue, Step, SubmitError, WorkQueue};

/// A queue whose one worker is held by its first task until something is sent.
fn held() -> (WorkQueue<u32, u32>, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let (started, has_started) = mpsc::channel();
    let queue = WorkQueue::builder()
        .workers(1)
        .capacity(4)
        .start(move |n| {
            if n == 0 {
                started.send(()).unwrap();
                wait.lock().unwrap().recv().unwrap();
            }
            n
        })
        .unwrap();
    queue.submit(0).unwrap();
    has_started.recv().unwrap();
    (queue, go)
}

#[test]
fn close_runs_what_was_accepted_and_refuses_the_rest() {
    let (queue, go) = held();
    queue.submit_all(1..4).unwrap();
    queue.close();
    queue.close();
    assert!(matches!(queue.submit(9), Err(SubmitError::Closed(9))));
    let error = queue.submit_all(5..8).unwrap_err();
    assert_eq!((error.accepted, error.rest.as_slice()), (0, [5, 6, 7].as_slice()));
    go.send(()).unwrap();
    let values: Vec<u32> =
        queue.wait_completion().into_iter().map(|o| o.into_result().unwrap()).collect();
    assert_eq!(values, [0, 1, 2, 3]);
}

#[test]
fn cancel_hands_back_what_has_not_started_in_order() {
    let (queue, go) = held();
    queue.submit_all(1..4).unwrap();
    let returned: Vec<(u64, u32)> =
        queue.cancel().into_iter().map(|pending| (pending.ticket.number(), pending.task)).collect();
    assert_eq!(returned, [(1, 1), (2, 2), (3, 3)]);
    assert!(queue.cancel().is_empty());
    assert!(matches!(queue.submit(9), Err(SubmitError::Cancelled(9))));
    go.send(()).unwrap();
    queue.join().unwrap();
    let report = queue.wait_completion();
    assert_eq!((report.len(), report.pending().len()), (1, 0));
    let stats = report.stats();
    assert_eq!((stats.done, stats.cancelled, stats.accepted()), (1, 3, 4));
}

#[test]
fn a_running_task_sees_that_it_is_cancelled() {
    let (started, has_started) = mpsc::channel();
    let queue = WorkQueue::builder()
        .workers(1)
        .start_with(
            |_| (),
            move |(), (): (), context| {
                assert!(!context.is_cancelled());
                started.send(()).unwrap();
                while !context.is_cancelled() {
                    std::thread::yield_now();
                }
                Step::Done(context.spawn(()).is_err())
            },
        )
        .unwrap();
    queue.submit(()).unwrap();
    has_started.recv().unwrap();
    assert!(queue.cancel().is_empty());
    let refused: Vec<bool> =
        queue.wait_completion().into_iter().map(|o| o.into_result().unwrap()).collect();
    assert_eq!(refused, [true], "and can spawn nothing");
}

#[test]
fn drop_closes_and_waits() {
    let done = Arc::new(Counter::new());
    let theirs = done.clone();
    let queue = WorkQueue::builder().workers(2).start(move |()| theirs.increment()).unwrap();
    queue.submit_all([(); 50]).unwrap();
    drop(queue);
    assert_eq!(done.get(), 50);
    assert_eq!(Arc::strong_count(&done), 1, "the closure is gone, too");
}

#[test]
fn try_and_timeout_hand_a_task_back_when_the_queue_is_full() {
    let (queue, go) = held();
    queue.submit_all(1..5).unwrap();
    assert!(matches!(queue.try_submit(5), Err(SubmitError::Full(5))));
    let error = queue.submit_timeout(6, Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.to_string(), "the queue is full: wait with `submit`, or raise its capacity");
    assert_eq!(error.into_task(), 6);
    assert_eq!(queue.stats().queued, 4);
    let error = queue.join_timeout(Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, JoinError::Timeout { unfinished: 5, .. }), "{error}");
    go.send(()).unwrap();
    queue.join().unwrap();
}

#[test]
fn join_inside_a_worker_is_an_error_and_not_a_deadlock() {
    type Slot = Mutex<Option<Arc<WorkQueue<(), JoinError>>>>;
    let slot: Arc<Slot> = Arc::default();
    let theirs = slot.clone();
    let (filled, is_filled) = mpsc::channel::<()>();
    let is_filled = Mutex::new(is_filled);
    let queue = WorkQueue::builder()
        .workers(1)
        .start(move |()| {
            is_filled.lock().unwrap().recv().unwrap();
            let queue = theirs.lock().unwrap().take().unwrap();
            queue.join().unwrap_err()
        })
        .unwrap();
    let queue = Arc::new(queue);
    *slot.lock().unwrap() = Some(queue.clone());
    queue.submit(()).unwrap();
    filled.send(()).unwrap();
    let outcome = queue.completed().next().unwrap();
    assert_eq!(outcome.into_result().unwrap(), JoinError::InsideWorker);
}

#[test]
fn an_error_does_not_print_the_task() {
    let queue = Queue::bounded(1);
    queue.put("secret").unwrap();
    let error = queue.try_put("secret").unwrap_err();
    assert!(!format!("{error:?} {error}").contains("secret"));
    queue.close();
    let error = queue.put_all(["secret"]).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("secret"));
    assert_eq!(
        error.to_string(),
        "0 tasks accepted, 1 handed back, for the queue takes no more: it is closed"
    );
}

#[test]
fn settings_that_make_no_sense_are_refused_with_the_remedy() {
    let builder = WorkQueue::builder;
    let refused = |builder: workqueue::Builder| builder.start(|()| ()).unwrap_err();
    assert_eq!(refused(builder().workers(0)), BuildError::NoWorkers);
    assert_eq!(refused(builder().capacity(0)), BuildError::NoCapacity);
    assert_eq!(refused(builder().batch(0)), BuildError::NoBatch);
    let name = refused(builder().name("a\0b"));
    assert_eq!(name, BuildError::Name { name: "a\0b".into() });
    assert!(name.to_string().contains(r#""a\0b""#), "{name}");
    for error in [BuildError::NoWorkers, BuildError::NoCapacity, BuildError::NoBatch] {
        assert!(error.to_string().contains("ask for at least 1"), "{error}");
    }
}

#[test]
fn the_queue_alone_stops_all_who_wait() {
    let queue = Queue::bounded(1);
    let stopped = Counter::new();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while queue.get().is_some() {}
                stopped.increment();
            });
        }
        queue.put_all(0..10).unwrap();
        queue.close();
    });
    assert_eq!(stopped.get(), 3);
    queue.join();
    assert_eq!(queue.join_timeout(Duration::ZERO), Ok(()));
}

#[test]
fn a_task_that_comes_back_keeps_its_ticket_and_holds_up_join() {
    let tries = Arc::new(Counter::new());
    let theirs = tries.clone();
    let queue = WorkQueue::builder()
        .workers(2)
        .start_with(
            |_| (),
            move |(), left: u32, _| {
                theirs.increment();
                match left {
                    0 => Step::Done("done"),
                    // The first comes back at once, the others really wait, each a moment.
                    n => Step::Again(n - 1, Duration::from_millis(u64::from(3 - n))),
                }
            },
        )
        .unwrap();
    let ticket = queue.submit(3).unwrap();
    queue.join().unwrap();
    assert_eq!(tries.get(), 4);
    let outcomes: Vec<_> = queue.wait_completion().into_iter().collect();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].ticket(), ticket);
}

#[test]
fn cancel_hands_back_a_task_that_waits_for_its_time() {
    let again = Arc::new(AtomicBool::new(false));
    let theirs = again.clone();
    let queue = WorkQueue::builder()
        .workers(1)
        .discard_outcomes()
        .start_with(
            |_| (),
            move |(), n: u32, _| -> Step<u32, ()> {
                // ORDERING: Relaxed; read after the lock was taken and left.
                theirs.store(true, Ordering::Relaxed);
                Step::Again(n + 1, Duration::MAX)
            },
        )
        .unwrap();
    queue.submit(0).unwrap();
    while queue.stats().queued == 0 || !again.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    assert!(queue.join_timeout(Duration::ZERO).is_err(), "it is unfinished");
    let returned = queue.cancel();
    assert_eq!((returned[0].task, returned.len()), (1, 1));
    assert_eq!(queue.join(), Ok(()));
}

#[test]
fn a_task_that_is_due_runs_while_its_worker_is_busy_elsewhere() {
    let (done, is_done) = mpsc::channel();
    let is_done = Mutex::new(is_done);
    let queue = WorkQueue::builder()
        .workers(2)
        .start_with(
            |_| (),
            move |(), task: u32, _| match task {
                0 => Step::Again(1, Duration::from_millis(1)),
                1 => Step::Done(done.send(()).is_ok()),
                // Runs until the other has come back: the watch over the clock must pass on.
                _ => Step::Done(is_done.lock().unwrap().recv().is_ok()),
            },
        )
        .unwrap();
    queue.submit_all([0, 2]).unwrap();
    assert_eq!(queue.wait_completion().stats().done, 2);
}

#[test]
fn what_was_handed_back_is_in_the_report_if_nobody_took_it() {
    let (queue, go) = held();
    queue.submit_all(1..4).unwrap();
    assert_eq!(queue.cancel().len(), 3);
    go.send(()).unwrap();
    let report = queue.wait_completion();
    assert_eq!((report.len(), report.stats().cancelled), (1, 3));
    assert!(report.into_pending().is_empty(), "cancel gave them");

    let queue = WorkQueue::builder().workers(1).on_panic(OnPanic::CancelAll);
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let queue = queue
        .start(move |n: u32| {
            wait.lock().unwrap().recv().unwrap();
            assert_ne!(n, 0, "the first");
        })
        .unwrap();
    queue.submit_all(0..3).unwrap();
    go.send(()).unwrap();
    let pending = queue.wait_completion().into_pending();
    let tasks: Vec<u32> = pending.into_iter().map(|pending| pending.task).collect();
    assert_eq!(tasks, [1, 2]);
}

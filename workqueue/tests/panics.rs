//! Panics: each is reported, none takes a worker, a promise or another task with it.

use std::panic::panic_any;
use std::sync::Arc;
use std::sync::mpsc;

use workqueue::{
    Counter, JoinError, OnPanic, Outcome, PanicReport, Queue, Step, SubmitError, WorkQueue,
};

/// Panics when dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// A payload whose drop panics with a payload whose drop panics.
struct Chain(u8);

impl Drop for Chain {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Chain(self.0 - 1));
        }
    }
}

#[test]
fn a_panic_is_reported_with_what_where_and_who() {
    let queue = WorkQueue::builder()
        .workers(1)
        .start(|n: u32| match n {
            1 => panic!("text"),
            2 => panic!("formatted {n}"),
            3 => panic_any(3_u32),
            n => n,
        })
        .unwrap();
    queue.submit_all(0..5).unwrap();
    let mut reports = Vec::new();
    for outcome in queue.wait_completion() {
        match outcome {
            Outcome::Done { ticket, value, .. } => assert_eq!(ticket.number(), u64::from(value)),
            Outcome::Panicked(report) => reports.push(report),
        }
    }
    let said: Vec<&str> = reports.iter().map(PanicReport::message).collect();
    assert_eq!(said, ["text", "formatted 2", "a payload that is not text"]);
    for (ticket, report) in (1..).zip(&reports) {
        assert_eq!((report.ticket().number(), report.worker().index()), (ticket, 0));
        assert_eq!((report.ticket, report.worker), (report.ticket(), report.worker()));
        assert!(report.location().unwrap().contains("tests/panics.rs:"), "{report}");
    }
    assert!(reports[0].to_string().starts_with("task #1 panicked on worker 0 at "));
    let payload = reports.pop().unwrap().into_payload();
    assert_eq!(payload.downcast_ref::<u32>(), Some(&3));
}

#[test]
fn a_panic_without_a_hook_has_no_place_rather_than_the_last_one() {
    let queue = WorkQueue::builder()
        .workers(1)
        .start(|hooked: bool| {
            assert!(!hooked, "hooked");
            std::panic::resume_unwind(Box::new("quiet"));
        })
        .unwrap();
    queue.submit_all([true, false]).unwrap();
    let places: Vec<bool> = queue
        .wait_completion()
        .into_iter()
        .map(|outcome| outcome.into_result().unwrap_err().location().is_some())
        .collect();
    assert_eq!(places, [true, false]);
}

#[test]
fn panics_are_counted_when_outcomes_are_discarded_and_no_drop_kills_a_worker() {
    let queue = WorkQueue::builder()
        .workers(1)
        .discard_outcomes()
        .start(|n: u32| match n {
            0 => panic_any(Chain(3)),
            1 => Some(Grenade),
            _ => None,
        })
        .unwrap();
    queue.submit_all(0..3).unwrap();
    queue.join().unwrap();
    let stats = queue.stats();
    assert_eq!((stats.panicked, stats.done, stats.workers), (2, 1, 1));
    assert!(queue.wait_completion().is_empty());
}

#[test]
fn a_state_is_built_anew_after_a_panic_and_dropped_on_its_worker() {
    struct State(Arc<Counter>, std::thread::ThreadId);
    impl Drop for State {
        fn drop(&mut self) {
            assert_eq!(self.1, std::thread::current().id());
            self.0.increment();
        }
    }
    let (built, dropped) = (Arc::new(Counter::new()), Arc::new(Counter::new()));
    let (init, drops) = (built.clone(), dropped.clone());
    let queue = WorkQueue::builder()
        .workers(1)
        .start_with(
            move |_| {
                init.increment();
                State(drops.clone(), std::thread::current().id())
            },
            |_, boom: bool, _| {
                assert!(!boom, "boom");
                Step::Done(())
            },
        )
        .unwrap();
    queue.submit_all([false, true, false]).unwrap();
    let stats = queue.wait_completion().stats();
    assert_eq!((stats.done, stats.panicked), (2, 1));
    assert_eq!((built.get(), dropped.get()), (2, 2), "gone by the time wait_completion returns");
}

#[test]
fn a_state_whose_drop_panics_does_not_hold_anybody_up() {
    let queue = WorkQueue::builder()
        .workers(2)
        .start_with(|_| Grenade, |_, n: u8, _| Step::Done(n))
        .unwrap();
    queue.submit_all([1, 2]).unwrap();
    assert_eq!(queue.wait_completion().len(), 2);
}

#[test]
fn a_worker_whose_state_cannot_be_built_is_dead_and_the_last_one_says_why() {
    let queue = WorkQueue::builder()
        .workers(2)
        .capacity(1)
        .start_with(|_| -> () { panic!("no client") }, |(), n: u32, _| Step::Done(n))
        .unwrap();
    let mut accepted = 0;
    let refused = loop {
        match queue.submit(accepted) {
            Ok(_) => accepted += 1,
            Err(SubmitError::Dead(task)) => break task,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(refused, accepted);
    assert!(accepted <= 1, "nobody takes anything, so there is room for one at most");
    if accepted > 0 {
        let error = queue.join().unwrap_err();
        assert!(matches!(&error, JoinError::Dead { unfinished: 1, .. }), "{error}");
        assert!(error.to_string().contains("no client"), "{error}");
    }
    assert_eq!(queue.stats().workers, 0);
    assert_eq!(
        queue.completed().next().map(|outcome| outcome.ticket()),
        None,
        "no wait for nobody"
    );
    let report = queue.wait_completion();
    let pending: Vec<u32> = report.pending().iter().map(|pending| pending.task).collect();
    assert_eq!(pending, (0..accepted).collect::<Vec<_>>());
}

#[test]
fn a_state_that_cannot_be_rebuilt_returns_the_rest_of_the_batch() {
    let built = Counter::new();
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let queue = WorkQueue::builder()
        .workers(1)
        .batch(8)
        .start_with(
            move |_| assert!(built.increment() < 2, "only once"),
            move |(), n: u32, _| {
                if n == 0 {
                    wait.lock().unwrap().recv().unwrap();
                }
                assert!(n != 1, "boom");
                Step::Done(n)
            },
        )
        .unwrap();
    queue.submit_all(0..20).unwrap();
    go.send(()).unwrap();
    let report = queue.wait_completion();
    let stats = report.stats();
    assert_eq!((stats.done, stats.panicked, stats.cancelled), (1, 1, 18));
    let pending: Vec<u32> = report.pending().iter().map(|pending| pending.task).collect();
    assert_eq!(pending, (2..20).collect::<Vec<_>>(), "in order");
}

#[test]
fn cancel_all_on_panic_hands_back_what_has_not_started() {
    for batch in [1, 16] {
        let queue = WorkQueue::builder()
            .workers(1)
            .batch(batch)
            .on_panic(OnPanic::CancelAll)
            .start(|n: u32| assert!(n != 3, "three"))
            .unwrap();
        // Closed or not by the time of the panic: submit may be refused, and has its tasks back then.
        let refused = match queue.submit_all(0..10) {
            Ok(_) => 0,
            Err(error) => error.rest.len(),
        };
        let report = queue.wait_completion();
        assert_eq!((report.stats().done, report.stats().panicked), (3, 1));
        assert_eq!(report.len() + report.pending().len() + refused, 10);
    }
}

#[test]
fn a_taken_task_is_done_even_if_its_thread_panics_or_its_drop_does() {
    let queue = Queue::new();
    queue.put_all([Some(Grenade), None]).unwrap();
    std::thread::scope(|scope| {
        let drops = scope.spawn(|| drop(queue.get()));
        assert!(drops.join().is_err());
        let panics = scope.spawn(|| {
            let _task = queue.get();
            panic!("while it holds a task");
        });
        assert!(panics.join().is_err());
    });
    queue.join();
}

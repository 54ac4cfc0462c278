//! Streams: items are pulled as there is room, and none is lost when one is stopped early.

use std::sync::{Arc, Mutex, mpsc};

use workqueue::{Counter, OnPanic, Outcome, WorkQueue, map_completed, map_ordered};

#[test]
fn a_stream_pulls_only_while_fewer_than_its_limit_are_live() {
    let pulled = Counter::new();
    let input = (0..20).inspect(|_| {
        pulled.increment();
    });
    let mut stream = map_ordered(input, WorkQueue::builder().workers(2).capacity(3), |n| n);
    for n in 0..20 {
        assert_eq!(stream.next().unwrap().into_result().unwrap(), n);
        assert!(pulled.get() <= n + 3, "item {n} is out, {} were pulled", pulled.get());
    }
    assert!(stream.next().is_none() && stream.next().is_none());
}

#[test]
fn a_slow_item_holds_up_no_more_than_the_limit() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let builder = WorkQueue::builder().workers(2).capacity(4);
    let mut stream = map_completed(0..10, builder, move |n| {
        if n == 0 {
            wait.lock().unwrap().recv().unwrap();
        }
        n
    });
    // The other worker passes the slow one by.
    let mut read: Vec<u32> =
        (0..9).map(|_| stream.next().unwrap().into_result().unwrap()).collect();
    go.send(()).unwrap();
    read.extend(stream.map(|outcome| outcome.into_result().unwrap()));
    assert_eq!(read, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
}

#[test]
fn stopping_early_accounts_for_every_item() {
    let ran = Arc::new(Counter::new());
    let theirs = ran.clone();
    let builder = WorkQueue::builder().workers(2).capacity(8);
    let mut stream = map_ordered(0_u64.., builder, move |n| {
        theirs.increment();
        n
    });
    let given: Vec<u64> = stream.by_ref().take(5).map(|o| o.into_result().unwrap()).collect();
    assert_eq!(given, [0, 1, 2, 3, 4]);
    let pulled = stream.pulled();
    let report = stream.stop();
    assert_eq!(given.len() + report.len() + report.pending().len(), pulled);
    assert_eq!(given.len() + report.len(), usize::try_from(ran.get()).unwrap());
    let mut rest: Vec<u64> = report.pending().iter().map(|pending| pending.task).collect();
    rest.extend(report.into_iter().map(|outcome| outcome.into_result().unwrap()));
    rest.sort_unstable();
    assert_eq!(rest, (5..pulled as u64).collect::<Vec<_>>(), "each of them, once");
}

#[test]
fn dropping_early_stops_the_workers() {
    let ran = Arc::new(Counter::new());
    let theirs = ran.clone();
    let mut stream = map_completed(0.., WorkQueue::builder().workers(2), move |n: u64| {
        theirs.increment();
        n
    });
    assert!(stream.next().is_some());
    drop(stream);
    assert_eq!(Arc::strong_count(&ran), 1, "the workers have left and dropped what they ran");
}

#[test]
fn what_has_not_started_when_a_stream_is_dropped_never_runs() {
    /// Lets the first item go when the input is dropped: after the cancel, before the workers end.
    struct Input(std::ops::Range<u32>, mpsc::Sender<()>);
    impl Iterator for Input {
        type Item = u32;
        fn next(&mut self) -> Option<u32> {
            self.0.next()
        }
    }
    impl Drop for Input {
        fn drop(&mut self) {
            self.1.send(()).unwrap();
        }
    }
    let (go, wait) = mpsc::channel();
    let (wait, ran) = (Mutex::new(wait), Arc::new(Counter::new()));
    let theirs = ran.clone();
    let builder = WorkQueue::builder().workers(1).capacity(4);
    let mut stream = map_ordered(Input(0..8, go), builder, move |n| {
        if n == 1 {
            wait.lock().unwrap().recv().unwrap();
        }
        theirs.increment();
    });
    assert!(stream.next().is_some());
    while stream.stats().running == 0 {
        std::thread::yield_now();
    }
    drop(stream);
    assert_eq!(ran.get(), 2, "the one that was given, and the one that ran");
}

#[test]
fn a_stream_tells_its_figures() {
    let builder = WorkQueue::builder().workers(1).capacity(3);
    let mut stream = map_ordered(0..3, builder, |n| n);
    assert_eq!((stream.pulled(), stream.live(), stream.live_max()), (0, 0, 0));
    assert!(stream.next().is_some());
    assert_eq!((stream.pulled(), stream.live(), stream.live_max()), (3, 2, 3));
    assert!(stream.next().is_some() && stream.next().is_some() && stream.next().is_none());
    assert_eq!((stream.pulled(), stream.live(), stream.live_max()), (3, 0, 3));
    assert_eq!(stream.stats().done, 3);
}

#[test]
fn a_panic_is_one_outcome_of_the_stream_or_its_end() {
    let run = |on_panic| {
        let builder = WorkQueue::builder().workers(1).capacity(2).on_panic(on_panic);
        let mut stream = map_ordered(0..100, builder, |n| assert!(n != 1, "one"));
        let panicked = stream.by_ref().filter(|o| matches!(o, Outcome::Panicked(_))).count();
        let pulled = stream.pulled();
        let live = stream.live();
        let report = stream.stop();
        assert_eq!((panicked, report.len() + report.pending().len()), (1, live));
        pulled
    };
    assert_eq!(run(OnPanic::Report), 100);
    assert!(run(OnPanic::CancelAll) < 100);
}

#[test]
fn what_cannot_start_says_so() {
    let builder = WorkQueue::builder().workers(0);
    let error = builder.clone().map_ordered(0..1, |n| n).unwrap_err();
    assert!(error.to_string().contains("0 workers"), "{error}");
    let panic = std::panic::catch_unwind(|| map_completed(0..1, builder, |n| n).count());
    assert!(panic.is_err());
}

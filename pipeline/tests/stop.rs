//! A run that is asked to stop: nothing starts, what is in flight is recorded, nothing runs twice.

#![allow(clippy::ignored_unit_patterns)] // what a user writes: `_` for no adapter

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use pipeline::{End, Options, Pipeline, RateLimiter, Report, RunId, Stop, all};

struct Numbers;

const HOUR: Duration = Duration::from_secs(3_600);

fn options(root: &tempfile::TempDir) -> Options {
    Options::new(root.path(), RunId::new("r").unwrap())
}

fn ran<T>(report: &Report<T>) -> (u64, u64) {
    let sum = |of: fn(&pipeline::StageReport) -> u64| report.stages.iter().map(of).sum();
    (sum(|stage| stage.ran), sum(|stage| stage.reused))
}

#[test]
fn what_is_in_flight_is_recorded_and_nothing_runs_twice() {
    let root = tempfile::tempdir().unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let run = |stop_at: Option<u64>| {
        let (calls, stop) = (Arc::clone(&calls), Stop::new());
        let in_step = stop.clone();
        let mut p = Pipeline::new("stop");
        let n = p.items(Numbers, 0..40_u64, |n| *n);
        let one = p.each("one", n).workers(3).run(move |_, cx, n| {
            calls.lock().unwrap().push(*n);
            if Some(*n) == stop_at {
                in_step.stop();
                assert!(cx.is_stopping());
            }
            Ok(*n)
        });
        let two = p.each("two", one).run(|_, cx, n| {
            assert!(!cx.in_doubt());
            Ok(*n)
        });
        p.run(all(two), &options(&root).stop(stop)).unwrap()
    };
    let first = run(Some(9));
    assert_eq!((first.end, first.output), (End::Stopped, None));
    let second = run(None);
    assert_eq!(second.output.unwrap().len(), 40);
    let mut calls = calls.lock().unwrap().clone();
    calls.sort_unstable();
    assert_eq!(calls, (0..40).collect::<Vec<_>>(), "each was called once");
}

#[test]
fn a_wait_for_a_permit_ends_with_the_run() {
    let root = tempfile::tempdir().unwrap();
    let limiter = RateLimiter::per_minute(0.01);
    let stop = Stop::new();
    let mut p = Pipeline::new("stop");
    let n = p.items(Numbers, 0..3_u64, |n| *n);
    let one = p.each("one", n).workers(2).limit(&limiter, |_| 1);
    let one = one.run(|_, _, _| -> Result<u8, _> { panic!("there is no permit for an hour") });
    let options = options(&root).stop(stop.clone());
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| p.run(all(one), &options));
        while limiter.stats().waiting < 2 {
            std::thread::yield_now();
        }
        stop.stop();
        run.join().unwrap().unwrap()
    });
    assert_eq!(report.end, End::Stopped);
    assert_eq!(ran(&report), (0, 0));
}

#[test]
fn a_backoff_ends_with_the_run_and_leaves_nothing_in_doubt() {
    let root = tempfile::tempdir().unwrap();
    let run = |fail: bool| {
        let stop = Stop::new();
        let in_step = stop.clone();
        let mut p = Pipeline::new("stop");
        let n = p.items(Numbers, 0..2_u64, |n| *n);
        let one = p.each("one", n).backoff(HOUR, HOUR).run(move |_, cx, n| {
            assert!(!cx.in_doubt(), "its call came back");
            if fail && *n == 0 {
                Err("later")?;
            }
            if fail {
                in_step.stop();
            }
            Ok(*n)
        });
        p.run(all(one), &options(&root).stop(stop)).unwrap()
    };
    assert_eq!(run(true).end, End::Stopped);
    let second = run(false);
    assert_eq!(ran(&second), (1, 1));
}

#[test]
fn what_outlasts_the_grace_time_is_abandoned_and_its_result_discarded() {
    let root = tempfile::tempdir().unwrap();
    let (release, held) = mpsc::channel::<()>();
    let (held, went_on) = (Arc::new(Mutex::new(held)), Arc::new(AtomicBool::new(false)));
    let stop = Stop::new();
    let (in_step, flag) = (stop.clone(), Arc::clone(&went_on));
    let mut p = Pipeline::new("stop");
    let n = p.items(Numbers, 0..1_u64, |n| *n);
    let one = p.each("one", n).run(move |_, cx, n| {
        in_step.stop();
        let _ = held.lock().unwrap().recv();
        let file = cx.file("txt", |_| panic!("the folder may be another's by now"));
        assert!(file.unwrap_err().to_string().contains("the run ended"));
        flag.store(true, Ordering::SeqCst);
        Ok(*n)
    });
    let grace = options(&root).stop(stop).grace(Duration::from_millis(20));
    let report = p.run(all(one), &grace).unwrap();
    assert_eq!((report.end, report.output), (End::Stopped, None));
    release.send(()).unwrap();
    while !went_on.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }

    let mut p = Pipeline::new("stop");
    let n = p.items(Numbers, 0..1_u64, |n| *n);
    let one = p.each("one", n).run(|_, cx, n| {
        assert!(cx.in_doubt(), "its call was never seen to end");
        Ok(*n)
    });
    assert_eq!(ran(&p.run(all(one), &options(&root)).unwrap()), (1, 0));
}

#[test]
fn a_stop_before_the_start_starts_nothing() {
    let root = tempfile::tempdir().unwrap();
    let stop = Stop::new();
    stop.stop();
    let mut p = Pipeline::new("stop");
    let n = p.items(Numbers, 0..9_u64, |n| *n);
    let one = p.each("one", n).run(|_, _, n| Ok(*n));
    let report = p.run(all(one), &options(&root).stop(stop)).unwrap();
    assert_eq!((ran(&report), report.end), ((0, 0), End::Stopped));
}

#[test]
fn adapters_are_dropped_on_their_own_threads_before_a_run_returns() {
    struct Client(std::thread::ThreadId, Arc<AtomicBool>);
    impl Drop for Client {
        fn drop(&mut self) {
            assert_eq!(self.0, std::thread::current().id());
            self.1.store(true, Ordering::SeqCst);
        }
    }
    let root = tempfile::tempdir().unwrap();
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dropped);
    let mut p = Pipeline::new("stop");
    let n = p.items(Numbers, 0..2_u64, |n| *n);
    let make = move || Ok(Client(std::thread::current().id(), Arc::clone(&flag)));
    let one = p.each("one", n).adapter(make).run(|_, _, n| Ok(*n));
    p.run(all(one), &options(&root)).unwrap();
    assert!(dropped.load(Ordering::SeqCst));
}

//! Threads: none is left behind, and idle ones do nothing. Linux tells both.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use workqueue::{BuildError, WorkQueue};

/// The threads of this process with such a name.
fn threads(name: &str) -> Vec<PathBuf> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let paths = tasks.filter_map(|entry| Some(entry.ok()?.path()));
    // A thread may end while it is looked at.
    let named = |path: &PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.starts_with(name))
    };
    paths.filter(named).collect()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn no_thread_is_left_after_any_way_to_stop() {
    for round in 0..20 {
        let queue = WorkQueue::builder().workers(3).name("gone").start(|n: u32| n).unwrap();
        queue.submit_all(0..10).unwrap();
        match round % 4 {
            0 => drop(queue.wait_completion()),
            1 => drop(queue),
            2 => {
                queue.close();
                drop(queue);
            }
            _ => {
                queue.cancel();
                drop(queue);
            }
        }
        // The queue has seen its workers leave; the system may take a moment to bury them.
        wait_for("all threads are gone", || threads("gone").is_empty());
    }
}

#[test]
fn idle_workers_are_never_switched_to() {
    /// How often the system switched to the thread.
    fn switches(thread: &Path) -> u64 {
        let status = fs::read_to_string(thread.join("status")).unwrap();
        let lines = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        lines.map(|(_, count)| count.trim().parse::<u64>().unwrap()).sum()
    }
    let queue = WorkQueue::builder().workers(4).name("sleeper").start(|n: u32| n).unwrap();
    queue.submit_all(0..100).unwrap();
    queue.join().unwrap();
    // A thread takes its name when it first runs: on a busy machine after others did all the work.
    wait_for("all workers have begun", || threads("sleeper").len() == 4);
    let workers = threads("sleeper");
    let asleep =
        |thread: &PathBuf| fs::read_to_string(thread.join("status")).unwrap().contains("State:\tS");
    wait_for("all workers sleep", || workers.iter().all(asleep));
    let count = || workers.iter().map(|thread| switches(thread)).collect::<Vec<_>>();
    // A worker on its way to sleep may be seen asleep at the lock: let the counts settle.
    let mut before = count();
    wait_for("the counts settle", || {
        std::thread::sleep(Duration::from_millis(20));
        let now = count();
        std::mem::replace(&mut before, now.clone()) == now
    });
    // A real sleep: that nothing happens can only be seen by letting time pass.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(count(), before, "idle workers ran");
}

#[test]
fn a_producer_without_room_sleeps_until_there_is_some() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let queue = WorkQueue::builder()
        .workers(1)
        .capacity(1)
        .start(move |_: u32| wait.lock().unwrap().recv().is_err())
        .unwrap();
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| queue.submit_all(0..3).unwrap());
        // One runs and one waits, so that there is no room for the third. Until it sleeps it tries,
        // and that does not count.
        wait_for("the producer sleeps", || queue.stats().blocked_producers == 1);
        drop(go);
        assert_eq!(producer.join().unwrap(), 3);
    });
    queue.join().unwrap();
    let stats = queue.stats();
    assert_eq!((stats.done, stats.blocked_producers), (3, 0));
}

/// A process in which no thread can start, since each would have a stack larger than the address
/// space. It must not start any itself: the harness runs a single test on the main thread.
#[test]
fn a_thread_that_the_system_has_not_to_give_is_an_error() {
    const NO_THREADS: &str = "WORKQUEUE_TEST_NO_THREADS";
    if std::env::var_os(NO_THREADS).is_some() {
        let error = WorkQueue::builder().workers(2).start(|n: u32| n).unwrap_err();
        assert!(matches!(error, BuildError::Spawn { workers: 2, .. }), "{error:?}");
        return;
    }
    let name = "a_thread_that_the_system_has_not_to_give_is_an_error";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1"])
        .env(NO_THREADS, "1")
        .env("RUST_MIN_STACK", (1_u64 << 62).to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The queue waits for workers that never were, if they are miscounted: then it is killed here.
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

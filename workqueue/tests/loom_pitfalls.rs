//! The three pitfalls of shared state, as models: each broken form is found, each mended form holds.
//!
//! Race: two threads write one place, without a lock. Deadlock: two locks, taken in either order.
//! Lost update: a read and a write that are two steps.
#![cfg(loom)]

mod loom_bound;

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use loom_bound::model;
use workqueue::{Counter, Queue};

/// What loom says of a broken form.
fn found(body: impl Fn() + Sync + Send + 'static) -> String {
    let failure = catch_unwind(AssertUnwindSafe(|| model(None, body)))
        .expect_err("loom found nothing wrong with the broken form");
    match (failure.downcast_ref::<String>(), failure.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (_, Some(text)) => (*text).to_owned(),
        _ => String::new(),
    }
}

/// A place without a lock. loom checks each access against all others.
struct Unguarded(UnsafeCell<u64>);

// SAFETY: none, and that is the point: loom must find that it is not safe to share.
unsafe impl Sync for Unguarded {}

#[test]
fn race_is_found() {
    let said = found(|| {
        let results = Arc::new(Unguarded(UnsafeCell::new(0)));
        let theirs = results.clone();
        let worker = thread::spawn(move || {
            // SAFETY: loom hands out the pointer only after checking; here it refuses.
            theirs.0.with_mut(|place| unsafe { *place = 1 });
        });
        // SAFETY: as above.
        results.0.with_mut(|place| unsafe { *place = 2 });
        worker.join().unwrap();
    });
    assert!(said.contains("Causality violation"), "{said}");
}

#[test]
fn race_is_mended_by_a_queue() {
    model(None, || {
        let results = Arc::new(Queue::new());
        let theirs = results.clone();
        let worker = thread::spawn(move || theirs.put(1).unwrap());
        results.put(2).unwrap();
        worker.join().unwrap();
        results.close();
        let sum: u64 = std::iter::from_fn(|| results.get()).map(|result| *result).sum();
        assert_eq!(sum, 3, "both results are there");
    });
}

/// Moves one from an account to another: the lock of one while waiting for the other's.
fn transfer(from: &Mutex<i64>, to: &Mutex<i64>) {
    let mut from = from.lock().unwrap();
    let mut to = to.lock().unwrap();
    *from -= 1;
    *to += 1;
}

/// loom ends the process in a deadlock that unwinds through its own locks, so the broken form runs in
/// a process of its own.
#[test]
fn deadlock_is_found() {
    const BROKEN: &str = "RATCHET_PITFALL_DEADLOCK";
    if std::env::var_os(BROKEN).is_none() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "deadlock_is_found", "--nocapture"])
            .env(BROKEN, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(!child.status.success() && said.contains("deadlock; threads"), "{said}");
        let begun = String::from_utf8_lossy(&child.stdout).matches("schedule").count();
        println!("iterations: {begun}");
        return;
    }
    model(None, || {
        println!("schedule");
        let accounts = Arc::new((Mutex::new(1), Mutex::new(1)));
        let theirs = accounts.clone();
        let worker = thread::spawn(move || transfer(&theirs.0, &theirs.1));
        transfer(&accounts.1, &accounts.0);
        worker.join().unwrap();
    });
}

#[test]
fn deadlock_is_mended_by_one_lock_for_what_changes_together() {
    model(None, || {
        let accounts = Arc::new(Mutex::new((1, 1)));
        let theirs = accounts.clone();
        let worker = thread::spawn(move || {
            let mut both = theirs.lock().unwrap();
            both.0 -= 1;
            both.1 += 1;
        });
        {
            let mut both = accounts.lock().unwrap();
            both.1 -= 1;
            both.0 += 1;
        }
        worker.join().unwrap();
        assert_eq!(*accounts.lock().unwrap(), (1, 1));
    });
}

#[test]
fn lost_update_is_found() {
    let said = found(|| {
        let count = Arc::new(AtomicU64::new(0));
        let add = |count: &AtomicU64| {
            // ORDERING: SeqCst, the strongest: it does not help, for these are two steps.
            let seen = count.load(Ordering::SeqCst);
            // ORDERING: as above.
            count.store(seen + 1, Ordering::SeqCst);
        };
        let theirs = count.clone();
        let worker = thread::spawn(move || add(&theirs));
        add(&count);
        worker.join().unwrap();
        // ORDERING: as above.
        assert_eq!(count.load(Ordering::SeqCst), 2, "an update was lost");
    });
    assert!(said.contains("an update was lost"), "{said}");
}

#[test]
fn lost_update_is_mended_by_a_counter() {
    model(None, || {
        let count = Arc::new(Counter::new());
        let theirs = count.clone();
        let worker = thread::spawn(move || theirs.increment());
        let mine = count.increment();
        let other = worker.join().unwrap();
        assert_eq!(count.get(), 2, "no update was lost");
        assert_eq!(mine + other, 3, "each count was given out once");
    });
}

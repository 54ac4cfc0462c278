//! Models of T1: a thread's next adapter is made after the end of the one before, whoever ends that.
//!
//! | model | thread A | thread B |
//! |---|---|---|
//! | renewal against invalidate | `with` twice | `invalidate` |
//! | renewal against drain | `with` that panics, `with` | `drain` |
//! | renewal against `for_each` | `with` twice | `for_each` that panics |
//! | leave against invalidate | `with`, `leave`, `with` | `invalidate` |
//! | two who invalidate each other's | `with`, `invalidate` | the same |
//! | a drop that uses its own storage | `with`, `invalidate` | the same, and each drop calls `with` |

#![cfg(loom)]

mod watched;

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::RwLock;

use loom::thread;
use threadlocal::{PerThread, UseError, leave};
use watched::{Adapter, Census, check};

/// Panics, without a word on the terminal at each of the model's schedules.
fn panics(_: &mut Adapter) {
    resume_unwind(Box::new("on purpose"));
}

/// An idle adapter that the invalidator drops, and its thread coming back meanwhile.
///
/// Kills: build-beside-the-old
#[test]
fn renewal_against_invalidate() {
    check(None, || {
        let census = Census::one_a_thread();
        let storage = PerThread::new(census.maker());
        storage.with(Adapter::touch).unwrap();
        let there = storage.clone();
        let thread = thread::spawn(move || there.invalidate());
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        storage.with(Adapter::touch).unwrap();
        assert_eq!((census.built(), census.alive()), (2, 1));
        leave();
        assert_eq!(census.alive(), 0);
    });
}

/// A drain that finds an adapter whose user has just panicked drops it, as its own thread would.
///
/// Kills: drain-drops-unseen
#[test]
fn renewal_against_drain() {
    // Bound: every schedule takes minutes, for the panic's way out.
    check(Some(3), || {
        let census = Census::one_a_thread();
        let storage = PerThread::new(census.maker());
        let there = storage.clone();
        let thread = thread::spawn(move || drop(there.drain().unwrap()));
        let panicked = catch_unwind(AssertUnwindSafe(|| storage.with(panics)));
        assert!(panicked.is_err());
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        leave();
        assert_eq!((census.built(), census.alive()), (2, 0));
    });
}

/// A look at all that panics drops the adapter that it looked at.
#[test]
fn renewal_against_for_each() {
    check(None, || {
        let census = Census::one_a_thread();
        let storage = PerThread::new(census.maker());
        storage.with(Adapter::touch).unwrap();
        let there = storage.clone();
        let thread = thread::spawn(move || {
            let panicked = catch_unwind(AssertUnwindSafe(|| there.for_each(panics)));
            assert!(panicked.is_err());
            leave();
        });
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        storage.with(Adapter::touch).unwrap();
        leave();
        assert_eq!((census.built(), census.alive()), (2, 0));
    });
}

/// A thread that leaves gets a new seat at its next use, and waits as if it had kept the old one.
///
/// Kills: leave-without-waiting
#[test]
fn leave_against_invalidate() {
    check(None, || {
        let census = Census::one_a_thread();
        let storage = PerThread::new(census.maker());
        storage.with(Adapter::touch).unwrap();
        let there = storage.clone();
        let thread = thread::spawn(move || there.invalidate());
        leave();
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        leave();
        assert_eq!((census.built(), census.alive()), (2, 0));
    });
}

/// Each may be ending the other's adapter: neither waits for ever, and one is alive a thread.
#[test]
fn two_who_invalidate_each_others() {
    // Bound: with every schedule of two threads that do all this, it takes minutes.
    check(Some(3), || {
        let census = Census::one_a_thread();
        let storage = PerThread::new(census.maker());
        let there = storage.clone();
        let thread = thread::spawn(move || {
            there.with(Adapter::touch).unwrap();
            there.invalidate();
            there.with(Adapter::touch).unwrap();
            leave();
        });
        storage.with(Adapter::touch).unwrap();
        storage.invalidate();
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        leave();
        assert_eq!(census.alive(), 0);
    });
}

/// An adapter whose drop uses the storage that it came from, on whatever thread that is.
struct UsesItsStorage {
    adapter: Option<Adapter>,
    storage: Later,
}

/// The storage, while there is one. A lock of std's: the model writes it only when it is alone.
type Later = std::sync::Arc<RwLock<Option<PerThread<UsesItsStorage, Infallible>>>>;

impl Drop for UsesItsStorage {
    fn drop(&mut self) {
        // First its own end: what the use below builds comes after it.
        self.adapter = None;
        let storage = self.storage.read().unwrap().clone();
        if let Some(storage) = storage {
            match storage.with(|_| ()) {
                Ok(()) | Err(UseError::Reentry | UseError::ThreadExiting) => {}
                Err(error) => unreachable!("{error}"),
            }
        }
    }
}

/// As before, and each end uses the storage on the thread that it comes on: it waits for nobody who
/// could wait for it.
///
/// Kills: wait-while-ending
#[test]
fn two_whose_drops_use_their_storage() {
    // Bound: as above.
    check(Some(2), || {
        let census = Census::one_a_thread();
        let later = Later::default();
        let (maker, inside) = (census.clone(), std::sync::Arc::clone(&later));
        let storage = PerThread::new(move || {
            let storage = std::sync::Arc::clone(&inside);
            Ok(UsesItsStorage { adapter: Some(maker.make()), storage })
        });
        *later.write().unwrap() = Some(storage.clone());
        let there = storage.clone();
        let thread = thread::spawn(move || {
            there.with(|_| ()).unwrap();
            there.invalidate();
            leave();
        });
        storage.with(|_| ()).unwrap();
        storage.invalidate();
        thread.join().unwrap();
        leave();
        *later.write().unwrap() = None;
        assert_eq!(census.alive(), 0);
    });
}

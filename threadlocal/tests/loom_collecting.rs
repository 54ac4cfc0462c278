//! Models of owners who collect and of threads that end, over every schedule within the bound.
//!
//! | model | thread A | thread B |
//! |---|---|---|
//! | use against drain | `with` twice | `drain` |
//! | drain against invalidate | `with`, inside another `invalidate` | `drain` |
//! | use against `for_each` | `with` twice | `for_each` |
//! | exit against drain | `with`, thread end | `drain` |
//! | exit against drain, kept | `with`, thread end | `drain` |
//! | exit against the storage's end | `with`, thread end | last handle goes |
//! | use against the storage's end | `with`, last handle but one goes | last handle goes |
//!
//! A thread's end is `leave()`: loom's `join` may return before thread-local values are dropped.

#![cfg(loom)]

mod watched;

use std::convert::Infallible;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use threadlocal::{PerThread, leave};
use watched::{Adapter, Census, check};

/// A storage that counts the adapters which it retires.
fn counted_out(census: &Census) -> (PerThread<Adapter, Infallible>, Arc<AtomicUsize>) {
    let retired = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&retired);
    let builder = PerThread::builder().on_retire(move |adapter| {
        drop(adapter);
        counter.fetch_add(1, Relaxed);
    });
    (builder.build(census.maker()), retired)
}

/// T2, T3, T6: an adapter is its thread's, or the drainer's.
///
/// Kills: no-wake
/// Kills: rare-without-fence
#[test]
fn use_against_drain() {
    // Bound: every schedule takes minutes.
    check(Some(3), || {
        let census = Census::new();
        let storage = PerThread::new(census.maker());
        let there = storage.clone();
        let thread = thread::spawn(move || {
            for mut adapter in there.drain().unwrap() {
                adapter.touch();
            }
        });
        storage.with(Adapter::touch).unwrap();
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        assert_eq!(storage.drain().unwrap().len(), census.alive());
        assert_eq!((census.alive(), storage.len()), (0, 0));
        leave();
    });
}

/// A stale adapter is gone although a drainer went by: the mark that an invalidation leaves for the
/// user is not swallowed by whoever had the slot before.
///
/// Kills: drain-swallows-mark
#[test]
fn drain_against_invalidate() {
    check(None, || {
        let census = Census::new();
        let storage = PerThread::new(census.maker());
        storage.with(Adapter::touch).unwrap();
        let there = storage.clone();
        let thread = thread::spawn(move || drop(there.drain().unwrap()));
        storage
            .with(|adapter| {
                storage.invalidate();
                adapter.touch();
            })
            .unwrap();
        thread.join().unwrap();
        assert_eq!((census.alive(), storage.len()), (0, 0), "stale, and its use has returned");
        leave();
    });
}

/// T2, T6: a look at all waits for the busy one, and the busy one for the look.
#[test]
fn use_against_for_each() {
    check(None, || {
        let census = Census::new();
        let storage = PerThread::new(census.maker());
        storage.with(Adapter::touch).unwrap();
        let there = storage.clone();
        let thread = thread::spawn(move || {
            let mut seen = 0;
            there
                .for_each(|adapter| {
                    adapter.touch();
                    seen += 1;
                })
                .unwrap();
            assert_eq!(seen, 1, "its `with` returned before");
            leave();
        });
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        leave();
        assert_eq!(census.alive(), 0);
    });
}

/// T3, T5: an ending thread's adapter is retired or drained, and its seat is forgotten.
///
/// Kills: exit-keeps-entry
#[test]
fn exit_against_drain() {
    // Bound: every schedule takes minutes.
    check(Some(3), || {
        let census = Census::new();
        let (storage, retired) = counted_out(&census);
        let there = storage.clone();
        let thread = thread::spawn(move || {
            there.with(Adapter::touch).unwrap();
            leave();
        });
        let drained = storage.drain().unwrap().len();
        thread.join().unwrap();
        assert_eq!((drained + retired.load(Relaxed), census.alive()), (1, 0));
        assert_eq!((storage.len(), storage.seats()), (0, 0));
    });
}

/// T3, T6: a kept adapter comes with exactly one drain, and its seat goes with it.
///
/// Kills: drain-looks-once
#[test]
fn exit_against_drain_kept() {
    // Bound: every schedule takes minutes.
    check(Some(3), || {
        let census = Census::new();
        let storage = PerThread::builder().keep_retired().build(census.maker());
        let there = storage.clone();
        let thread = thread::spawn(move || {
            there.with(Adapter::touch).unwrap();
            leave();
        });
        let first = storage.drain().unwrap().len();
        thread.join().unwrap();
        let second = storage.drain().unwrap().len();
        assert_eq!((first + second, census.alive()), (1, 0));
        assert_eq!((storage.len(), storage.seats()), (0, 0));
    });
}

/// T3: an ending thread and the end of the storage, at once.
///
/// Kills: close-forgets-slots
#[test]
fn exit_against_the_storages_end() {
    check(None, || {
        let census = Census::new();
        let (storage, retired) = counted_out(&census);
        storage.with(Adapter::touch).unwrap();
        let thread = thread::spawn(move || drop(storage));
        leave();
        thread.join().unwrap();
        assert_eq!((retired.load(Relaxed), census.alive()), (1, 0));
    });
}

/// T3: whoever drops the last handle ends every adapter, also those whose threads live on.
#[test]
fn use_against_the_storages_end() {
    check(None, || {
        let census = Census::new();
        let storage = PerThread::new(census.maker());
        let there = storage.clone();
        let thread = thread::spawn(move || {
            there.with(Adapter::touch).unwrap();
            drop(there);
            leave();
        });
        storage.with(Adapter::touch).unwrap();
        drop(storage);
        thread.join().unwrap();
        assert_eq!((census.built(), census.alive()), (2, 0));
        leave();
    });
}

//! Models of threads that use and invalidate, over every schedule within the bound.
//!
//! | model | thread A | thread B | thread C |
//! |---|---|---|---|
//! | first use in two threads | `with` | `with` | |
//! | use against invalidate | `with` twice | new secret, `invalidate`, `with` | |
//! | pinned use against invalidate | `with` twice | new secret, `invalidate` | |
//! | two invalidations | `with` | new secret, `invalidate` | the same |
//! | invalidate against a busy one | `with` | `invalidate` | |
//! | re-entry | `with`, inside it `invalidate` and `with` | `with` | |

#![cfg(loom)]

mod watched;

use std::convert::Infallible;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use threadlocal::{PerThread, PerThreadLocal, UseError, leave};
use watched::{Adapter, Census, check};

/// T1, T3: each thread gets its own, and all are gone in the end.
#[test]
fn first_use_in_two_threads() {
    check(None, || {
        let census = Census::new();
        let storage = PerThread::new(census.maker());
        let there = storage.clone();
        let thread = thread::spawn(move || {
            there.with(Adapter::touch).unwrap();
            leave();
        });
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        assert_eq!((census.built(), census.alive(), storage.len(), storage.seats()), (2, 1, 1, 1));
        leave();
        assert_eq!((census.alive(), storage.len(), storage.seats()), (0, 0, 0));
    });
}

/// T4: an adapter that is built while somebody invalidates is stale afterwards.
///
/// Kills: stamp-after-make
#[test]
fn use_against_invalidate() {
    check(None, || {
        let census = Census::new();
        let storage = PerThread::new(census.maker());
        let (there, rotated) = (storage.clone(), census.clone());
        let thread = thread::spawn(move || {
            rotated.set_secret(1);
            there.invalidate();
        });
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        assert_eq!(storage.with(Adapter::touch), Ok(1), "built before the invalidation returned");
        assert_eq!(census.alive(), 1);
        leave();
        assert_eq!(census.alive(), 0);
    });
}

/// T4 for the type whose adapters stay on their threads.
///
/// Kills: pinned-stamp-after-make
#[test]
fn pinned_use_against_invalidate() {
    check(None, || {
        let census = Census::new();
        let storage = PerThreadLocal::new(census.maker());
        let (there, rotated) = (storage.clone(), census.clone());
        let thread = thread::spawn(move || {
            rotated.set_secret(1);
            there.invalidate();
        });
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        assert_eq!(storage.with(Adapter::touch), Ok(1), "built before the invalidation returned");
        assert_eq!(census.alive(), 1);
        leave();
        assert_eq!(census.alive(), 0);
    });
}

/// T4 with two at once: whoever sees only the later stamp still sees what came before both.
///
/// Kills: invalidate-by-store
#[test]
fn two_invalidations() {
    check(None, || {
        let census = Census::new();
        let first = Arc::new(AtomicUsize::new(0));
        let (seen, made) = (Arc::clone(&first), census.maker());
        let storage = PerThreadLocal::new(move || {
            let adapter = made()?;
            Ok::<_, Infallible>((adapter, seen.load(Relaxed)))
        });
        let there = storage.clone();
        let thread = thread::spawn(move || {
            first.store(1, Relaxed);
            there.invalidate();
        });
        let there = storage.clone();
        let other = thread::spawn(move || there.invalidate());
        storage.with(|_| ()).unwrap();
        thread.join().unwrap();
        assert_eq!(storage.with(|(_, first)| *first), Ok(1), "built before the first returned");
        other.join().unwrap();
        leave();
        assert_eq!(census.alive(), 0);
    });
}

/// A stale adapter is gone when both the invalidation and the use have returned, whichever saw the
/// other.
///
/// Kills: pass-over-in-silence
/// Kills: frequent-without-fence
#[test]
fn invalidate_against_a_busy_one() {
    check(None, || {
        let census = Census::new();
        let storage = PerThread::new(census.maker());
        storage.with(Adapter::touch).unwrap();
        let there = storage.clone();
        let thread = thread::spawn(move || there.invalidate());
        storage.with(Adapter::touch).unwrap();
        thread.join().unwrap();
        let (built, alive) = (census.built(), census.alive());
        assert!(alive == built - 1, "{built} built, {alive} alive");
        leave();
        assert_eq!((census.alive(), storage.len()), (0, 0));
    });
}

/// T1: whoever invalidates and comes again inside his own use is told so.
///
/// Kills: generation-before-busy
#[test]
fn reentry() {
    // Bound: every schedule takes minutes, for the other thread's use and end beside ours.
    check(Some(3), || {
        let census = Census::new();
        let storage = PerThread::new(census.maker());
        let there = storage.clone();
        let thread = thread::spawn(move || {
            there.with(Adapter::touch).unwrap();
            leave();
        });
        storage
            .with(|adapter| {
                storage.invalidate();
                assert_eq!(storage.with(Adapter::touch), Err(UseError::Reentry));
                adapter.touch();
            })
            .unwrap();
        thread.join().unwrap();
        assert_eq!(census.alive(), 0, "the busy one ends with its use");
        leave();
    });
}

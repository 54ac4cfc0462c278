//! Models of threads that use, invalidate, collect and leave, over every schedule within the bound.
//!
//! | model | thread A | thread B | thread C |
//! |---|---|---|---|
//! | first use in two threads | `with` | `with` | |
//! | use against invalidate | `with` twice | new secret, `invalidate`, `with` | |
//! | pinned use against invalidate | `with` twice | new secret, `invalidate` | |
//! | two invalidations | `with` | new secret, `invalidate` | the same |
//! | invalidate against a busy one | `with` | `invalidate` | |
//! | re-entry | `with`, inside it `invalidate` and `with` | `with` | |
//! | use against drain | `with` twice | `drain` | |
//! | drain against invalidate | `with`, inside another `invalidate` | `drain` | |
//! | use against `for_each` | `with` twice | `for_each` | |
//! | exit against drain | `with`, thread end | `drain` | |
//! | exit against drain, kept | `with`, thread end | `drain` | |
//! | exit against the storage's end | `with`, thread end | last handle goes | |
//! | use against the storage's end | `with`, last handle but one goes | last handle goes | |
//!
//! A thread's end is `leave()`: loom's `join` may return before thread-local values are dropped. Every
//! adapter watches itself: touched by one thread at once (a loom cell), one alive per thread at most,
//! dropped once.

#![cfg(loom)]

use std::convert::Infallible;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use threadlocal::{PerThread, PerThreadLocal, UseError, leave};

/// Runs `model` over all schedules with at most `bound` preemptions, `None` is every schedule; says
/// how many they were.
fn check(bound: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let schedules = std::sync::Arc::new(StdAtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&schedules);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.check(move || {
        counter.fetch_add(1, Relaxed);
        model();
    });
    println!("bound: {}", bound.map_or("none".to_owned(), |bound| bound.to_string()));
    println!("iterations: {}", schedules.load(Relaxed));
}

/// What is known of the adapters of one model.
#[derive(Clone)]
struct Census(Arc<Counts>);

struct Counts {
    built: AtomicUsize,
    ended: AtomicUsize,
    /// What an adapter is built with: the credentials.
    secret: AtomicUsize,
}

impl Census {
    fn new() -> Self {
        let zero = || AtomicUsize::new(0);
        Self(Arc::new(Counts { built: zero(), ended: zero(), secret: zero() }))
    }

    fn maker(&self) -> impl Fn() -> Result<Adapter, Infallible> + Send + Sync + use<> {
        let census = self.clone();
        move || {
            census.0.built.fetch_add(1, Relaxed);
            let secret = census.0.secret.load(Relaxed);
            Ok(Adapter { secret, uses: UnsafeCell::new(0), census: census.clone() })
        }
    }

    fn set_secret(&self, secret: usize) {
        self.0.secret.store(secret, Relaxed);
    }

    fn built(&self) -> usize {
        self.0.built.load(Relaxed)
    }

    fn alive(&self) -> usize {
        self.built() - self.0.ended.load(Relaxed)
    }
}

struct Adapter {
    secret: usize,
    /// Loom fails the model if two threads are here without an order between them.
    uses: UnsafeCell<usize>,
    census: Census,
}

impl Adapter {
    fn touch(&mut self) -> usize {
        // SAFETY: `&mut self`; that nobody else is here is what loom checks in this call.
        self.uses.with_mut(|uses| unsafe { *uses += 1 });
        self.secret
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.touch();
        self.census.0.ended.fetch_add(1, Relaxed);
    }
}

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

/// T2, T3, T6: an adapter is its thread's, or the drainer's.
///
/// Kills: no-wake
#[test]
fn use_against_drain() {
    check(None, || {
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
    check(None, || {
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
    check(None, || {
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

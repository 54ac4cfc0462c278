//! std or loom, chosen once: the only place that says `cfg(loom)`.
//!
//! The seam to threads is here too: ordinary builds own each worker through a `threadpool` of one
//! thread, models through `loom::thread`.

#[cfg(loom)]
pub(crate) use self::model::{
    Condvar, Mutex, MutexGuard, YIELDS_BEFORE_SLEEP, atomic, lock, mutant, now, spawn, thread,
    unwinding, wait_timeout,
};
#[cfg(not(loom))]
pub(crate) use self::real::{
    Condvar, Mutex, MutexGuard, YIELDS_BEFORE_SLEEP, atomic, lock, mutant, now, spawn, thread,
    unwinding, wait_timeout,
};

/// `const fn` in ordinary builds; in models a plain one, since loom's atomics cannot be constants.
#[cfg(not(loom))]
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
}
#[cfg(loom)]
macro_rules! const_unless_loom {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis fn $($rest)* };
}
pub(crate) use const_unless_loom;

#[cfg(not(loom))]
mod real {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{PoisonError, TryLockError};
    use std::time::{Duration, Instant};

    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use std::thread;

    /// How often somebody who finds nothing to do, or no room, lets others go first before it sleeps.
    /// To sleep and be woken takes thousands of nanoseconds, and the other side is often nearly there.
    pub(crate) const YIELDS_BEFORE_SLEEP: u32 = 4;

    /// Whether a fault is built in, so that a model can show that it would be found: never here.
    #[inline]
    pub(crate) const fn mutant(_name: &str) -> bool {
        false
    }

    /// Whether a lock must be left alone because a failed model is being taken down: never here.
    #[inline]
    pub(crate) const fn unwinding() -> bool {
        false
    }

    #[inline]
    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    /// Locks; tries for some microseconds before it sleeps. Poison is passed over: no user code runs
    /// under the queue's lock, so a panic there is a broken assertion of ours, and the state is whole
    /// before each of them.
    ///
    /// The lock is held for some tens of nanoseconds, where to sleep and be woken takes thousands.
    /// std's spins, too, but no longer once somebody sleeps, and then each unlock has to wake: while
    /// the queue had one lock, a tiny task took 138 ns so with two workers and a producer on two
    /// cores, and 69 with this loop. The yields are for a holder that was preempted.
    #[inline]
    pub(crate) fn lock<S>(mutex: &Mutex<S>) -> MutexGuard<'_, S> {
        match mutex.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => lock_contended(mutex),
        }
    }

    #[cold]
    fn lock_contended<S>(mutex: &Mutex<S>) -> MutexGuard<'_, S> {
        for pauses in [1, 2, 4, 8, 16, 32] {
            (0..pauses).for_each(|_| std::hint::spin_loop());
            if let Ok(guard) = mutex.try_lock() {
                return guard;
            }
        }
        for _ in 0..4 {
            thread::yield_now();
            if let Ok(guard) = mutex.try_lock() {
                return guard;
            }
        }
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait_timeout<'a, S>(
        _mutex: &'a Mutex<S>,
        condvar: &Condvar,
        guard: MutexGuard<'a, S>,
        timeout: Duration,
    ) -> MutexGuard<'a, S> {
        condvar.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Runs `job` on a new thread of that name.
    ///
    /// One pool of one thread: a larger one has a single name for all, and resizing it leaks
    /// threads. The pool may go at once; its thread runs the job that it was given, then ends.
    /// `threadpool` panics when the system has no thread to give, hence the catch.
    pub(crate) fn spawn(
        name: String,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), Box<dyn std::any::Any + Send>> {
        catch_unwind(AssertUnwindSafe(move || {
            threadpool::Builder::new().num_threads(1).thread_name(name).build().execute(job);
        }))
    }
}

#[cfg(loom)]
mod model {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Duration, Instant};

    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use loom::thread;

    /// None: what comes of a yield is among the schedules anyway.
    pub(crate) const YIELDS_BEFORE_SLEEP: u32 = 0;

    /// Whether the fault `name` is built in: `RATCHET_MUTANT`, read once a process.
    pub(crate) fn mutant(name: &str) -> bool {
        static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
        CHOSEN.get_or_init(|| std::env::var("RATCHET_MUTANT").ok()).as_deref() == Some(name)
    }

    /// A failed model unwinds; touching loom's locks then would abort and hide what failed.
    pub(crate) fn unwinding() -> bool {
        std::thread::panicking()
    }

    /// Time in a model: it moves when a timed wait ends, by more than any model's timeout.
    static TIMEOUTS: AtomicU32 = AtomicU32::new(0);
    const MORE_THAN_ANY_TIMEOUT: Duration = Duration::from_secs(60);

    pub(crate) fn now() -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        // ORDERING: Relaxed. std's atomic, which loom does not see: all its threads are one thread.
        let passed = TIMEOUTS.load(Ordering::Relaxed);
        *START.get_or_init(Instant::now) + MORE_THAN_ANY_TIMEOUT * passed
    }

    pub(crate) fn lock<S>(mutex: &Mutex<S>) -> MutexGuard<'_, S> {
        mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// loom's timed wait never ends by time. This one always does, at any moment from now on: the
    /// others run, or not, between unlocking and locking. That time is up is noted under the lock. What
    /// a wake does to a timed wait is the same as what it does to any other.
    pub(crate) fn wait_timeout<'a, S>(
        mutex: &'a Mutex<S>,
        _condvar: &Condvar,
        guard: MutexGuard<'a, S>,
        _timeout: Duration,
    ) -> MutexGuard<'a, S> {
        drop(guard);
        thread::yield_now();
        let guard = mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // ORDERING: Relaxed, as in `now`.
        TIMEOUTS.fetch_add(1, Ordering::Relaxed);
        guard
    }

    pub(crate) fn spawn(
        _name: String,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), Box<dyn std::any::Any + Send>> {
        thread::spawn(job);
        Ok(())
    }
}

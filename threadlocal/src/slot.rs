//! A slot: where an adapter of a `PerThread` lies, within reach of every thread.

use crate::stamp::{Built, Generation};
use crate::sync::{
    Arc, AtomicU8, AtomicUsize, Condvar, Mutex, Ordering, TryLock, TryLockGuard, lock, mutant, wait,
};

/// One thread's adapter, or none.
///
/// The lock is held by the thread itself across the user's closure, and by others while they look at
/// the adapter (`for_each`) or take it. So it is the one lock of this crate under which foreign code
/// runs; it is the thread's own, and who wants it while its thread is inside a use either does not
/// wait (`invalidate`) or has been told that it will (`for_each`, `drain`).
///
/// A hit costs two read-modify-writes: one to lock, and one on `asked` after unlocking. The lock is
/// only ever tried; `asked` is how those whom it turned away are heard.
pub(crate) struct Slot<T> {
    adapter: TryLock<Option<Built<T>>>,
    /// What those want who found the slot held: `PASSED_OVER`, `WAITED_FOR`. They set it, then try
    /// once more; each holder reads and clears it after unlocking. Of the two at least one sees the
    /// other.
    asked: AtomicU8,
    /// Held between asking and sleeping, and by the holder to wake; guards nothing else.
    gate: Mutex<()>,
    unlocked: Condvar,
    /// How many adapters the storage has alive; shared by its slots.
    live: Arc<AtomicUsize>,
}

/// An invalidation may have left a stale adapter with the holder.
const PASSED_OVER: u8 = 1;
/// Somebody sleeps until the slot is unlocked.
const WAITED_FOR: u8 = 2;

impl<T> Slot<T> {
    pub(crate) fn new(live: Arc<AtomicUsize>) -> Self {
        Self {
            adapter: TryLock::new(None),
            asked: AtomicU8::new(0),
            gate: Mutex::new(()),
            unlocked: Condvar::new(),
            live,
        }
    }

    /// Locks, waiting for whoever holds it. After the guard is dropped, in whatever way, the holder
    /// calls [`after_unlock`](Self::after_unlock).
    #[inline]
    pub(crate) fn lock(&self) -> TryLockGuard<'_, Option<Built<T>>> {
        match self.adapter.try_lock() {
            Some(guard) => guard,
            None => self.lock_by_waiting(),
        }
    }

    #[cold]
    fn lock_by_waiting(&self) -> TryLockGuard<'_, Option<Built<T>>> {
        let mut gate = lock(&self.gate);
        loop {
            // ORDERING: AcqRel; pairs with the swap in `after_unlock`. If that one came first, its
            // Release is acquired here and the slot is seen unlocked; else it sees this bit, and can
            // wake only after this thread sleeps, for which it needs the gate.
            self.asked.fetch_or(WAITED_FOR, Ordering::AcqRel);
            if let Some(guard) = self.adapter.try_lock() {
                return guard;
            }
            gate = wait(&self.unlocked, gate);
        }
    }

    /// Hears those who were turned away meanwhile: wakes the waiting, and says whether an
    /// invalidation passed over, upon which whoever leaves an adapter here calls
    /// [`take_if_stale`](Self::take_if_stale).
    #[inline]
    pub(crate) fn after_unlock(&self) -> bool {
        // ORDERING: AcqRel; pairs with the settings of the bits: see `lock_by_waiting` and
        // `take_if_stale`. A plain load could miss a bit whose setter in turn finds the lock held.
        let asked = self.asked.swap(0, Ordering::AcqRel);
        if asked & WAITED_FOR != 0 && !mutant("no-wake") {
            drop(lock(&self.gate));
            self.unlocked.notify_all();
        }
        asked & PASSED_OVER != 0
    }

    /// Takes a stale or broken adapter out. Does not wait: a holder does it for us, after unlocking.
    pub(crate) fn take_if_stale(&self, generation: &Generation) -> Option<T> {
        loop {
            let mut guard = match self.adapter.try_lock() {
                Some(guard) => guard,
                None if mutant("pass-over-in-silence") => return None,
                None => {
                    // ORDERING: AcqRel; pairs with the swap in `after_unlock`: see `lock_by_waiting`.
                    self.asked.fetch_or(PASSED_OVER, Ordering::AcqRel);
                    self.adapter.try_lock()?
                }
            };
            let now = generation.now();
            let stale = guard.take_if(|built| !built.is_of(now));
            drop(guard);
            let passed_over = self.after_unlock();
            if stale.is_some() || !passed_over {
                return self.counted_out(stale);
            }
        }
    }

    /// Takes whatever lies there, waiting for the holder. For the slot's own thread, or when that
    /// has no use any more: nobody fills the slot meanwhile, so no mark matters.
    pub(crate) fn take(&self) -> Option<T> {
        let built = self.lock().take();
        self.after_unlock();
        self.counted_out(built)
    }

    /// As `take`, for a thread that is not the slot's own; also says whether the adapter's user has
    /// just panicked.
    ///
    /// The slot's own thread may fill it again before `after_unlock`, and an invalidation may find
    /// that use under way: the mark that it leaves is read here, so what it stands for is done here.
    /// That adapter comes second; it is for nobody to use.
    pub(crate) fn take_judged(&self, generation: &Generation) -> (Option<Result<T, T>>, Option<T>) {
        let built = self.lock().take();
        let passed_over = self.after_unlock() && !mutant("drain-swallows-mark");
        let stale = if passed_over { self.take_if_stale(generation) } else { None };
        let broken = built.as_ref().is_some_and(Built::is_broken);
        let taken = self.counted_out(built);
        (taken.map(|adapter| if broken { Err(adapter) } else { Ok(adapter) }), stale)
    }

    /// Waits for the holder.
    pub(crate) fn is_empty(&self) -> bool {
        let empty = self.lock().is_none();
        self.after_unlock();
        empty
    }

    pub(crate) fn count_in(&self) {
        // ORDERING: Relaxed; a count for `len`. Who was told of this use reads it afterwards anyway.
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    fn counted_out(&self, built: Option<Built<T>>) -> Option<T> {
        let built = built?;
        // ORDERING: Relaxed; as in `count_in`.
        self.live.fetch_sub(1, Ordering::Relaxed);
        Some(built.into_adapter())
    }
}

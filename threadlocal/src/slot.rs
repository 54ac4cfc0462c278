//! A slot: where an adapter of a `PerThread` lies, within reach of every thread.

use crate::registry::Retirement;
use crate::stamp::{Built, Generation, Stamp};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering, lock, try_lock};

/// One thread's adapter, or none.
///
/// The lock is held by the thread itself across the user's closure, and by others while they look at
/// the adapter (`for_each`) or take it. So it is the one lock of this crate under which foreign code
/// runs; it is the thread's own, and who wants it while its thread is inside a use either does not
/// wait (`invalidate`) or has been told that it will (`for_each`, `drain`).
pub(crate) struct Slot<T> {
    adapter: Mutex<Option<Built<T>>>,
    /// Set by an invalidation that may have found the slot busy, cleared by the holder after it
    /// unlocked: of the two, at least one sees the other. See `Held::release`.
    passed_over: AtomicBool,
    /// How many adapters the storage has alive; shared by its slots.
    live: Arc<AtomicUsize>,
}

impl<T> Slot<T> {
    pub(crate) fn new(live: Arc<AtomicUsize>) -> Self {
        Self { adapter: Mutex::new(None), passed_over: AtomicBool::new(false), live }
    }

    /// Waits for whoever holds it.
    pub(crate) fn hold(&self) -> Held<'_, T> {
        Held { slot: self, guard: lock(&self.adapter) }
    }

    /// Takes the adapter out, whoever's turn it is; waits for the holder.
    pub(crate) fn take(&self) -> Option<T> {
        self.hold().take()
    }

    /// Takes a stale adapter out, if the slot is idle; a busy one's holder does it on release.
    pub(crate) fn take_if_stale(&self, generation: &Generation) -> Option<T> {
        // ORDERING: AcqRel; pairs with the swap in `release`. If that one came first, its Release is
        // acquired here and the slot is seen unlocked; else it reads this `true` and looks itself.
        self.passed_over.swap(true, Ordering::AcqRel);
        self.take_stale_now(generation)
    }

    fn take_stale_now(&self, generation: &Generation) -> Option<T> {
        let held = Held { slot: self, guard: try_lock(&self.adapter)? };
        if held.is_stale(generation.now()) { held.take() } else { held.release(generation) }
    }
}

/// A slot that is locked by this thread.
pub(crate) struct Held<'a, T> {
    slot: &'a Slot<T>,
    guard: MutexGuard<'a, Option<Built<T>>>,
}

impl<T> Held<'_, T> {
    /// The adapter, if it carries this stamp.
    #[inline]
    pub(crate) fn current(&mut self, stamp: Stamp) -> Option<&mut T> {
        match &mut *self.guard {
            Some(built) if built.stamp == stamp => Some(&mut built.adapter),
            _ => None,
        }
    }

    /// The adapter, of whatever generation.
    pub(crate) fn any(&mut self) -> Option<&mut T> {
        self.guard.as_mut().map(|built| &mut built.adapter)
    }

    pub(crate) fn is_stale(&self, now: Stamp) -> bool {
        self.guard.as_ref().is_some_and(|built| built.stamp != now)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.guard.is_none()
    }

    /// Puts a new adapter in. The slot must be empty: the old one is dropped before.
    pub(crate) fn put(&mut self, built: Built<T>) {
        debug_assert!(self.guard.is_none(), "one adapter a thread");
        *self.guard = Some(built);
        // ORDERING: Relaxed; a count for `len`. Who was told of this use reads it afterwards anyway.
        self.slot.live.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the adapter out and unlocks, so that it is dropped under no lock.
    pub(crate) fn take(mut self) -> Option<T> {
        let built = self.guard.take()?;
        // ORDERING: Relaxed; as in `put`.
        self.slot.live.fetch_sub(1, Ordering::Relaxed);
        Some(built.adapter)
    }

    /// Unlocks after a use. Returns the adapter if it was invalidated meanwhile.
    #[inline]
    pub(crate) fn release(self, generation: &Generation) -> Option<T> {
        let Self { slot, guard } = self;
        drop(guard);
        // ORDERING: AcqRel; pairs with the swap in `take_if_stale`. A plain load here could miss an
        // invalidation that in turn finds the slot still locked: the stale adapter would stay.
        if slot.passed_over.swap(false, Ordering::AcqRel) {
            return slot.take_stale_now(generation);
        }
        None
    }
}

/// A look at an adapter by whoever goes through all of them. It ends the adapter if the looker
/// panics, or if it was invalidated meanwhile.
pub(crate) struct Visiting<'a, T> {
    held: Option<Held<'a, T>>,
    generation: &'a Generation,
    retirement: &'a Retirement<T>,
}

impl<'a, T> Visiting<'a, T> {
    /// Waits for the slot's holder.
    pub(crate) fn new(
        slot: &'a Slot<T>,
        generation: &'a Generation,
        retirement: &'a Retirement<T>,
    ) -> Self {
        Self { held: Some(slot.hold()), generation, retirement }
    }

    pub(crate) fn look(mut self, f: impl FnOnce(&mut T)) {
        if let Some(adapter) = self.held.as_mut().and_then(Held::any) {
            f(adapter);
        }
        let stale = self.held.take().and_then(|held| held.release(self.generation));
        if let Some(stale) = stale {
            self.retirement.retire(stale);
        }
    }
}

impl<T> Drop for Visiting<'_, T> {
    fn drop(&mut self) {
        if let Some(adapter) = self.held.take().and_then(Held::take) {
            self.retirement.retire(adapter);
        }
    }
}

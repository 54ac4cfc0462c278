//! A slot: where an adapter of a `PerThread` lies, within reach of every thread.

use crate::fence::Fence;
use crate::stamp::{Built, Generation};
use crate::sync::{
    Arc, AtomicU8, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, TryLock, TryLockGuard, lock,
    mutant, wait,
};
use crate::table;

/// One thread's adapter, or none.
///
/// The lock is held by the thread itself across the user's closure, and by others while they look at
/// the adapter (`for_each`) or take it. So it is the one lock of this crate under which foreign code
/// runs; it is the thread's own, and who wants it while its thread is inside a use either does not
/// wait (`invalidate`) or has been told that it will (`for_each`, `drain`).
///
/// A hit costs one read-modify-write, to lock. The lock is only ever tried; `asked`, which its own
/// thread reads after unlocking, is how those whom it turned away are heard.
pub(crate) struct Slot<T> {
    adapter: TryLock<Option<Built<T>>>,
    /// What those want who found the slot held: `PASSED_OVER`, `WAITED_FOR`. They set it, then try
    /// once more; each holder reads it after unlocking, and clears it. Both sides fence in between, so
    /// that of the two at least one sees the other.
    asked: AtomicU8,
    fence: Fence,
    gate: Mutex<Gate>,
    /// The slot was unlocked, or an old one has ended.
    changed: Condvar,
    /// How many adapters the storage has alive; shared by its slots.
    live: Arc<AtomicUsize>,
}

/// Whom the slot's lock turns away comes here, and whoever looks for a stale adapter or drains: none
/// of those ever meets another in the slot itself.
///
/// Held for moments: who is in the gate only tries the slot's lock, and sleeps outside. So the gate
/// may be entered with the slot locked.
struct Gate {
    /// Another thread is just ending the adapter that it took from here: until then the slot's own
    /// thread builds no other. Set with the slot locked.
    old_one_ends: bool,
    /// Another thread has the slot locked to look at what lies there. Whoever else has it locked, but
    /// for its own thread, is in the gate.
    looked_at: bool,
}

pub(crate) type Guard<'a, T> = TryLockGuard<'a, Option<Built<T>>>;

/// An invalidation may have left a stale adapter with the holder.
const PASSED_OVER: u8 = 1;
/// Somebody sleeps until the slot is unlocked.
const WAITED_FOR: u8 = 2;

impl<T> Slot<T> {
    pub(crate) fn new(live: Arc<AtomicUsize>) -> Self {
        Self {
            adapter: TryLock::new(None),
            asked: AtomicU8::new(0),
            fence: Fence::new(),
            gate: Mutex::new(Gate { old_one_ends: false, looked_at: false }),
            changed: Condvar::new(),
            live,
        }
    }

    /// Locks for a use by the slot's own thread, waiting for others; `None` if that thread is inside a
    /// use already. After the guard is dropped, in whatever way, it calls
    /// [`after_unlock`](Self::after_unlock).
    #[inline]
    pub(crate) fn lock_to_use(&self) -> Option<Guard<'_, T>> {
        self.adapter.try_lock().or_else(|| self.lock_against_others())
    }

    #[cold]
    fn lock_against_others(&self) -> Option<Guard<'_, T>> {
        let mut gate = lock(&self.gate);
        loop {
            if let Some(guard) = self.adapter.try_lock() {
                return Some(guard);
            }
            if !gate.looked_at {
                return None;
            }
            // Cleared and heard in the gate: no bit is needed to be woken.
            gate = wait(&self.changed, gate);
        }
    }

    /// Whether the slot's own thread, which asks, is inside a use.
    pub(crate) fn is_in_use(&self) -> bool {
        let gate = lock(&self.gate);
        self.adapter.try_lock().is_none() && !gate.looked_at
    }

    /// Locks to look at what lies there, waiting for whoever holds it; `end_look` follows.
    pub(crate) fn look(&self) -> Guard<'_, T> {
        let (mut gate, guard) = self.lock_in_gate();
        gate.looked_at = true;
        guard
    }

    /// Says whether an invalidation passed over, as `after_unlock`.
    pub(crate) fn end_look(&self, guard: Guard<'_, T>) -> bool {
        let mut gate = lock(&self.gate);
        drop(guard);
        gate.looked_at = false;
        // The slot's own thread waits without a word.
        self.changed.notify_all();
        self.after_unlock_in_gate(&gate)
    }

    /// Locks, waiting for whoever holds it, and stays in the gate.
    #[cold]
    fn lock_in_gate(&self) -> (MutexGuard<'_, Gate>, Guard<'_, T>) {
        let mut gate = lock(&self.gate);
        loop {
            if let Some(guard) = self.adapter.try_lock() {
                return (gate, guard);
            }
            // ORDERING: AcqRel pairs with the swap of who unlocks in the gate. For the slot's own
            // thread it is the fences that count: either the slot is seen unlocked below, or it sees
            // this bit, and can wake only after this thread sleeps, for which it needs the gate.
            self.asked.fetch_or(WAITED_FOR, Ordering::AcqRel);
            self.fence.rare();
            if let Some(guard) = self.adapter.try_lock() {
                return (gate, guard);
            }
            gate = wait(&self.changed, gate);
        }
    }

    /// Hears those who were turned away meanwhile: wakes the waiting, and says whether an
    /// invalidation passed over, upon which whoever leaves an adapter here calls
    /// [`take_if_stale`](Self::take_if_stale).
    #[inline]
    pub(crate) fn after_unlock(&self) -> bool {
        // Without the fence the load could miss a bit whose setter still finds the lock held.
        self.fence.frequent();
        // ORDERING: Relaxed; the fence orders it after the unlocking, and who sees a bit swaps.
        self.asked.load(Ordering::Relaxed) != 0 && self.hear_those_who_asked()
    }

    #[cold]
    fn hear_those_who_asked(&self) -> bool {
        // ORDERING: AcqRel; pairs with the settings of the bits: see `lock_in_gate` and
        // `take_if_stale_with`.
        let asked = self.asked.swap(0, Ordering::AcqRel);
        self.hear(asked, None)
    }

    /// `gate` is the caller's, if he is in it.
    #[cold]
    fn hear(&self, asked: u8, gate: Option<&Gate>) -> bool {
        if asked & WAITED_FOR != 0 && !mutant("no-wake") {
            if gate.is_none() {
                drop(lock(&self.gate));
            }
            self.changed.notify_all();
        }
        asked & PASSED_OVER != 0
    }

    /// As `after_unlock`, in the gate. If the slot was also locked there, whatever passed over came
    /// before, and has found in the caller somebody to look for it.
    fn after_unlock_in_gate(&self, gate: &Gate) -> bool {
        // ORDERING: AcqRel; as in `hear_those_who_asked`. A swap, not a load, orders it after the
        // unlocking without a fence: whoever sets a bit later acquires it.
        let asked = self.asked.swap(0, Ordering::AcqRel);
        self.hear(asked, Some(gate))
    }

    /// Takes a stale or broken adapter out, for the slot's own thread. Does not wait for a holder: it
    /// does that for us, after unlocking.
    pub(crate) fn take_if_stale(&self, generation: &Generation) -> Option<T> {
        self.take_if_stale_with(generation, |_, stale| stale)
    }

    /// As `take_if_stale`, for another thread: the slot's own waits for the end of what is taken.
    pub(crate) fn end_if_stale(&self, generation: &Generation) -> Option<Ending<'_, T>> {
        self.take_if_stale_with(generation, |gate, stale| Ending::of(self, gate, stale))
    }

    /// Makes what `then` says of a stale or broken adapter, with the slot still locked.
    fn take_if_stale_with<S>(
        &self,
        generation: &Generation,
        then: impl FnOnce(&mut Gate, T) -> S,
    ) -> Option<S> {
        let mut gate = lock(&self.gate);
        let mut guard = match self.adapter.try_lock() {
            Some(guard) => guard,
            None if mutant("pass-over-in-silence") => return None,
            None => {
                // ORDERING: AcqRel, and the fence: see `lock_in_gate`.
                self.asked.fetch_or(PASSED_OVER, Ordering::AcqRel);
                self.fence.rare();
                self.adapter.try_lock()?
            }
        };
        let now = generation.now();
        let stale = self.counted_out(guard.take_if(|built| !built.is_of(now)));
        let stale = stale.map(|adapter| then(&mut gate, adapter));
        drop(guard);
        self.after_unlock_in_gate(&gate);
        stale
    }

    /// Takes whatever lies there, waiting for the holder. For the slot's own thread, or when that
    /// has no use any more: nobody fills the slot meanwhile, so no mark matters.
    pub(crate) fn take(&self) -> Option<T> {
        let (gate, mut guard) = self.lock_in_gate();
        let built = guard.take();
        drop(guard);
        self.after_unlock_in_gate(&gate);
        self.counted_out(built)
    }

    /// As `take`, for a thread that is not the slot's own, which may fill it again at once. In the
    /// gate, so that no invalidation that finds that use under way is heard here in its place.
    pub(crate) fn take_judged(&self) -> Option<Taken<'_, T>> {
        let (mut gate, mut guard) = self.lock_in_gate();
        let built = guard.take();
        let broken = built.as_ref().is_some_and(Built::is_broken);
        let taken = self.counted_out(built).map(|adapter| {
            if !broken {
                return Taken::Whole(adapter);
            }
            let ending = Ending::of(self, &mut gate, adapter);
            gate.old_one_ends &= !mutant("drain-drops-unseen");
            Taken::Broken(ending)
        });
        drop(guard);
        if mutant("drain-swallows-mark") {
            drop(gate);
            self.hear_those_who_asked();
        } else {
            self.after_unlock_in_gate(&gate);
        }
        taken
    }

    /// Whether another thread is ending this one's adapter. Asked with the slot locked and empty: none
    /// can begin then.
    pub(crate) fn old_one_ends(&self) -> bool {
        lock(&self.gate).old_one_ends && !mutant("build-beside-the-old")
    }

    /// Waits until no other thread is ending this one's adapter.
    pub(crate) fn wait_for_the_end(&self) {
        let mut gate = lock(&self.gate);
        while gate.old_one_ends {
            gate = wait(&self.changed, gate);
        }
    }

    /// Waits for the holder.
    pub(crate) fn is_empty(&self) -> bool {
        let (gate, guard) = self.lock_in_gate();
        let empty = guard.is_none();
        drop(guard);
        self.after_unlock_in_gate(&gate);
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

/// What `drain` finds.
pub(crate) enum Taken<'a, T> {
    Whole(T),
    /// Its user has just panicked: it is for nobody to use.
    Broken(Ending<'a, T>),
}

/// An adapter on its way out, in the hands of another thread than its own, which builds no other
/// until this is dropped.
///
/// While a thread has one of these it does not wait for those of others: see [`table::may_wait`].
pub(crate) struct Ending<'a, T> {
    /// Dropped first.
    adapter: T,
    away: Away<'a, T>,
}

/// The slot's own thread may build again at the drop of this.
struct Away<'a, T> {
    slot: &'a Slot<T>,
    _ending: table::EndingHere,
}

impl<'a, T> Ending<'a, T> {
    /// `slot` is locked, and `adapter` was just taken out of it.
    fn of(slot: &'a Slot<T>, gate: &mut Gate, adapter: T) -> Self {
        gate.old_one_ends = true;
        Self { adapter, away: Away { slot, _ending: table::EndingHere::begin() } }
    }

    /// Ends the adapter by `end`, also if that panics.
    pub(crate) fn by(self, end: impl FnOnce(T)) {
        let away = self.away;
        end(self.adapter);
        drop(away);
    }
}

impl<T> Drop for Away<'_, T> {
    fn drop(&mut self) {
        lock(&self.slot.gate).old_one_ends = false;
        self.slot.changed.notify_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn slot() -> Slot<u32> {
        Slot::new(Arc::new(AtomicUsize::new(0)))
    }

    #[test]
    fn the_holder_is_told_once_of_an_invalidation_that_passed_over() {
        let (slot, generation) = (slot(), Generation::new());
        let mut guard = slot.lock_to_use().expect("nobody holds it");
        *guard = Some(Built::new(generation.now(), 1));
        slot.count_in();
        generation.advance();
        assert!(slot.take_if_stale(&generation).is_none(), "held");
        drop(guard);
        assert!(slot.after_unlock());
        assert!(!slot.after_unlock(), "nobody has come since");
        assert_eq!(slot.take_if_stale(&generation), Some(1));
        assert!(!slot.after_unlock(), "nobody was turned away");
    }

    /// On a use's way out that would be a look for a stale adapter, in vain.
    #[test]
    fn who_waits_is_no_invalidation() {
        let slot = slot();
        // ORDERING: Relaxed; this thread alone.
        slot.asked.store(WAITED_FOR, Ordering::Relaxed);
        assert!(!slot.after_unlock());
        assert_eq!(slot.asked.load(Ordering::Relaxed), 0, "heard");
    }

    /// Somebody may be in it, and the way out of a use need not wait.
    #[test]
    fn the_gate_is_entered_for_sleepers_alone() {
        let slot = slot();
        let gate = lock(&slot.gate);
        assert!(slot.hear(PASSED_OVER, None));
        assert!(!slot.hear(0, None));
        drop(gate);
    }
}

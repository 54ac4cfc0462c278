//! The registry of a `PerThread`: every thread's slot, within reach of the storage's owner.

use std::collections::BTreeMap;
use std::sync::Arc as StdArc;

use crate::slot::{Ending, Slot, Taken};
use crate::sync::{Arc, AtomicUsize, Mutex, Ordering, lock, mutant};

/// What is called with an adapter at its end, in place of a plain drop.
pub(crate) type OnRetire<T> = StdArc<dyn Fn(T) + Send + Sync>;

/// A thread's entry in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeatId(u64);

/// All slots of one storage. Kept alive by the storage and by the seats in it.
///
/// Its lock is held for look-ups only: no slot is locked and no foreign code runs under it.
pub(crate) struct Registry<T> {
    entries: Mutex<Entries<T>>,
    live: Arc<AtomicUsize>,
}

struct Entries<T> {
    /// In the order in which threads came. Holds exactly the seats that have not left, and those of
    /// ended threads whose adapter is kept.
    slots: BTreeMap<SeatId, Entry<T>>,
    next: u64,
    /// `None` once the storage is over: its end then takes care of every slot.
    open: Option<Retirement<T>>,
}

struct Entry<T> {
    slot: Arc<Slot<T>>,
    /// Its thread has left; the slot waits for `drain`.
    ended: bool,
}

/// How adapters end in this storage.
pub(crate) struct Retirement<T> {
    pub(crate) on_retire: Option<OnRetire<T>>,
    /// Adapters of ended threads wait for `drain`.
    pub(crate) keep: bool,
}

impl<T> Clone for Retirement<T> {
    fn clone(&self) -> Self {
        Self { on_retire: self.on_retire.clone(), keep: self.keep }
    }
}

impl<T> Retirement<T> {
    /// Ends an adapter. The caller holds no lock.
    pub(crate) fn retire(&self, adapter: T) {
        match &self.on_retire {
            Some(on_retire) => on_retire(adapter),
            None => drop(adapter),
        }
    }

    /// Ends what was taken from another thread.
    pub(crate) fn end(&self, ending: Ending<'_, T>) {
        ending.by(|adapter| self.retire(adapter));
    }

    pub(crate) fn retire_all(&self, adapters: impl IntoIterator<Item = T>) {
        adapters.into_iter().for_each(|adapter| self.retire(adapter));
    }
}

impl<T> Registry<T> {
    pub(crate) fn new(retirement: Retirement<T>) -> Self {
        let entries = Entries { slots: BTreeMap::new(), next: 0, open: Some(retirement) };
        Self { entries: Mutex::new(entries), live: Arc::new(AtomicUsize::new(0)) }
    }

    /// A slot for the calling thread.
    pub(crate) fn enter(&self) -> (SeatId, Arc<Slot<T>>) {
        let slot = Arc::new(Slot::new(Arc::clone(&self.live)));
        let mut entries = lock(&self.entries);
        let id = SeatId(entries.next);
        entries.next += 1;
        entries.slots.insert(id, Entry { slot: Arc::clone(&slot), ended: false });
        (id, slot)
    }

    /// The thread of `id` ends: its adapter is retired, or kept for `drain`.
    pub(crate) fn exit(&self, id: SeatId, slot: &Slot<T>) {
        let retirement = {
            let mut entries = lock(&self.entries);
            let Some(retirement) = entries.open.clone() else {
                // The storage's end has taken this slot's adapter, or is about to.
                return;
            };
            if retirement.keep {
                if let Some(entry) = entries.slots.get_mut(&id) {
                    entry.ended = true;
                }
            } else if !mutant("exit-keeps-entry") {
                entries.slots.remove(&id);
            }
            retirement
        };
        if retirement.keep {
            if slot.is_empty() {
                lock(&self.entries).slots.remove(&id);
            }
            return;
        }
        retirement.retire_all(slot.take());
    }

    /// The adapters alive.
    pub(crate) fn live(&self) -> usize {
        // ORDERING: Relaxed; exact for every use that the caller knows to have returned, by whatever
        // told it so.
        self.live.load(Ordering::Relaxed)
    }

    /// The seats in use, with an adapter or without, and the kept ones.
    pub(crate) fn seats(&self) -> usize {
        lock(&self.entries).slots.len()
    }

    /// The slots that uses may come to; not those that only wait for `drain`.
    pub(crate) fn in_use(&self) -> Vec<Arc<Slot<T>>> {
        self.slots(|entry| !entry.ended).into_iter().map(|(_, slot)| slot).collect()
    }

    /// Every slot, in the order in which their threads came.
    pub(crate) fn all(&self) -> Vec<Arc<Slot<T>>> {
        self.slots(|_| true).into_iter().map(|(_, slot)| slot).collect()
    }

    /// Takes every adapter out, waiting for the busy ones, and forgets the ended seats.
    ///
    /// Those whose user has just panicked, for nobody to use any more, are retired on the way.
    pub(crate) fn drain(&self, retirement: &Retirement<T>) -> Vec<T> {
        let mut adapters = Vec::new();
        let mut take = |slot: &Slot<T>| match slot.take_judged() {
            Some(Taken::Whole(adapter)) => adapters.push(adapter),
            Some(Taken::Broken(ending)) => retirement.end(ending),
            None => {}
        };
        for (_, slot) in self.slots(|_| true) {
            take(&slot);
        }
        // A thread may have filled its slot again and ended since. From here on it is never filled,
        // so that it can be forgotten once it is empty.
        let ended = self.slots(|entry| entry.ended);
        for (_, slot) in ended.iter().filter(|_| !mutant("drain-looks-once")) {
            take(slot);
        }
        let mut entries = lock(&self.entries);
        for (id, _) in ended {
            entries.slots.remove(&id);
        }
        drop(entries);
        adapters
    }

    /// The storage is over: takes every adapter out. No use is under way, since each has a handle.
    pub(crate) fn close(&self) -> Vec<T> {
        let slots = {
            let mut entries = lock(&self.entries);
            entries.open = None;
            std::mem::take(&mut entries.slots)
        };
        if mutant("close-forgets-slots") {
            return Vec::new();
        }
        slots.into_values().filter_map(|entry| entry.slot.take()).collect()
    }

    fn slots(&self, which: impl Fn(&Entry<T>) -> bool) -> Vec<(SeatId, Arc<Slot<T>>)> {
        let entries = lock(&self.entries);
        let chosen = entries.slots.iter().filter(|(_, entry)| which(entry));
        chosen.map(|(id, entry)| (*id, Arc::clone(&entry.slot))).collect()
    }
}

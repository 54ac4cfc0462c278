//! `PerThreadMap`: one adapter per thread and key.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::rc::Rc;

use crate::error::{ThreadExiting, UseError};
use crate::pinned_seat::PinnedSeat;
use crate::stamp::Generation;
use crate::storage::Storage;
use crate::sync::{Arc, AtomicUsize, Ordering};
use crate::table;

/// One adapter per thread and key, built at its first use there: a logger per thread and name, a
/// connection per thread and shard.
///
/// Adapters are of any type and never leave their thread, as those of
/// [`PerThreadLocal`](crate::PerThreadLocal), and are dropped when those are. Keys are apart: inside
/// a `with` of one key, `with` of another is fine. Memory grows with the keys that a thread uses;
/// [`discard`](Self::discard) forgets one. Handles are `Send + Sync`; cloning gives another handle to
/// the same adapters.
pub struct PerThreadMap<K: 'static, T: 'static, E> {
    shared: Arc<Shared<K, T, E>>,
}

type Make<K, T, E> = dyn Fn(&K) -> Result<T, E> + Send + Sync;

struct Shared<K, T, E> {
    storage: Storage,
    live: Arc<AtomicUsize>,
    make: Box<Make<K, T, E>>,
}

impl<K, T, E> PerThreadMap<K, T, E>
where
    K: Eq + Hash + 'static,
    T: 'static,
    E: 'static,
{
    /// A storage whose adapters `make` builds, each for its key and on the thread that uses it.
    ///
    /// Where it fails nothing is left behind, and the next use tries again.
    pub fn new(make: impl Fn(&K) -> Result<T, E> + Send + Sync + 'static) -> Self {
        Self {
            shared: Arc::new(Shared {
                storage: Storage::new(),
                live: Arc::new(AtomicUsize::new(0)),
                make: Box::new(make),
            }),
        }
    }

    /// Runs `f` on this thread's adapter for `key`, building it first where there is none.
    ///
    /// Every call that starts after an [`invalidate`](Self::invalidate) returned uses an adapter that
    /// was built after it. Never blocks.
    ///
    /// # Errors
    /// [`Make`](UseError::Make) if building failed; [`Reentry`](UseError::Reentry) inside a `with` of
    /// the same key, `make` included; [`ThreadExiting`](UseError::ThreadExiting) once this thread's
    /// thread-local values are gone.
    ///
    /// # Panics
    /// Passes a panic of `make` or `f` on; the adapter of that key is then discarded.
    pub fn with<Q, R>(&self, key: &Q, f: impl FnOnce(&mut T) -> R) -> Result<R, UseError<E>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let keyed = self.shared.seat()?;
        let make = || (self.shared.make)(&key.to_owned());
        if let Some(seat) = keyed.usable(key) {
            return seat.with(&make, f);
        }
        keyed.sweep();
        let result = keyed.add(key.to_owned()).with(&make, f);
        if result.is_err() {
            keyed.sweep();
        }
        result
    }

    /// Makes every adapter built so far, of every key, stale: each thread drops its own and builds
    /// new ones as it uses them.
    ///
    /// What the caller wrote before is seen by every `make` that follows. Does not block.
    pub fn invalidate(&self) {
        self.shared.storage.generation.advance();
    }

    /// Ends this thread's adapter for `key`: its next use builds a new one. Inside a `with` of that
    /// key it happens when that returns.
    pub fn discard<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(keyed) = table::existing_seat::<KeyedSeat<K, T>>(&self.shared.storage) {
            keyed.discard(key);
        }
    }

    /// How many adapters are alive, of all threads and keys, stale ones that wait for their thread's
    /// next use included. Counts every adapter whose `with` is known to have returned.
    pub fn len(&self) -> usize {
        // ORDERING: Relaxed; exact for every use that the caller knows to have returned, by whatever
        // told it so.
        self.shared.live.load(Ordering::Relaxed)
    }

    /// Whether no adapter is alive, as [`len`](Self::len) sees it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Eq + Hash + 'static, T: 'static, E> Shared<K, T, E> {
    fn seat(&self) -> Result<Rc<KeyedSeat<K, T>>, ThreadExiting> {
        table::seat(&self.storage, || KeyedSeat {
            seats: RefCell::new(HashMap::new()),
            generation: Arc::clone(&self.storage.generation),
            live: Arc::clone(&self.live),
        })
    }
}

impl<K, T, E> Clone for PerThreadMap<K, T, E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K, T, E> fmt::Debug for PerThreadMap<K, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: Relaxed; a figure for people.
        let live = self.shared.live.load(Ordering::Relaxed);
        f.debug_struct("PerThreadMap").field("live", &live).finish_non_exhaustive()
    }
}

/// A thread's seats in a map, by key. No borrow of `seats` lasts while foreign code runs, but for
/// the keys' own `Hash` and `Eq`.
struct KeyedSeat<K, T: 'static> {
    seats: RefCell<HashMap<K, Rc<PinnedSeat<T>>>>,
    generation: Arc<Generation>,
    live: Arc<AtomicUsize>,
}

impl<K: Eq + Hash, T> KeyedSeat<K, T> {
    /// The seat of `key`, if it has a current adapter or is in use.
    fn usable<Q>(&self, key: &Q) -> Option<Rc<PinnedSeat<T>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let seats = self.seats.borrow();
        seats.get(key).filter(|seat| seat.is_busy() || seat.is_current()).cloned()
    }

    fn add(&self, key: K) -> Rc<PinnedSeat<T>> {
        let new = || Rc::new(PinnedSeat::new(&self.generation, &self.live));
        Rc::clone(self.seats.borrow_mut().entry(key).or_insert_with(new))
    }

    /// Forgets every key whose adapter is stale or gone, so that old ones do not pile up.
    fn sweep(&self) {
        let unusable = |seat: &Rc<PinnedSeat<T>>| !seat.is_busy() && !seat.is_current();
        let forgotten: Vec<_> =
            self.seats.borrow_mut().extract_if(|_, seat| unusable(seat)).collect();
        drop(forgotten);
    }

    fn discard<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let seat = self.seats.borrow().get(key).cloned();
        if let Some(seat) = seat {
            seat.discard();
            self.sweep();
        }
    }
}

impl<K: 'static, T> table::Seat for KeyedSeat<K, T> {
    fn is_over(&self) -> bool {
        self.generation.is_over()
    }

    fn close(&self) {
        // There are no handles to it.
    }

    fn leave(&self) {
        for seat in self.seats.take().into_values() {
            table::Seat::leave(&*seat);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// With a seat that is not usable a use would find another way to the same adapter.
    #[test]
    fn a_key_is_usable_while_its_adapter_is_current_or_in_use() {
        let generation = Arc::new(Generation::new());
        let keyed: KeyedSeat<u32, u32> = KeyedSeat {
            seats: RefCell::new(HashMap::new()),
            generation: Arc::clone(&generation),
            live: Arc::new(AtomicUsize::new(0)),
        };
        let is_usable = || keyed.usable(&1).is_some();
        assert!(!is_usable());
        let seat = keyed.add(1);
        assert!(!is_usable(), "nothing was built yet");
        let make = || Ok::<_, ()>(7);
        let used = seat.with(&make, |_| {
            generation.advance();
            keyed.sweep();
            is_usable()
        });
        assert!(matches!(used, Ok(true)), "in use, though stale");
        assert!(!is_usable(), "stale");
        assert!(matches!(seat.with(&make, |adapter| *adapter), Ok(7)));
        keyed.sweep();
        assert!(is_usable(), "current, though not in use");
        generation.advance();
        keyed.sweep();
        assert!(keyed.seats.borrow().is_empty(), "stale, and not in use");
    }
}

//! A thread's table: its seats in all storages, under the crate's one thread-local key.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64 as StaticU64, Ordering};

use crate::error::ThreadExiting;
use crate::stamp::Stamp;
use crate::storage::Storage;
use crate::sync::{const_thread_local, mutant};

/// A thread's seat in one storage. It never leaves its thread.
pub(crate) trait Seat: Any {
    /// Whether the storage's last handle is gone, so that nobody will sit here again.
    fn is_over(&self) -> bool;

    /// `leave` comes: whoever holds a handle builds nothing here any more.
    fn close(&self);

    /// The thread ends, or says that it is done: gives up the adapter, for good. May be called
    /// again, and inside a use, after which it then happens.
    fn leave(&self);
}

/// Whether the calling thread may wait for another to end an adapter: not while it ends one itself, so
/// that no two wait for each other, and not once it is exiting.
pub(crate) fn may_wait() -> bool {
    mutant("wait-while-ending") || TABLE.try_with(|table| table.ending.get() == 0).unwrap_or(false)
}

/// The calling thread ends an adapter of another, which may wait for it, until this is dropped.
pub(crate) struct EndingHere(PhantomData<*const ()>);

impl EndingHere {
    pub(crate) fn begin() -> Self {
        // An exiting thread waits for nobody anyhow.
        let _ = TABLE.try_with(|table| table.ending.set(table.ending.get() + 1));
        Self(PhantomData)
    }
}

impl Drop for EndingHere {
    fn drop(&mut self) {
        let _ = TABLE.try_with(|table| {
            table.ending.set(table.ending.get() - 1);
            if table.ending.get() == 0 && table.leaves_later.take() {
                table.leave();
            }
        });
    }
}

const_thread_local!(TABLE: Table = Table::new());

/// How many storages have ended: a thread that has seen fewer has seats to sweep.
static ENDED: StaticU64 = StaticU64::new(0);

/// The seat of the calling thread in `storage`, made by `new` where it has none yet.
pub(crate) fn seat<S: Seat>(
    storage: &Storage,
    new: impl FnOnce() -> S,
) -> Result<Rc<S>, ThreadExiting> {
    TABLE
        .try_with(|table| match table.find(storage) {
            Some(seat) => Ok(seat),
            None => table.add(storage, new),
        })
        .unwrap_or(Err(ThreadExiting))
}

/// The seat of the calling thread in `storage`, if it has one.
pub(crate) fn existing_seat<S: Seat>(storage: &Storage) -> Option<Rc<S>> {
    TABLE.try_with(|table| table.find(storage)).ok().flatten()
}

/// Called before each building of an adapter: drops what ended storages left on this thread.
pub(crate) fn make_room() {
    let _ = TABLE.try_with(Table::sweep_if_any_ended);
}

/// Called by every storage at its end, after its generation says so.
pub(crate) fn note_end_of_storage() {
    // ORDERING: Release pairs with the Acquire in `sweep_if_any_ended`: who sees the new count sees
    // the generation that is over.
    ENDED.fetch_add(1, Ordering::Release);
}

/// Drops what the calling thread still keeps of storages whose last handle is gone.
///
/// An adapter of a [`PerThreadLocal`](crate::PerThreadLocal) or a
/// [`PerThreadMap`](crate::PerThreadMap) can only be dropped by its own thread. When the storage
/// goes first, the thread drops it the next time it builds any adapter, or here: call it in a thread
/// that lives long and seldom builds. Drops of adapters run in the caller, with nothing locked.
/// Inside a `with` that adapter's own turn comes when it returns. Does not block.
pub fn sweep() {
    // A thread whose table is gone has nothing left to sweep.
    let _ = TABLE.try_with(Table::sweep);
}

/// Gives up everything that the calling thread has in any storage, just as its end would.
///
/// For threads that cannot be joined, a pool's for instance: [`std::thread::scope`] and many pools
/// return before the thread-local values of their threads are dropped, and a worker that calls this
/// last is done with its adapters when it says so. Until it returns, `with` on this thread is
/// [`UseError::ThreadExiting`](crate::UseError::ThreadExiting), as it is at a thread's end; a
/// handle still reaches an adapter that has not ended yet, and builds none. Afterwards the thread
/// can build new ones. Inside a `with` that adapter's own turn comes when it returns. Blocks while
/// another thread's `for_each` looks at this thread's adapter, or its `invalidate`, `for_each` or
/// `drain` ends it. Inside an adapter's `Drop` or `on_retire` where this thread's own `invalidate`,
/// `for_each` or `drain` ends the adapter of another, it happens when that is over.
pub fn leave() {
    // A thread whose table is gone has left already.
    let _ = TABLE.try_with(|table| {
        if table.ending.get() == 0 {
            table.leave();
        } else {
            table.leaves_later.set(true);
        }
    });
}

/// One thread's seats, by the index of their storage. Every borrow of `places` ends before foreign
/// code runs.
struct Table {
    places: RefCell<Vec<Option<Place>>>,
    /// What `ENDED` was at the last sweep.
    swept: Cell<u64>,
    leaving: Cell<bool>,
    /// How many adapters of other threads this one is just ending, each inside the one before.
    ending: Cell<usize>,
    /// `leave` was called meanwhile.
    leaves_later: Cell<bool>,
}

struct Place {
    /// The name of the storage that it belongs to, perhaps an earlier owner of the index.
    storage: Stamp,
    seat: Rc<dyn Seat>,
}

impl Table {
    const fn new() -> Self {
        Self {
            places: RefCell::new(Vec::new()),
            swept: Cell::new(0),
            leaving: Cell::new(false),
            ending: Cell::new(0),
            leaves_later: Cell::new(false),
        }
    }

    #[inline]
    fn find<S: Seat>(&self, storage: &Storage) -> Option<Rc<S>> {
        let places = self.places.borrow();
        let place = places.get(storage.index)?.as_ref()?;
        if place.storage != storage.name {
            return None;
        }
        let seat: Rc<dyn Any> = Rc::clone(&place.seat) as Rc<dyn Any>;
        seat.downcast().ok()
    }

    #[cold]
    fn add<S: Seat>(
        &self,
        storage: &Storage,
        new: impl FnOnce() -> S,
    ) -> Result<Rc<S>, ThreadExiting> {
        if self.leaving.get() {
            return Err(ThreadExiting);
        }
        let seat = Rc::new(new());
        let place = Place { storage: storage.name, seat: Rc::clone(&seat) as Rc<dyn Seat> };
        let left_behind = {
            let mut places = self.places.borrow_mut();
            if places.is_empty() {
                // Nothing here is left of the storages that ended before.
                // ORDERING: Acquire, as in `sweep`.
                self.swept.set(ENDED.load(Ordering::Acquire));
            }
            if places.len() <= storage.index {
                places.resize_with(storage.index + 1, || None);
            }
            places[storage.index].replace(place)
        };
        if let Some(place) = left_behind {
            place.seat.leave();
        }
        Ok(seat)
    }

    fn sweep_if_any_ended(&self) {
        // ORDERING: Acquire pairs with the Release in `note_end_of_storage`.
        if ENDED.load(Ordering::Acquire) != self.swept.get() {
            self.sweep();
        }
    }

    fn sweep(&self) {
        // ORDERING: as above; read before looking, so that an end during the sweep is seen next time.
        self.swept.set(ENDED.load(Ordering::Acquire));
        let over: Vec<Place> = {
            let mut places = self.places.borrow_mut();
            let is_over = |place: &mut Place| place.seat.is_over();
            let over = places.iter_mut().filter_map(|place| place.take_if(is_over)).collect();
            let used = places.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
            places.truncate(used);
            over
        };
        for place in over {
            place.seat.leave();
        }
    }

    fn leave(&self) {
        self.leaving.set(true);
        let done = Done(&self.leaving);
        let places = self.places.take();
        // All of them first: the end of one seat's adapter may come in at another's by a handle.
        for place in places.iter().flatten() {
            place.seat.close();
        }
        for place in places.into_iter().flatten() {
            place.seat.leave();
        }
        drop(done);
    }
}

/// The thread may build again, also after an adapter's `Drop` panicked.
struct Done<'a>(&'a Cell<bool>);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.leave();
    }
}

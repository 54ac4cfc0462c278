//! A thread's seat in a `PerThreadLocal`: the adapter lies in the seat and never leaves its thread.

use std::cell::{RefCell, RefMut};

use crate::door::{After, Door};
use crate::error::UseError;
use crate::stamp::{Built, Generation};
use crate::sync::{Arc, AtomicUsize, Ordering, mutant};
use crate::table;

/// An adapter that only its own thread can reach, or none.
pub(crate) struct PinnedSeat<T: 'static> {
    /// Borrowed during a use, which is how a second one is told that it comes again.
    adapter: RefCell<Option<Built<T>>>,
    /// What to do after the use, and whether the seat is given up; the borrow says who is in.
    door: Door,
    generation: Arc<Generation>,
    /// How many adapters the storage has alive; shared by its seats.
    live: Arc<AtomicUsize>,
}

impl<T> PinnedSeat<T> {
    pub(crate) fn new(generation: &Arc<Generation>, live: &Arc<AtomicUsize>) -> Self {
        Self {
            adapter: RefCell::new(None),
            door: Door::default(),
            generation: Arc::clone(generation),
            live: Arc::clone(live),
        }
    }

    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.adapter.try_borrow_mut().is_err()
    }

    /// Whether there is an adapter that the next use would take.
    pub(crate) fn is_current(&self) -> bool {
        let now = self.generation.now();
        let adapter = self.adapter.try_borrow();
        adapter.is_ok_and(|adapter| adapter.as_ref().is_some_and(|built| built.stamp == now))
    }

    /// Runs `f` on this seat's adapter, made by `make` where there is no current one. Busy is looked
    /// at first, then the generation.
    #[inline]
    pub(crate) fn with<R, E>(
        &self,
        make: &dyn Fn() -> Result<T, E>,
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, UseError<E>> {
        let Ok(mut adapter) = self.adapter.try_borrow_mut() else {
            return Err(UseError::Reentry);
        };
        match &mut *adapter {
            Some(built) if built.stamp == self.generation.now() => {}
            _ => adapter = self.renew(adapter, make)?,
        }
        Ok(Visit { seat: self, adapter: Some(adapter) }.run(f))
    }

    /// Drops a stale adapter, outside the borrow since its `Drop` may come in here, then builds.
    #[cold]
    fn renew<'a, E>(
        &'a self,
        mut adapter: RefMut<'a, Option<Built<T>>>,
        make: &dyn Fn() -> Result<T, E>,
    ) -> Result<RefMut<'a, Option<Built<T>>>, UseError<E>> {
        loop {
            let now = self.generation.now();
            if adapter.as_ref().is_some_and(|built| built.stamp == now) {
                return Ok(adapter);
            }
            if let Some(stale) = adapter.take() {
                drop(adapter);
                self.end(stale);
                adapter = self.adapter.try_borrow_mut().map_err(|_| UseError::Reentry)?;
                continue;
            }
            // `make` may build for other storages, and what it leaves behind is swept there.
            let result = make().map_err(UseError::Make);
            let stamp = if mutant("pinned-stamp-after-make") { self.generation.now() } else { now };
            *adapter = Some(Built { stamp, adapter: result? });
            // ORDERING: Relaxed; a count for `len`, exact for uses known to have returned.
            self.live.fetch_add(1, Ordering::Relaxed);
            return Ok(adapter);
        }
    }

    /// Ends this thread's adapter, after the use that is under way if there is one.
    pub(crate) fn discard(&self) {
        self.end_or_note(After::Discard);
    }

    /// Takes the adapter out and drops it with nothing borrowed; inside a use, notes it for its end.
    fn end_or_note(&self, after: After) {
        let Ok(mut adapter) = self.adapter.try_borrow_mut() else {
            return self.door.afterwards(after);
        };
        let ended = adapter.take();
        drop(adapter);
        if let Some(ended) = ended {
            self.end(ended);
        }
    }

    fn end(&self, ended: Built<T>) {
        // ORDERING: Relaxed; as where it was counted in.
        self.live.fetch_sub(1, Ordering::Relaxed);
        drop(ended);
    }
}

impl<T> table::Seat for PinnedSeat<T> {
    fn is_over(&self) -> bool {
        self.generation.is_over()
    }

    fn leave(&self) {
        self.door.close();
        self.end_or_note(After::Leave);
    }
}

impl<T> Drop for PinnedSeat<T> {
    fn drop(&mut self) {
        table::Seat::leave(self);
    }
}

/// One use. Dropped without running to its end, it ends the adapter: its user panicked.
struct Visit<'a, T: 'static> {
    seat: &'a PinnedSeat<T>,
    adapter: Option<RefMut<'a, Option<Built<T>>>>,
}

impl<T> Visit<'_, T> {
    #[inline]
    fn run<R>(mut self, f: impl FnOnce(&mut T) -> R) -> R {
        let Some(built) = self.adapter.as_mut().and_then(|adapter| adapter.as_mut()) else {
            unreachable!("a use starts with an adapter in its seat");
        };
        let result = f(&mut built.adapter);
        if self.seat.door.after() == After::Stay {
            self.adapter = None;
        }
        result
    }
}

impl<T> Drop for Visit<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let Some(mut adapter) = self.adapter.take() else { return };
        self.seat.door.after();
        let ended = adapter.take();
        drop(adapter);
        if let Some(ended) = ended {
            self.seat.end(ended);
        }
    }
}

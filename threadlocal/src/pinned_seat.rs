//! A thread's seat in a `PerThreadLocal`: the adapter lies in the seat and never leaves its thread.

use std::cell::{RefCell, RefMut};

use crate::door::{After, Door, Hit};
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
        adapter.is_ok_and(|adapter| adapter.as_ref().is_some_and(|built| built.is_of(now)))
    }

    /// Runs `f` on this seat's adapter, if there is a current one. Busy is looked at first, then the
    /// generation.
    #[inline]
    pub(crate) fn hit<R, F: FnOnce(&mut T) -> R>(&self, f: F) -> Hit<R, F> {
        let mut visit = Visit { seat: self, ended_well: true };
        let Ok(mut adapter) = self.adapter.try_borrow_mut() else {
            return Hit::Inside(f);
        };
        match &mut *adapter {
            Some(built) if built.is_of(self.generation.now()) => {
                visit.ended_well = false;
                let result = built.lend(f);
                visit.ended_well = !self.door.has_after();
                Hit::Used(result)
            }
            _ => Hit::Vacant(f),
        }
    }

    /// Runs `f` on this seat's adapter, made by `make` where there is no current one.
    pub(crate) fn with<R, E>(
        &self,
        make: &dyn Fn() -> Result<T, E>,
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, UseError<E>> {
        match self.hit(f) {
            Hit::Used(result) => Ok(result),
            Hit::Vacant(f) => self.with_new(make, f),
            Hit::Inside(_) => Err(UseError::Reentry),
        }
    }

    /// As `with`, where it was seen that there is no current adapter.
    #[cold]
    pub(crate) fn with_new<R, E>(
        &self,
        make: &dyn Fn() -> Result<T, E>,
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, UseError<E>> {
        table::make_room();
        loop {
            let mut visit = Visit { seat: self, ended_well: true };
            let Ok(mut adapter) = self.adapter.try_borrow_mut() else {
                return Err(UseError::Reentry);
            };
            let now = self.generation.now();
            let built = match &mut *adapter {
                Some(built) if built.is_of(now) => built,
                Some(_) => {
                    // Outside the borrow: its `Drop` may come in here.
                    self.end(adapter);
                    continue;
                }
                vacant => {
                    let new = make().map_err(UseError::Make)?;
                    let late = mutant("pinned-stamp-after-make");
                    let stamp = if late { self.generation.now() } else { now };
                    // ORDERING: Relaxed; a count for `len`, exact for uses known to have returned.
                    self.live.fetch_add(1, Ordering::Relaxed);
                    vacant.insert(Built::new(stamp, new))
                }
            };
            visit.ended_well = false;
            let result = built.lend(f);
            visit.ended_well = !self.door.has_after();
            return Ok(result);
        }
    }

    /// Ends this thread's adapter, after the use that is under way if there is one.
    pub(crate) fn discard(&self) {
        self.end_or_note(After::Discard);
    }

    fn end_or_note(&self, after: After) {
        match self.adapter.try_borrow_mut() {
            Ok(adapter) => self.end(adapter),
            Err(_) => self.door.afterwards(after),
        }
    }

    /// The use panicked, or was asked to be the adapter's last.
    #[cold]
    fn end_after_use(&self) {
        self.door.take_after();
        if let Ok(adapter) = self.adapter.try_borrow_mut() {
            self.end(adapter);
        }
    }

    /// Takes the adapter out and drops it with nothing borrowed.
    fn end(&self, mut adapter: RefMut<'_, Option<Built<T>>>) {
        let ended = adapter.take();
        drop(adapter);
        if ended.is_some() {
            // ORDERING: Relaxed; as where it was counted in.
            self.live.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<T> table::Seat for PinnedSeat<T> {
    fn is_over(&self) -> bool {
        self.generation.is_over()
    }

    fn close(&self) {
        self.door.close();
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

/// One use. If it does not end well the adapter is ended: outside the borrow, since its `Drop` may
/// come in.
struct Visit<'a, T: 'static> {
    seat: &'a PinnedSeat<T>,
    ended_well: bool,
}

impl<T> Drop for Visit<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.ended_well {
            self.seat.end_after_use();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn new(seat: &PinnedSeat<u32>, adapter: u32) -> u32 {
        seat.with_new(&|| Ok::<_, ()>(adapter), |adapter| *adapter).unwrap()
    }

    /// The slow path would use it, too.
    #[test]
    fn a_current_adapter_is_had_by_the_fast_path_and_stays() {
        let (generation, live) = (Arc::new(Generation::new()), Arc::new(AtomicUsize::new(0)));
        let seat = PinnedSeat::new(&generation, &live);
        assert!(matches!(seat.hit(|_| ()), Hit::Vacant(_)));
        assert_eq!(new(&seat, 1), 1);
        for _ in 0..2 {
            assert!(matches!(seat.hit(|adapter| *adapter), Hit::Used(1)));
        }
        assert!(seat.is_current() && !seat.is_busy());
        assert_eq!(new(&seat, 2), 1, "the slow path builds none beside it");
        generation.advance();
        assert!(matches!(seat.hit(|_| ()), Hit::Vacant(_)));
        assert!(!seat.is_current());
        assert_eq!(new(&seat, 3), 3, "nor does it use a stale one");
        // ORDERING: Relaxed; there is one thread.
        assert_eq!(live.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn inside_a_use_the_seat_is_busy() {
        let (generation, live) = (Arc::new(Generation::new()), Arc::new(AtomicUsize::new(0)));
        let seat = PinnedSeat::new(&generation, &live);
        new(&seat, 1);
        let hit = seat.hit(|_| {
            assert!(seat.is_busy() && matches!(seat.hit(|_| ()), Hit::Inside(_)));
            seat.discard();
        });
        assert!(matches!(hit, Hit::Used(())));
        assert!(!seat.is_busy() && !seat.is_current(), "discarded once it was over");
    }
}

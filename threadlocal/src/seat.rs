//! A thread's seat in a `PerThread`, and a use of the adapter that lies in its slot.

use crate::door::{After, Door, Hit, Missed};
use crate::registry::{Registry, Retirement, SeatId};
use crate::slot::Slot;
use crate::stamp::{Built, Generation};
use crate::sync::{Arc, mutant};
use crate::table;

/// What a thread keeps of a `PerThread` in its table.
pub(crate) struct SharedSeat<T: 'static> {
    door: Door,
    slot: Arc<Slot<T>>,
    id: SeatId,
    registry: Arc<Registry<T>>,
    generation: Arc<Generation>,
}

impl<T> SharedSeat<T> {
    pub(crate) fn new(registry: &Arc<Registry<T>>, generation: &Arc<Generation>) -> Self {
        let (id, slot) = registry.enter();
        Self {
            door: Door::default(),
            slot,
            id,
            registry: Arc::clone(registry),
            generation: Arc::clone(generation),
        }
    }

    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    /// Runs `f` on this seat's adapter, if there is a current one.
    ///
    /// Busy is looked at first: whoever invalidates and comes again inside his own use must be told
    /// so, and not be given a second adapter while he holds the first.
    #[inline]
    pub(crate) fn hit<R, F: FnOnce(&mut T) -> R>(
        &self,
        retirement: &Retirement<T>,
        f: F,
    ) -> Hit<R, F> {
        if mutant("generation-before-busy") {
            retirement.retire_all(self.slot.take());
        }
        if self.door.is_touring() {
            return Hit::Inside(f);
        }
        let visit = Visit { seat: self, retirement };
        let Some(mut guard) = self.slot.lock_to_use() else {
            std::mem::forget(visit);
            return Hit::Inside(f);
        };
        match &mut *guard {
            Some(built) if built.is_of(self.generation.now()) => {
                let result = built.lend(f);
                drop(guard);
                visit.end_well();
                Hit::Used(result)
            }
            _ => {
                drop(guard);
                Hit::Vacant(f)
            }
        }
    }

    /// Runs `f` on this seat's adapter, made by `make` where there is no current one. Waits while
    /// another thread ends the one before, unless somebody may be waiting for this thread in turn.
    #[cold]
    pub(crate) fn with_new<R, E, F: FnOnce(&mut T) -> R>(
        &self,
        retirement: &Retirement<T>,
        make: &dyn Fn() -> Result<T, E>,
        f: F,
    ) -> Result<R, Missed<F, E>> {
        table::make_room();
        loop {
            let visit = Visit { seat: self, retirement };
            let Some(mut guard) = self.slot.lock_to_use() else {
                std::mem::forget(visit);
                return Err(Missed::Inside(f));
            };
            let now = self.generation.now();
            let built = match &mut *guard {
                Some(built) if built.is_of(now) => built,
                // The end of this visit drops it, outside: its `Drop` may come in here.
                Some(_) => continue,
                None if self.slot.old_one_ends() => {
                    drop(guard);
                    drop(visit);
                    if !table::may_wait() {
                        return Err(Missed::Inside(f));
                    }
                    self.slot.wait_for_the_end();
                    continue;
                }
                vacant => {
                    let adapter = make().map_err(Missed::Make)?;
                    let late = mutant("stamp-after-make");
                    let stamp = if late { self.generation.now() } else { now };
                    self.slot.count_in();
                    vacant.insert(Built::new(stamp, adapter))
                }
            };
            let result = built.lend(f);
            drop(guard);
            visit.end_well();
            return Ok(result);
        }
    }

    /// Ends this thread's adapter, after the use that is under way if there is one.
    pub(crate) fn discard(&self, retirement: &Retirement<T>) {
        if self.is_inside() {
            self.door.afterwards(After::Discard);
        } else {
            retirement.retire_all(self.slot.take());
        }
    }

    /// What has to follow a visit: ends a stale or broken adapter, does what was asked for.
    #[cold]
    fn settle(&self, retirement: &Retirement<T>) {
        retirement.retire_all(self.slot.take_if_stale(&self.generation));
        match self.door.take_after() {
            After::Stay => {}
            After::Discard => self.discard(retirement),
            After::Leave => table::Seat::leave(self),
        }
    }

    /// Whether this thread is inside a use, or goes through everybody's adapters.
    pub(crate) fn is_inside(&self) -> bool {
        self.door.is_touring() || self.slot.is_in_use()
    }

    /// Goes through everybody's adapters until the tour is dropped; `None` if the thread is inside.
    pub(crate) fn tour<'a>(&'a self, retirement: &'a Retirement<T>) -> Option<Tour<'a, T>> {
        if self.is_inside() {
            return None;
        }
        self.door.set_touring(true);
        Some(Tour { seat: self, retirement })
    }

    /// Whether `slot` is this seat's.
    pub(crate) fn is_at(&self, slot: &Slot<T>) -> bool {
        std::ptr::eq(&raw const *self.slot, slot)
    }
}

impl<T> table::Seat for SharedSeat<T> {
    fn is_over(&self) -> bool {
        self.generation.is_over()
    }

    fn close(&self) {
        self.door.close();
    }

    fn leave(&self) {
        if self.is_inside() {
            self.door.afterwards(After::Leave);
        } else if self.door.leave() {
            self.registry.exit(self.id, &self.slot);
            if table::may_wait() && !mutant("leave-without-waiting") {
                // The thread can have a new seat next.
                self.slot.wait_for_the_end();
            }
        }
    }
}

impl<T> Drop for SharedSeat<T> {
    fn drop(&mut self) {
        table::Seat::leave(self);
    }
}

/// One use. However it ends, an adapter that is stale or broken by then is ended, and what was asked
/// for meanwhile is done. All of that after the unlocking: an adapter's `Drop` may come in.
struct Visit<'a, T: 'static> {
    seat: &'a SharedSeat<T>,
    retirement: &'a Retirement<T>,
}

impl<T> Visit<'_, T> {
    /// Nobody panicked, and the slot is unlocked. As a drop, without a call of its own on each hit.
    #[inline]
    fn end_well(self) {
        let (seat, retirement) = (self.seat, self.retirement);
        std::mem::forget(self);
        if seat.slot.after_unlock() || seat.door.has_after() {
            seat.settle(retirement);
        }
    }
}

impl<T> Drop for Visit<'_, T> {
    fn drop(&mut self) {
        self.seat.slot.after_unlock();
        self.seat.settle(self.retirement);
    }
}

/// A thread's way through everybody's adapters. At its end what was asked for meanwhile is done.
pub(crate) struct Tour<'a, T: 'static> {
    seat: &'a SharedSeat<T>,
    retirement: &'a Retirement<T>,
}

impl<T> Drop for Tour<'_, T> {
    fn drop(&mut self) {
        self.seat.door.set_touring(false);
        self.seat.settle(self.retirement);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const DROPPED: Retirement<u32> = Retirement { on_retire: None, keep: false };

    fn new(seat: &SharedSeat<u32>, adapter: u32) -> u32 {
        let made = seat.with_new(&DROPPED, &|| Ok::<_, ()>(adapter), |adapter| *adapter);
        made.unwrap_or_else(|_| panic!("nobody is inside, and the maker does not fail"))
    }

    /// The slow path would use it, too.
    #[test]
    fn a_current_adapter_is_had_by_the_fast_path_and_stays() {
        let (registry, generation) =
            (Arc::new(Registry::new(DROPPED)), Arc::new(Generation::new()));
        let seat = SharedSeat::new(&registry, &generation);
        assert!(matches!(seat.hit(&DROPPED, |_| ()), Hit::Vacant(_)));
        assert_eq!(new(&seat, 1), 1);
        for _ in 0..2 {
            assert!(matches!(seat.hit(&DROPPED, |adapter| *adapter), Hit::Used(1)));
        }
        assert_eq!(new(&seat, 2), 1, "the slow path builds none beside it");
        generation.advance();
        assert!(matches!(seat.hit(&DROPPED, |_| ()), Hit::Vacant(_)));
        assert_eq!(new(&seat, 3), 3, "nor does it use a stale one");
        generation.advance();
        assert_eq!(new(&seat, 4), 4, "also where no hit has ended that before");
        assert_eq!((registry.live(), registry.seats()), (1, 1));
        drop(seat);
        assert_eq!((registry.live(), registry.seats()), (0, 0));
    }

    #[test]
    fn inside_a_use_or_a_tour_there_is_no_other() {
        let (registry, generation) =
            (Arc::new(Registry::new(DROPPED)), Arc::new(Generation::new()));
        let seat = SharedSeat::new(&registry, &generation);
        new(&seat, 1);
        let hit = seat.hit(&DROPPED, |_| {
            assert!(seat.is_inside() && seat.tour(&DROPPED).is_none());
            assert!(matches!(seat.hit(&DROPPED, |_| ()), Hit::Inside(_)));
            seat.discard(&DROPPED);
        });
        assert!(matches!(hit, Hit::Used(())) && !seat.is_inside());
        assert_eq!(registry.live(), 0, "discarded once it was over");
        let tour = seat.tour(&DROPPED);
        assert!(tour.is_some() && seat.is_inside());
        assert!(matches!(seat.hit(&DROPPED, |_| ()), Hit::Inside(_)));
        drop(tour);
        assert!(!seat.is_inside());
    }

    /// It would wait for itself.
    #[test]
    fn who_ends_an_adapter_leaves_without_waiting() {
        let (registry, generation) =
            (Arc::new(Registry::new(DROPPED)), Arc::new(Generation::new()));
        let seat = SharedSeat::new(&registry, &generation);
        new(&seat, 1);
        generation.advance();
        let ending = seat.slot.end_if_stale(&generation);
        table::Seat::leave(&seat);
        assert_eq!((registry.live(), registry.seats()), (0, 0));
        DROPPED.end(ending.expect("stale, and nobody was inside"));
    }

    #[test]
    fn a_seat_is_over_with_its_storage() {
        let (registry, generation) =
            (Arc::new(Registry::new(DROPPED)), Arc::new(Generation::new()));
        let seat = SharedSeat::new(&registry, &generation);
        assert!(!table::Seat::is_over(&seat));
        generation.end();
        assert!(table::Seat::is_over(&seat));
    }
}

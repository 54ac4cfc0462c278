//! A thread's seat in a `PerThread`, and a use of the adapter that lies in its slot.

use crate::door::{After, Door, Inside};
use crate::error::{Reentry, UseError};
use crate::registry::{Registry, Retirement, SeatId};
use crate::slot::{Held, Slot};
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

    /// Runs `f` on this seat's adapter, made by `make` where there is no current one.
    ///
    /// Busy is looked at first: whoever invalidates and comes again inside his own use must be told
    /// so, and not be given a second adapter while he holds the first.
    #[inline]
    pub(crate) fn with<R, E>(
        &self,
        retirement: &Retirement<T>,
        make: &dyn Fn() -> Result<T, E>,
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, UseError<E>> {
        if mutant("generation-before-busy") {
            self.drop_stale(retirement);
        }
        let mut visit = Visit::new(self, retirement, self.door.enter()?);
        if let Some(adapter) = visit.current() {
            let result = f(adapter);
            visit.keep();
            return Ok(result);
        }
        visit.keep();
        self.with_new(retirement, make, f)
    }

    /// As `with`, where it was seen that there is no current adapter.
    #[cold]
    fn with_new<R, E>(
        &self,
        retirement: &Retirement<T>,
        make: &dyn Fn() -> Result<T, E>,
        f: impl FnOnce(&mut T) -> R,
    ) -> Result<R, UseError<E>> {
        loop {
            // The old one goes before the new one comes, and outside: its `Drop` may come in here.
            self.drop_stale(retirement);
            let mut visit = Visit::new(self, retirement, self.door.enter()?);
            if !visit.make(make)? {
                continue;
            }
            let Some(adapter) = visit.any() else {
                continue;
            };
            let result = f(adapter);
            visit.keep();
            return Ok(result);
        }
    }

    fn drop_stale(&self, retirement: &Retirement<T>) {
        let held = self.slot.hold();
        let stale = if held.is_stale(self.generation.now()) {
            held.take()
        } else {
            held.release(&self.generation)
        };
        if let Some(stale) = stale {
            retirement.retire(stale);
        }
    }

    /// Ends this thread's adapter, after the use that is under way if there is one.
    pub(crate) fn discard(&self, retirement: &Retirement<T>) {
        if self.door.is_busy() {
            self.door.afterwards(After::Discard);
        } else if let Some(adapter) = self.slot.take() {
            retirement.retire(adapter);
        }
    }

    /// Goes in without using this seat's adapter: to look at everybody's.
    pub(crate) fn stay<'a>(
        &'a self,
        retirement: &'a Retirement<T>,
    ) -> Result<Stay<'a, T>, Reentry> {
        Ok(Stay { inside: Some(self.door.enter()?), seat: self, retirement })
    }
}

/// The thread is in, with no adapter in hand. Dropped, however that comes, it does what was asked of
/// the seat meanwhile.
pub(crate) struct Stay<'a, T: 'static> {
    seat: &'a SharedSeat<T>,
    retirement: &'a Retirement<T>,
    inside: Option<Inside<'a>>,
}

impl<T> Drop for Stay<'_, T> {
    fn drop(&mut self) {
        self.inside = None;
        match self.seat.door.after() {
            After::Stay => {}
            After::Discard => self.seat.discard(self.retirement),
            After::Leave => table::Seat::leave(self.seat),
        }
    }
}

impl<T> table::Seat for SharedSeat<T> {
    fn is_over(&self) -> bool {
        self.generation.is_over()
    }

    fn leave(&self) {
        if self.door.is_busy() {
            self.door.afterwards(After::Leave);
        } else if self.door.close() {
            self.registry.exit(self.id, &self.slot);
        }
    }
}

impl<T> Drop for SharedSeat<T> {
    fn drop(&mut self) {
        table::Seat::leave(self);
    }
}

/// One use of the seat's own adapter, from the door in to the door out. Dropped before `keep` it
/// ends the adapter: its user panicked, and nobody knows in what state it is.
struct Visit<'a, T: 'static> {
    seat: &'a SharedSeat<T>,
    retirement: &'a Retirement<T>,
    /// Both are there until the end; taken apart in the order of `finish`.
    held: Option<Held<'a, T>>,
    inside: Option<Inside<'a>>,
}

impl<'a, T> Visit<'a, T> {
    #[inline]
    fn new(seat: &'a SharedSeat<T>, retirement: &'a Retirement<T>, inside: Inside<'a>) -> Self {
        Self { seat, retirement, held: Some(seat.slot.hold()), inside: Some(inside) }
    }

    /// The adapter, if it is of the present generation.
    #[inline]
    fn current(&mut self) -> Option<&mut T> {
        let now = self.seat.generation.now();
        self.held.as_mut()?.current(now)
    }

    fn any(&mut self) -> Option<&mut T> {
        self.held.as_mut()?.any()
    }

    /// Fills the slot. False when it holds a stale adapter, which has to be dropped first; a current
    /// one, built by the `Drop` of the one before, is left as it is.
    fn make<E>(&mut self, make: &dyn Fn() -> Result<T, E>) -> Result<bool, UseError<E>> {
        let Some(held) = self.held.as_mut() else { return Ok(false) };
        let stamp = self.seat.generation.now();
        if !held.is_empty() {
            return Ok(!held.is_stale(stamp));
        }
        let adapter = make().map_err(UseError::Make)?;
        let stamp = if mutant("stamp-after-make") { self.seat.generation.now() } else { stamp };
        held.put(Built { stamp, adapter });
        Ok(true)
    }

    /// The use went well.
    #[inline]
    fn keep(mut self) {
        self.finish(true);
    }

    #[inline]
    fn finish(&mut self, well: bool) {
        let Some(held) = self.held.take() else { return };
        let after = self.seat.door.after();
        let ended = match after {
            After::Discard => held.take(),
            _ if !well => held.take(),
            _ => held.release(&self.seat.generation),
        };
        // Out of the door before foreign code runs: the adapter's `Drop` may come in.
        self.inside = None;
        if let Some(adapter) = ended {
            self.retirement.retire(adapter);
        }
        if after == After::Leave {
            table::Seat::leave(self.seat);
        }
    }
}

impl<T> Drop for Visit<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.finish(false);
    }
}

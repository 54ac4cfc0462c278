//! `PerThread`: every thread has an adapter of its own, and the owner can reach all of them.

use std::fmt;
use std::rc::Rc;

use crate::builder::PerThreadBuilder;
use crate::door::{Hit, Missed};
use crate::error::{Reentry, UseError};
use crate::local::Local;
use crate::registry::{Registry, Retirement};
use crate::seat::SharedSeat;
use crate::slot::{Guard, Slot};
use crate::storage::Storage;
use crate::sync::Arc;
use crate::table;

/// One adapter a thread, built at its first use there; the owner can count, visit and collect them.
///
/// Cloning gives another handle to the same adapters. Handles are `Send + Sync`; the adapters must be
/// `Send`, since the owner may drop or collect them on a thread of its own. For adapters that are not,
/// there is [`PerThreadLocal`](crate::PerThreadLocal).
///
/// # When an adapter is dropped
/// At the first of these: its thread ends or calls [`leave`](crate::leave); it is discarded; it is
/// invalidated (an idle one at once, by the caller of `invalidate`; a busy one when its `with`
/// returns); the last handle goes. The old one always before its thread builds the new one, since
/// servers count sessions: where another thread is just ending it, the use waits.
/// So after the workers were joined nothing is left to collect: whoever wants to flush or to sum uses
/// [`on_retire`](PerThreadBuilder::on_retire), called once per adapter wherever it ends, or
/// [`keep_retired`](PerThreadBuilder::keep_retired), which keeps the adapters of ended threads for
/// [`drain`](Self::drain).
///
/// # Pitfalls
/// - [`std::thread::scope`] may return before its threads have dropped their thread-local values
///   (rust-lang/rust#116237). Join the threads explicitly, or let them call [`leave`](crate::leave).
/// - An adapter that owns a handle of its own storage keeps it alive: both leak until the thread ends.
/// - The main thread's adapter of a storage in a `static` may never be dropped.
/// - A panic in an adapter's `Drop` while its thread ends aborts the process.
/// - What an adapter's `Drop`, `on_retire` or `for_each` waits for must not wait for this storage in
///   turn: two storages whose `for_each` go through each other inside a `with`, or a `Drop` that wants
///   a lock which its thread holds around a use, can wait for each other, as two locks taken in two
///   orders can. Uses of one storage, its own `Drop`s included, never do.
pub struct PerThread<T: 'static, E> {
    pub(crate) shared: Arc<Shared<T, E>>,
}

/// What the handles share. Its end is the storage's.
pub(crate) struct Shared<T: 'static, E> {
    storage: Storage,
    registry: Arc<Registry<T>>,
    pub(crate) retirement: Retirement<T>,
    make: Box<Make<T, E>>,
}

pub(crate) type Make<T, E> = dyn Fn() -> Result<T, E> + Send + Sync;

impl<T: Send + 'static, E: 'static> PerThread<T, E> {
    /// A storage whose adapters `make` builds, each on the thread that uses it.
    ///
    /// `make` runs inside the first `with` of each thread and after every invalidation. Where it
    /// fails nothing is left behind, and the next use tries again.
    pub fn new(make: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> Self {
        Self::builder().build(make)
    }

    /// A storage with a say in how its adapters end.
    pub fn builder() -> PerThreadBuilder<T, E> {
        PerThreadBuilder::new()
    }

    pub(crate) fn from_parts(make: Box<Make<T, E>>, retirement: Retirement<T>) -> Self {
        Self {
            shared: Arc::new(Shared {
                storage: Storage::new(),
                registry: Arc::new(Registry::new(retirement.clone())),
                retirement,
                make,
            }),
        }
    }

    /// Runs `f` on this thread's adapter, building it first where there is none.
    ///
    /// Every call that starts after an [`invalidate`](Self::invalidate) returned uses an adapter that
    /// was built after it. Blocks only while another thread's [`for_each`](Self::for_each) looks at
    /// this very adapter, or its `invalidate`, `for_each` or [`drain`](Self::drain) ends it.
    ///
    /// # Errors
    /// [`Make`](UseError::Make) if building failed; [`Reentry`](UseError::Reentry) inside a `with` or
    /// `for_each` of the same storage, `make` included, and inside an adapter's `Drop` or `on_retire`
    /// by another thread than its own, if that thread's adapter is just being ended by another in turn:
    /// the two could wait for each other;
    /// [`ThreadExiting`](UseError::ThreadExiting) once this thread's thread-local values are gone.
    ///
    /// # Panics
    /// Passes a panic of `make` or `f` on; the adapter is then discarded.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, UseError<E>> {
        let seat = self.shared.seat()?;
        Ok(self.shared.with(&seat, f)?)
    }

    /// As [`with`](Self::with), but where that is [`Reentry`](UseError::Reentry), inside a `with` of
    /// the same storage for instance, on a one-off adapter, built and ended for this call.
    ///
    /// For closures that may run nested without knowing: a work-stealing pool such as rayon runs
    /// another job inside a job that waits.
    ///
    /// # Errors
    /// As [`with`](Self::with), less [`Reentry`](UseError::Reentry).
    pub fn with_or_temp<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, UseError<E>> {
        let seat = self.shared.seat()?;
        let f = match self.shared.with(&seat, f) {
            Ok(result) => return Ok(result),
            Err(Missed::Make(error)) => return Err(UseError::Make(error)),
            Err(Missed::Inside(f)) => f,
        };
        let adapter = (self.shared.make)().map_err(UseError::Make)?;
        let mut one_off = OneOff { adapter: Some(adapter), retirement: &self.shared.retirement };
        match &mut one_off.adapter {
            Some(adapter) => Ok(f(adapter)),
            None => unreachable!("taken out by its drop alone"),
        }
    }

    /// A handle for a loop on this thread: the look-up is done once, at its first use.
    pub fn local(&self) -> Local<T, E> {
        Local::new(self.clone())
    }

    /// Makes every adapter built so far stale: each thread builds a new one at its next use.
    ///
    /// Idle adapters are dropped here and now, one after another on the calling thread; a busy one when
    /// its `with` returns. What the caller wrote before, new credentials for instance, is seen by every
    /// `make` that follows. Waits for no use, but takes as long as those drops; a thread that wants its
    /// next adapter waits for the drop of its own. Allowed inside a `with`, where it spares the adapter
    /// in hand until the end.
    ///
    /// Adapters kept by [`keep_retired`](PerThreadBuilder::keep_retired) stay: no use sees them again.
    ///
    /// # Panics
    /// Passes a panic of an adapter's `Drop` or of `on_retire` on; stale adapters that it had not come
    /// to then end at their threads' next use.
    pub fn invalidate(&self) {
        self.shared.storage.generation.advance();
        let seat = self.shared.existing_seat();
        for slot in self.shared.registry.in_use() {
            self.shared.end_if_stale(&slot, seat.as_deref());
        }
    }

    /// Ends this thread's adapter: its next use builds a new one. Inside a `with` (a client found
    /// broken mid-call) it happens when that returns. Blocks only while another thread's `for_each`
    /// looks at it.
    pub fn discard(&self) {
        if let Some(seat) = self.shared.existing_seat() {
            seat.discard(&self.shared.retirement);
        }
    }

    /// How many adapters are alive, kept ones included, one-off ones not. Counts every adapter whose
    /// `with` is known to have returned; a moment later it may be another number. Does not block.
    pub fn len(&self) -> usize {
        self.shared.registry.live()
    }

    /// Whether no adapter is alive, as [`len`](Self::len) sees it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many threads have a place here, with an adapter at the moment or without; kept ones of
    /// ended threads included. Bounded by the live threads that ever used the storage.
    pub fn seats(&self) -> usize {
        self.shared.registry.seats()
    }

    /// Runs `f` on every adapter, one after another, in the order in which their threads came.
    ///
    /// **Blocks** for each adapter until its `with` has returned; its thread in turn waits while `f`
    /// looks at it. Sees every adapter whose `with` returned before this call. Inside `f`, `with` of
    /// the same storage is [`Reentry`](UseError::Reentry).
    ///
    /// # Errors
    /// [`Reentry`] inside a `with` or `for_each` of this storage, without waiting for anything: two
    /// threads inside `with` would otherwise lock each other out.
    ///
    /// # Panics
    /// Passes a panic of `f` on; the adapter that it was looking at is discarded.
    pub fn for_each(&self, mut f: impl FnMut(&mut T)) -> Result<(), Reentry> {
        // A thread at its end has no seat and cannot be inside anything.
        let seat = self.shared.seat().ok();
        let tour = match &seat {
            Some(seat) => Some(seat.tour(&self.shared.retirement).ok_or(Reentry)?),
            None => None,
        };
        for slot in self.shared.registry.all() {
            let seat = seat.as_deref();
            let mut look =
                Look { adapter: Some(slot.look()), slot: &slot, seat, shared: &*self.shared };
            if let Some(Some(built)) = look.adapter.as_deref_mut()
                && !built.is_broken()
            {
                built.lend(&mut f);
            }
            drop(look);
        }
        drop(tour);
        Ok(())
    }

    /// Takes every adapter out and hands them over; threads that live on build new ones at their
    /// next use. Nothing is called on them: they are the caller's.
    ///
    /// **Blocks** for each adapter until its `with` has returned. Sees every adapter whose `with`
    /// returned before this call, kept ones of ended threads included.
    ///
    /// # Errors
    /// [`Reentry`] inside a `with` or `for_each` of this storage, without waiting for anything.
    pub fn drain(&self) -> Result<Vec<T>, Reentry> {
        if self.shared.existing_seat().is_some_and(|seat| seat.is_inside()) {
            return Err(Reentry);
        }
        Ok(self.shared.registry.drain(&self.shared.retirement))
    }
}

impl<T: Send + 'static, E: 'static> Shared<T, E> {
    /// Ends a stale or broken adapter at once, or leaves it to whoever has it in hand. `seat` is the
    /// calling thread's.
    fn end_if_stale(&self, slot: &Slot<T>, seat: Option<&SharedSeat<T>>) {
        let generation = &self.storage.generation;
        if seat.is_some_and(|seat| seat.is_at(slot)) {
            self.retirement.retire_all(slot.take_if_stale(generation));
        } else {
            slot.end_if_stale(generation)
                .into_iter()
                .for_each(|ending| self.retirement.end(ending));
        }
    }

    /// This thread's seat.
    #[inline]
    pub(crate) fn seat(&self) -> Result<Rc<SharedSeat<T>>, crate::error::ThreadExiting> {
        table::seat(&self.storage, || SharedSeat::new(&self.registry, &self.storage.generation))
    }

    /// This thread's seat, if it has one.
    fn existing_seat(&self) -> Option<Rc<SharedSeat<T>>> {
        table::existing_seat(&self.storage)
    }

    #[inline]
    pub(crate) fn with<R, F: FnOnce(&mut T) -> R>(
        &self,
        seat: &SharedSeat<T>,
        f: F,
    ) -> Result<R, Missed<F, E>> {
        match seat.hit(&self.retirement, f) {
            Hit::Used(result) => Ok(result),
            Hit::Vacant(f) => seat.with_new(&self.retirement, &*self.make, f),
            Hit::Inside(f) => Err(Missed::Inside(f)),
        }
    }
}

/// An adapter of one call, retired at its end however that comes.
struct OneOff<'a, T> {
    adapter: Option<T>,
    retirement: &'a Retirement<T>,
}

impl<T> Drop for OneOff<'_, T> {
    fn drop(&mut self) {
        self.retirement.retire_all(self.adapter.take());
    }
}

/// A look at a slot by whoever goes through all of them. However it ends, a broken adapter is ended,
/// and one that was invalidated meanwhile.
struct Look<'a, T: Send + 'static, E: 'static> {
    /// Until its drop.
    adapter: Option<Guard<'a, T>>,
    slot: &'a Slot<T>,
    seat: Option<&'a SharedSeat<T>>,
    shared: &'a Shared<T, E>,
}

impl<T: Send + 'static, E: 'static> Drop for Look<'_, T, E> {
    fn drop(&mut self) {
        let passed_over = self.adapter.take().is_some_and(|guard| self.slot.end_look(guard));
        if passed_over || std::thread::panicking() {
            self.shared.end_if_stale(self.slot, self.seat);
        }
    }
}

impl<T, E> Drop for Shared<T, E> {
    fn drop(&mut self) {
        self.retirement.retire_all(self.registry.close());
    }
}

impl<T, E> Clone for PerThread<T, E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, E> fmt::Debug for PerThread<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerThread")
            .field("live", &self.shared.registry.live())
            .field("seats", &self.shared.registry.seats())
            .finish_non_exhaustive()
    }
}

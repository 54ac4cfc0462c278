//! `PerThreadLocal`: adapters of any type, each of which never leaves its thread.

use std::fmt;
use std::rc::Rc;

use crate::door::Hit;
use crate::error::{ThreadExiting, UseError};
use crate::per_thread::Make;
use crate::pinned_seat::PinnedSeat;
use crate::storage::Storage;
use crate::sync::{Arc, AtomicUsize, Ordering};
use crate::table;

/// One adapter a thread, built at its first use there, of any type: it need not be `Send`, since it
/// is built, used and dropped on its own thread.
///
/// Cloning gives another handle to the same adapters. Handles are `Send + Sync` whatever the adapter
/// is. Where the owner has to reach the adapters, there is [`PerThread`](crate::PerThread).
///
/// # When an adapter is dropped
/// On its own thread, at the first of these: [`discard`](Self::discard); the next use after an
/// [`invalidate`](Self::invalidate); the thread's end, or its [`leave`](crate::leave); once the last
/// handle is gone, the next time that the thread builds any adapter of any storage or calls
/// [`sweep`](crate::sweep). The old one is always dropped before the new one is built.
///
/// # Pitfalls
/// - An adapter that owns a handle of its own storage keeps it alive: both leak until the thread ends.
/// - The main thread's adapter may never be dropped, nor those of threads that outlive the process's
///   end.
/// - A panic in an adapter's `Drop` while its thread ends aborts the process.
/// - [`std::thread::scope`] may return before its threads' adapters are dropped: join the threads
///   explicitly, or let them call [`leave`](crate::leave).
pub struct PerThreadLocal<T: 'static, E> {
    shared: Arc<Shared<T, E>>,
}

struct Shared<T, E> {
    storage: Storage,
    live: Arc<AtomicUsize>,
    make: Box<Make<T, E>>,
}

impl<T: 'static, E: 'static> PerThreadLocal<T, E> {
    /// A storage whose adapters `make` builds, each on the thread that uses it.
    ///
    /// `make` runs inside the first `with` of each thread and after every invalidation. Where it
    /// fails nothing is left behind, and the next use tries again.
    pub fn new(make: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> Self {
        Self {
            shared: Arc::new(Shared {
                storage: Storage::new(),
                live: Arc::new(AtomicUsize::new(0)),
                make: Box::new(make),
            }),
        }
    }

    /// Runs `f` on this thread's adapter, building it first where there is none.
    ///
    /// Every call that starts after an [`invalidate`](Self::invalidate) returned uses an adapter that
    /// was built after it. Never blocks.
    ///
    /// # Errors
    /// [`Make`](UseError::Make) if building failed; [`Reentry`](UseError::Reentry) inside a `with` of
    /// the same storage, `make` included; [`ThreadExiting`](UseError::ThreadExiting) once this
    /// thread's thread-local values are gone.
    ///
    /// # Panics
    /// Passes a panic of `make` or `f` on; the adapter is then discarded.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, UseError<E>> {
        let seat = self.shared.seat()?;
        match seat.hit(f) {
            Hit::Used(result) => Ok(result),
            Hit::Vacant(f) => seat.with_new(&*self.shared.make, f),
            Hit::Inside(_) => Err(UseError::Reentry),
        }
    }

    /// As [`with`](Self::with), but inside a `with` of the same storage on a one-off adapter, built
    /// and dropped for this call.
    ///
    /// For closures that may run nested without knowing: a work-stealing pool such as rayon runs
    /// another job inside a job that waits.
    ///
    /// # Errors
    /// As [`with`](Self::with), less [`Reentry`](UseError::Reentry).
    pub fn with_or_temp<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, UseError<E>> {
        let seat = self.shared.seat()?;
        if !seat.is_busy() {
            return seat.with(&*self.shared.make, f);
        }
        let mut one_off = (self.shared.make)().map_err(UseError::Make)?;
        Ok(f(&mut one_off))
    }

    /// A handle for a loop on this thread: the look-up is done once, at its first use.
    pub fn local(&self) -> PinnedLocal<T, E> {
        PinnedLocal { storage: self.clone(), seat: None }
    }

    /// Makes every adapter built so far stale: each thread drops its own and builds a new one at its
    /// next use.
    ///
    /// What the caller wrote before, new credentials for instance, is seen by every `make` that
    /// follows. Does not block. Allowed inside a `with`, where it spares the adapter in hand.
    pub fn invalidate(&self) {
        self.shared.storage.generation.advance();
    }

    /// Ends this thread's adapter: its next use builds a new one. Inside a `with` (a client found
    /// broken mid-call) it happens when that returns.
    pub fn discard(&self) {
        if let Some(seat) = table::existing_seat::<PinnedSeat<T>>(&self.shared.storage) {
            seat.discard();
        }
    }

    /// How many adapters are alive on all threads, stale ones that wait for their thread's next use
    /// included, one-off ones not. Counts every adapter whose `with` is known to have returned; a
    /// moment later it may be another number.
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

impl<T: 'static, E> Shared<T, E> {
    #[inline]
    fn seat(&self) -> Result<Rc<PinnedSeat<T>>, ThreadExiting> {
        table::seat(&self.storage, || PinnedSeat::new(&self.storage.generation, &self.live))
    }
}

impl<T, E> Clone for PerThreadLocal<T, E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, E> fmt::Debug for PerThreadLocal<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: Relaxed; a figure for people.
        let live = self.shared.live.load(Ordering::Relaxed);
        f.debug_struct("PerThreadLocal").field("live", &live).finish_non_exhaustive()
    }
}

/// This thread's adapter of a [`PerThreadLocal`], from [`PerThreadLocal::local`]: the same promises
/// as [`PerThreadLocal::with`], without looking into the thread's table at each use.
///
/// Stays on its thread (not `Send`), and is a handle: the storage lives as long as it does.
pub struct PinnedLocal<T: 'static, E> {
    storage: PerThreadLocal<T, E>,
    seat: Option<Rc<PinnedSeat<T>>>,
}

impl<T: 'static, E: 'static> PinnedLocal<T, E> {
    /// As [`PerThreadLocal::with`].
    ///
    /// # Errors
    /// As [`PerThreadLocal::with`].
    ///
    /// # Panics
    /// As [`PerThreadLocal::with`].
    #[inline]
    pub fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> Result<R, UseError<E>> {
        let f = match &self.seat {
            Some(seat) => match seat.hit(f) {
                Hit::Used(result) => return Ok(result),
                Hit::Vacant(f) => f,
                Hit::Inside(_) => return Err(UseError::Reentry),
            },
            None => f,
        };
        self.with_new(f)
    }

    /// As `with`, where the seat that was known, if any, has no current adapter: perhaps because its
    /// thread has left it.
    #[cold]
    fn with_new<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> Result<R, UseError<E>> {
        let seat = match &mut self.seat {
            Some(seat) if !seat.door().is_closed() => seat,
            seat => seat.insert(self.storage.shared.seat()?),
        };
        seat.with(&*self.storage.shared.make, f)
    }
}

impl<T, E> fmt::Debug for PinnedLocal<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PinnedLocal").field(&self.storage).finish()
    }
}

//! A loop's handle to its thread's adapter: the look-up is done once.

use std::fmt;
use std::rc::Rc;

use crate::door::Hit;
use crate::error::UseError;
use crate::per_thread::PerThread;
use crate::seat::SharedSeat;

/// This thread's adapter of a [`PerThread`], from [`PerThread::local`]: the same promises as
/// [`PerThread::with`], without looking into the thread's table at each use.
///
/// Stays on its thread (not `Send`), and is a handle: the storage lives as long as it does.
pub struct Local<T: 'static, E> {
    storage: PerThread<T, E>,
    seat: Option<Rc<SharedSeat<T>>>,
}

impl<T: Send + 'static, E: 'static> Local<T, E> {
    pub(crate) fn new(storage: PerThread<T, E>) -> Self {
        Self { storage, seat: None }
    }

    /// As [`PerThread::with`].
    ///
    /// # Errors
    /// As [`PerThread::with`].
    ///
    /// # Panics
    /// As [`PerThread::with`].
    #[inline]
    pub fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> Result<R, UseError<E>> {
        let f = match &self.seat {
            Some(seat) => match seat.hit(&self.storage.shared.retirement, f) {
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
        Ok(self.storage.shared.with(seat, f)?)
    }
}

impl<T, E> fmt::Debug for Local<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Local").field(&self.storage).finish()
    }
}

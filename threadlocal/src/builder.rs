//! A `PerThread` with a say in how its adapters end.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::per_thread::PerThread;
use crate::registry::Retirement;

/// Settings of a [`PerThread`], from [`PerThread::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct PerThreadBuilder<T, E> {
    retirement: Retirement<T>,
    error: PhantomData<fn() -> E>,
}

impl<T: Send + 'static, E: 'static> PerThreadBuilder<T, E> {
    pub(crate) fn new() -> Self {
        Self { retirement: Retirement { on_retire: None, keep: false }, error: PhantomData }
    }

    /// Calls `on_retire` with every adapter at its end, once, in place of a plain drop: to flush it,
    /// to log out, to sum.
    ///
    /// It runs on the thread that ends the adapter (see [`PerThread`], "When an adapter is dropped"),
    /// with nothing locked, and also for an adapter whose user panicked. Adapters handed over by
    /// [`drain`](PerThread::drain) are their new owner's and do not come here. A panic in it at a
    /// thread's end, or while another panic unwinds, aborts the process.
    pub fn on_retire(mut self, on_retire: impl Fn(T) + Send + Sync + 'static) -> Self {
        self.retirement.on_retire = Some(Arc::new(on_retire));
        self
    }

    /// Keeps the adapters of threads that have ended until [`drain`](PerThread::drain) collects them
    /// or the last handle goes.
    ///
    /// Memory then grows with every thread that ends, until it is drained.
    pub fn keep_retired(mut self) -> Self {
        self.retirement.keep = true;
        self
    }

    /// The storage; `make` as in [`PerThread::new`].
    pub fn build(self, make: impl Fn() -> Result<T, E> + Send + Sync + 'static) -> PerThread<T, E> {
        PerThread::from_parts(Box::new(make), self.retirement)
    }
}

impl<T, E> fmt::Debug for PerThreadBuilder<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerThreadBuilder")
            .field("on_retire", &self.retirement.on_retire.is_some())
            .field("keep_retired", &self.retirement.keep)
            .finish_non_exhaustive()
    }
}

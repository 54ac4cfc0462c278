//! A handle that ends a run in order: nothing new starts, what is in flight is recorded.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Ends a run from anywhere: another thread, a signal handler's thread, a test. Clones share it.
///
/// ```
/// let stop = pipeline::Stop::new();
/// let for_the_signal = stop.clone();
/// for_the_signal.stop();
/// assert!(stop.is_stopped());
/// ```
#[derive(Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stopped: AtomicBool,
    listeners: Mutex<Vec<Weak<dyn OnStop>>>,
}

/// Somebody who must be woken when the run stops.
pub(crate) trait OnStop: Send + Sync {
    fn on_stop(&self);
}

impl Stop {
    /// A handle that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to end: steps in flight finish and are recorded, nothing else starts. Does not
    /// block. Asking twice changes nothing.
    pub fn stop(&self) {
        // ORDERING: Release pairs with the Acquire in `is_stopped`: who sees the stop sees what its
        // caller did before.
        self.0.stopped.store(true, Ordering::Release);
        // Poisoned only if a listener's clone panicked: the list itself is whole.
        let listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            listener.on_stop();
        }
    }

    /// Whether somebody asked.
    pub fn is_stopped(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `stop`.
        self.0.stopped.load(Ordering::Acquire)
    }

    /// Calls the listener when the run is stopped, at once if it is.
    pub(crate) fn tell(&self, listener: &Arc<dyn OnStop>) {
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(listener));
        drop(listeners);
        // A stop between its store and its look at the list is seen here; one before its store
        // finds the list. Either way somebody calls; twice does no harm.
        if self.is_stopped() {
            listener.on_stop();
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("stopped", &self.is_stopped()).finish_non_exhaustive()
    }
}

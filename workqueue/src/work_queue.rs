//! A queue with workers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::locks::Patience;
use crate::shared::Shared;
use crate::state::State;
use crate::sync::{self, mutant};
use crate::{
    Builder, Completed, JoinError, Ordered, Pending, Report, Stats, SubmitAllError, SubmitError,
    Ticket,
};

/// A queue of tasks and the threads that run them.
///
/// Share it by reference or in an `Arc`; every call may come from any thread. Dropping it closes it
/// and waits for its workers (on one of its own workers it only closes).
pub struct WorkQueue<T, R> {
    shared: Arc<Shared<T, R>>,
}

impl WorkQueue<(), ()> {
    /// Settings for a new queue. The types of tasks and results come from
    /// [`start`](Builder::start).
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl<T, R> WorkQueue<T, R> {
    pub(crate) const fn new(shared: Arc<Shared<T, R>>) -> Self {
        Self { shared }
    }

    /// Submits a task; waits while the queue is full. `Ok` means that it is ordered before any `close`,
    /// and then it runs unless the queue is cancelled.
    ///
    /// Inside a task of this very queue use [`Context::spawn`](crate::Context::spawn), which never
    /// waits: workers that all wait for room wait for ever.
    ///
    /// # Errors
    /// [`Closed`](SubmitError::Closed), [`Cancelled`](SubmitError::Cancelled) or
    /// [`Dead`](SubmitError::Dead) hand the task back, also to a producer that was waiting.
    pub fn submit(&self, task: T) -> Result<Ticket, SubmitError<T>> {
        self.shared.put(task, Patience::Forever)
    }

    /// Submits a task if there is room now. Never waits, except for the lock.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), or [`SubmitError::Full`].
    pub fn try_submit(&self, task: T) -> Result<Ticket, SubmitError<T>> {
        self.shared.put(task, Patience::None)
    }

    /// Submits a task; waits for room no longer than `timeout`.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), or [`SubmitError::Full`].
    pub fn submit_timeout(&self, task: T, timeout: Duration) -> Result<Ticket, SubmitError<T>> {
        self.shared.put(task, Patience::of(timeout))
    }

    /// Submits all tasks, in order, many at a time; waits while the queue is full. Gives how many.
    ///
    /// # Errors
    /// When the queue takes no more: how many were accepted, and all others, those included that the
    /// iterator had yet to give (so that it must not be endless).
    pub fn submit_all(
        &self,
        tasks: impl IntoIterator<Item = T>,
    ) -> Result<usize, SubmitAllError<T>> {
        self.shared.put_iter(tasks)
    }

    /// Waits until everything accepted before is done, and whatever those tasks spawned; what they did
    /// is visible then. The queue stays open.
    ///
    /// # Errors
    /// [`JoinError::InsideWorker`] instead of a deadlock; [`JoinError::Dead`] when no worker is left.
    pub fn join(&self) -> Result<(), JoinError> {
        self.shared.join(Patience::Forever, Duration::ZERO)
    }

    /// As [`join`](Self::join), no longer than `timeout`.
    ///
    /// # Errors
    /// As [`join`](Self::join), or [`JoinError::Timeout`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.shared.join(Patience::of(timeout), timeout)
    }

    /// The sentinel: everything accepted before it runs, everything after it is refused, and then the
    /// workers end. Does not wait. Harmless when repeated, or after `cancel`.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Stops at once, without waiting: hands back the tasks that have not started, in order. Running
    /// ones go on; they see [`Context::is_cancelled`](crate::Context::is_cancelled), and what they
    /// return still counts. What comes back later (a task that returns [`Again`](crate::Step::Again), a
    /// batch that was not begun) is handed back by the next `cancel` or by the report.
    pub fn cancel(&self) -> Vec<Pending<T>> {
        self.shared.cancel(State::take_returned)
    }

    /// A snapshot of the figures.
    pub fn stats(&self) -> Stats {
        self.shared.lock().stats()
    }

    /// Waits for all tasks, stops the workers, and gives every outcome that nobody took before, in the
    /// order of submission. When it returns, every worker's state has been dropped.
    ///
    /// On one of the queue's own workers it cannot wait: it closes the queue and gives what is there.
    pub fn wait_completion(self) -> Report<T, R> {
        self.finish()
    }

    pub(crate) fn finish(&self) -> Report<T, R> {
        self.shared.close();
        self.shared.await_exit();
        let mut locked = self.shared.lock();
        let pending = locked.take_leftovers();
        let mut outcomes = locked.unread.take_all();
        if mutant("dropped-under-lock") {
            outcomes.clear();
        }
        let stats = locked.stats();
        drop(locked);
        // Stable, for it makes use of runs: each worker ended its own tasks nearly in order.
        outcomes.sort_by_key(crate::Outcome::ticket);
        Report { outcomes, pending, stats }
    }

    pub(crate) fn shared(&self) -> &Shared<T, R> {
        &self.shared
    }
}

impl<T: Send + 'static, R: Send + 'static> WorkQueue<T, R> {
    /// Outcomes as they finish: an iterator that waits for each, and ends when the queue is closed or
    /// cancelled and the last one was taken. Each outcome is taken once, by whoever comes first.
    pub fn completed(&self) -> Completed<R> {
        Completed::new(Arc::clone(&self.shared) as _)
    }

    /// Outcomes in ticket order, streaming: each as soon as no older task can come before it. Panics
    /// have their place; tasks that were handed back, or whose outcome somebody else took, leave no
    /// gap to wait for. Ends as [`completed`](Self::completed) does.
    pub fn ordered(&self) -> Ordered<R> {
        Ordered::new(Arc::clone(&self.shared) as _)
    }
}

impl<T, R> fmt::Debug for WorkQueue<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("WorkQueue")
            .field("phase", &state.phase)
            .field("stats", &state.stats())
            .finish_non_exhaustive()
    }
}

impl<T, R> Drop for WorkQueue<T, R> {
    fn drop(&mut self) {
        if sync::unwinding() {
            return;
        }
        // What nobody took is dropped here, on the thread that gave the queue up, without the lock.
        drop(self.finish());
    }
}

//! The queue alone, for threads of one's own.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::finished::Finished;
use crate::handout::BatchSize;
use crate::locks::Patience;
use crate::shared::Shared;
use crate::state::Limits;
use crate::{JoinError, Pending, SubmitAllError, SubmitError, Ticket};

/// A blocking first-in-first-out queue with `join`, for threads of one's own.
///
/// What `queue.Queue` is to Python: [`get`](Self::get) gives a guard whose drop is `task_done`, also
/// when the thread panics, and [`join`](Self::join) waits until every task that was put is done. After
/// [`close`](Self::close) what was put is still given out, then every `get` returns `None`: that is
/// the sentinel, one for all threads, however many there are.
///
/// ```
/// let queue = workqueue::Queue::bounded(8);
/// let sum = workqueue::Counter::new();
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| while let Some(task) = queue.get() { sum.add(*task); });
///     }
///     queue.put_all(1..=100).unwrap();
///     queue.join(); // all 100 are done, and seen to be
///     assert_eq!(sum.get(), 5050);
///     queue.close();
/// });
/// ```
pub struct Queue<T> {
    shared: Shared<T, ()>,
}

impl<T> Queue<T> {
    /// A queue without a bound.
    #[must_use]
    pub fn new() -> Self {
        Self::bounded(usize::MAX)
    }

    /// A queue in which at most `capacity` tasks wait; a capacity of 0 is taken as 1, since such a
    /// queue could accept nothing.
    #[must_use]
    pub fn bounded(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let limits = Limits { capacity, batch: 1, shares: 1, grows: false, keep: false };
        Self { shared: Shared::new(limits) }
    }

    /// Puts a task; waits while the queue is full. `Ok` means that it comes before any `close`.
    ///
    /// # Errors
    /// [`SubmitError::Closed`] or [`SubmitError::Cancelled`] hand the task back, also to a producer
    /// that was waiting.
    pub fn put(&self, task: T) -> Result<Ticket, SubmitError<T>> {
        self.shared.put(task, Patience::Forever)
    }

    /// Puts a task if there is room now. Never waits, except for the lock.
    ///
    /// # Errors
    /// As [`put`](Self::put), or [`SubmitError::Full`].
    pub fn try_put(&self, task: T) -> Result<Ticket, SubmitError<T>> {
        self.shared.put(task, Patience::None)
    }

    /// Puts a task; waits for room no longer than `timeout`.
    ///
    /// # Errors
    /// As [`put`](Self::put), or [`SubmitError::Full`].
    pub fn put_timeout(&self, task: T, timeout: Duration) -> Result<Ticket, SubmitError<T>> {
        self.shared.put(task, Patience::of(timeout))
    }

    /// Puts all tasks, in order, many at a time; waits while the queue is full. Gives how many.
    ///
    /// # Errors
    /// When the queue is closed or cancelled meanwhile: how many were accepted, and all others, those
    /// included that the iterator had yet to give.
    pub fn put_all(&self, tasks: impl IntoIterator<Item = T>) -> Result<usize, SubmitAllError<T>> {
        self.shared.put_iter(tasks)
    }

    /// Takes the oldest task; waits while there is none. `None` is the sentinel: the queue is closed
    /// and empty, or cancelled.
    pub fn get(&self) -> Option<Taken<'_, T>> {
        let mut batch = VecDeque::new();
        self.shared.next(&mut Finished::new(), &mut batch, BatchSize::ONE);
        let entry = batch.pop_front()?;
        Some(Taken {
            ticket: entry.ticket(),
            task: entry.task,
            done: TaskDone { shared: &self.shared },
        })
    }

    /// Waits until everything that was put before is done; what those tasks did is visible then.
    ///
    /// A thread that holds a [`Taken`] of this queue must not call it: it would wait for itself.
    pub fn join(&self) {
        // Without workers of its own nothing but the last task ends the wait.
        let _ = self.shared.join(Patience::Forever, Duration::ZERO);
    }

    /// As [`join`](Self::join), no longer than `timeout`.
    ///
    /// # Errors
    /// [`JoinError::Timeout`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.shared.join(Patience::of(timeout), timeout)
    }

    /// The sentinel: what was put is given out, nothing more is taken. Harmless when repeated.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Stops at once: hands back the tasks that wait, in order. Every `get` returns `None` from now
    /// on, and every `put` is refused; tasks that were taken are left to those who have them.
    pub fn cancel(&self) -> Vec<Pending<T>> {
        self.shared.cancel(crate::state::State::take_returned)
    }

    /// How many tasks wait.
    pub fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// Whether no task waits. Tasks may still be with those who took them: see [`join`](Self::join).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Queue")
            .field("len", &state.len())
            .field("unfinished", &state.unfinished)
            .field("phase", &state.phase)
            .field("joiner_waits", &state.joiner_waits)
            .finish_non_exhaustive()
    }
}

/// A task that was taken from a [`Queue`]. It is done when this is dropped, also in a panic: the task
/// itself is dropped first, then counted as done.
#[derive(Debug)]
pub struct Taken<'a, T> {
    ticket: Ticket,
    // Before `done`: fields are dropped in order, even when dropping the task panics.
    task: T,
    done: TaskDone<'a, T>,
}

impl<T> Taken<'_, T> {
    /// Its place in the order of acceptance.
    pub const fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The task itself, for good; it is counted as done now.
    pub fn into_task(self) -> T {
        let Self { task, done, .. } = self;
        drop(done);
        task
    }
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.task
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.task
    }
}

/// `task_done`, exactly once.
struct TaskDone<'a, T> {
    shared: &'a Shared<T, ()>,
}

impl<T> fmt::Debug for TaskDone<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskDone")
    }
}

impl<T> Drop for TaskDone<'_, T> {
    fn drop(&mut self) {
        self.shared.task_done();
    }
}

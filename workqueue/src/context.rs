//! What a running task can ask of its queue.

use std::fmt;
use std::sync::Arc;

use crate::shared::Shared;
use crate::{SubmitError, Ticket, WorkerId};

/// A running task's view of its queue; one for each worker.
pub struct Context<T> {
    queue: Arc<dyn Spawn<T>>,
    worker: WorkerId,
}

impl<T> Context<T> {
    pub(crate) fn new(queue: Arc<dyn Spawn<T>>, worker: WorkerId) -> Self {
        Self { queue, worker }
    }

    /// Adds a task to the same queue. Never waits, and takes up no capacity: a task that waited for
    /// room in its own queue could wait for ever. A closed queue still takes it, since what its tasks
    /// give rise to belongs to them; `join` waits for it too.
    ///
    /// # Errors
    /// [`SubmitError::Cancelled`] hands the task back.
    pub fn spawn(&self, task: T) -> Result<Ticket, SubmitError<T>> {
        self.queue.spawn(task)
    }

    /// Whether the queue was cancelled: a long task should look now and then, and return.
    pub fn is_cancelled(&self) -> bool {
        self.queue.is_cancelled()
    }

    /// The worker that runs this task.
    pub const fn worker(&self) -> WorkerId {
        self.worker
    }
}

impl<T> fmt::Debug for Context<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("worker", &self.worker).finish_non_exhaustive()
    }
}

/// A queue without its outcomes' type.
pub(crate) trait Spawn<T>: Send + Sync {
    fn spawn(&self, task: T) -> Result<Ticket, SubmitError<T>>;
    fn is_cancelled(&self) -> bool;
}

impl<T: Send, R: Send> Spawn<T> for Shared<T, R> {
    fn spawn(&self, task: T) -> Result<Ticket, SubmitError<T>> {
        Self::spawn(self, task)
    }

    fn is_cancelled(&self) -> bool {
        Self::is_cancelled(self)
    }
}

//! What can go wrong: one narrow error for each operation.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::WorkerId;

/// Why a task was not accepted; the task comes back inside.
///
/// Its `Debug` and `Display` never print the task, so it is an [`Error`](std::error::Error)
/// whatever the task is.
#[derive(Error)]
#[non_exhaustive]
pub enum SubmitError<T> {
    /// `close` came first.
    #[error("the queue is closed to new tasks: submit before `close`, or start another queue")]
    Closed(T),
    /// `cancel` came first.
    #[error("the queue was cancelled: start another queue for what is left")]
    Cancelled(T),
    /// No worker is left to run it: building the state of each has panicked.
    #[error("every worker of the queue is dead: mend what `init` does, then start another queue")]
    Dead(T),
    /// There was no room, at once or in time.
    #[error("the queue is full: wait with `submit`, or raise its capacity")]
    Full(T),
}

impl<T> SubmitError<T> {
    /// The task that was refused.
    pub fn into_task(self) -> T {
        match self {
            Self::Closed(task) | Self::Cancelled(task) | Self::Dead(task) | Self::Full(task) => {
                task
            }
        }
    }

    /// What was wrong, without the task.
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::Closed(_) => Refusal::Closed,
            Self::Cancelled(_) => Refusal::Cancelled,
            Self::Dead(_) => Refusal::Dead,
            Self::Full(_) => Refusal::Full,
        }
    }
}

impl<T> fmt::Debug for SubmitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(..)", self.refusal())
    }
}

/// Why a queue takes nothing more: [`SubmitError`] without the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// `close` came first.
    #[error("it is closed")]
    Closed,
    /// `cancel` came first.
    #[error("it was cancelled")]
    Cancelled,
    /// No worker is left.
    #[error("its workers are dead")]
    Dead,
    /// There is no room.
    #[error("it is full")]
    Full,
}

impl Refusal {
    pub(crate) fn of<T>(self, task: T) -> SubmitError<T> {
        match self {
            Self::Closed => SubmitError::Closed(task),
            Self::Cancelled => SubmitError::Cancelled(task),
            Self::Dead => SubmitError::Dead(task),
            Self::Full => SubmitError::Full(task),
        }
    }
}

/// Some of many tasks were not accepted; they come back inside, in order.
#[derive(Error)]
#[error(
    "{accepted} tasks accepted, {} handed back, for the queue takes no more: {refusal}",
    .rest.len()
)]
#[non_exhaustive]
pub struct SubmitAllError<T> {
    /// How many were accepted before.
    pub accepted: usize,
    /// Those that were not, in order: the rest of the iterator is in here too.
    pub rest: Vec<T>,
    /// Why.
    #[source]
    pub refusal: Refusal,
}

impl<T> fmt::Debug for SubmitAllError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitAllError")
            .field("accepted", &self.accepted)
            .field("rest", &self.rest.len())
            .field("refusal", &self.refusal)
            .finish()
    }
}

/// Why waiting for all tasks ended without them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// A worker of this very queue asked: it would wait for itself.
    #[error("join was called inside a worker of the same queue: its own task would never be done")]
    InsideWorker,
    /// Time was up.
    #[error("{unfinished} tasks were not done after {waited:?}: wait longer, or cancel")]
    Timeout {
        /// Tasks that were not done then.
        unfinished: usize,
        /// How long `join_timeout` was to wait.
        waited: Duration,
    },
    /// No worker is left; the tasks can be had back by `cancel`.
    #[error(
        "{unfinished} tasks cannot be done, for no worker is left; building the state of worker \
         {worker} panicked: {message}"
    )]
    Dead {
        /// Tasks that are left.
        unfinished: usize,
        /// The last worker to die.
        worker: WorkerId,
        /// What its panic said.
        message: String,
    },
}

/// Why a queue did not start.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// `workers(0)`.
    #[error("a queue with 0 workers would run nothing: ask for at least 1")]
    NoWorkers,
    /// `capacity(0)`.
    #[error("a queue with capacity 0 would accept nothing: ask for at least 1, or set none")]
    NoCapacity,
    /// `batch(0)`.
    #[error("a worker that takes 0 tasks at a time would run nothing: ask for at least 1")]
    NoBatch,
    /// The system cannot have such a thread name.
    #[error("the name {name:?} holds a NUL byte, which no thread's name can: leave it out")]
    Name {
        /// The name as it was given.
        name: String,
    },
    /// The system gave no more threads.
    #[error("no thread for worker {worker} of {workers}: ask for fewer workers ({message})")]
    Spawn {
        /// The worker that got none.
        worker: WorkerId,
        /// How many were asked for.
        workers: usize,
        /// What the system said.
        message: String,
    },
}

//! What becomes of a task.

use std::time::Duration;

use crate::{PanicReport, Pending, Stats, Ticket, WorkerId};

/// What a run of a task gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T, R> {
    /// It is done, with this result.
    Done(R),
    /// It comes back, under the same ticket, after a delay. No worker waits for it; it stays
    /// unfinished, so `join` and a closed queue do. It takes up no capacity.
    Again(T, Duration),
}

impl<T, R> From<R> for Step<T, R> {
    fn from(value: R) -> Self {
        Self::Done(value)
    }
}

/// How a task ended.
#[derive(Debug)]
pub enum Outcome<R> {
    /// It returned.
    Done {
        /// Its ticket.
        ticket: Ticket,
        /// The worker that ran it (last).
        worker: WorkerId,
        /// How long its (last) run took; of tasks taken in a batch, their mean.
        elapsed: Duration,
        /// What it returned.
        value: R,
    },
    /// It panicked.
    Panicked(PanicReport),
}

impl<R> Outcome<R> {
    /// The task's ticket.
    pub const fn ticket(&self) -> Ticket {
        match self {
            Self::Done { ticket, .. } => *ticket,
            Self::Panicked(report) => report.ticket(),
        }
    }

    /// The worker that ran the task.
    pub const fn worker(&self) -> WorkerId {
        match self {
            Self::Done { worker, .. } => *worker,
            Self::Panicked(report) => report.worker(),
        }
    }

    /// The value, or the panic as an error.
    ///
    /// # Errors
    /// The [`PanicReport`] of a task that panicked.
    pub fn into_result(self) -> Result<R, PanicReport> {
        match self {
            Self::Done { value, .. } => Ok(value),
            Self::Panicked(report) => Err(report),
        }
    }
}

/// All that is left of a queue after its last task: outcomes, tasks handed back, figures.
#[derive(Debug)]
pub struct Report<T, R> {
    pub(crate) outcomes: Vec<Outcome<R>>,
    pub(crate) pending: Vec<Pending<T>>,
    pub(crate) stats: Stats,
}

impl<T, R> Report<T, R> {
    /// How many outcomes it holds: those that nobody took before.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether it holds no outcome.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// The outcomes in the order of submission.
    pub fn iter(&self) -> std::slice::Iter<'_, Outcome<R>> {
        self.outcomes.iter()
    }

    /// Tasks that were accepted, never completed, and not handed back before; in order.
    pub fn pending(&self) -> &[Pending<T>] {
        &self.pending
    }

    /// Those tasks themselves.
    pub fn into_pending(self) -> Vec<Pending<T>> {
        self.pending
    }

    /// The queue's figures at the end.
    pub const fn stats(&self) -> Stats {
        self.stats
    }
}

impl<T, R> IntoIterator for Report<T, R> {
    type Item = Outcome<R>;
    type IntoIter = std::vec::IntoIter<Outcome<R>>;

    fn into_iter(self) -> Self::IntoIter {
        self.outcomes.into_iter()
    }
}

impl<'a, T, R> IntoIterator for &'a Report<T, R> {
    type Item = &'a Outcome<R>;
    type IntoIter = std::slice::Iter<'a, Outcome<R>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

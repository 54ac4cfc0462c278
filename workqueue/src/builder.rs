//! How a queue is set up and started.

use std::num::NonZero;
use std::sync::Arc;

use crate::shared::Shared;
use crate::state::Limits;
use crate::worker::{self, Job};
use crate::{BuildError, Context, OnPanic, Step, WorkQueue, WorkerId, panic, sync};

/// How a [`WorkQueue`] is to be: made by [`WorkQueue::builder`], used up by [`start`](Self::start).
#[derive(Debug, Clone)]
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    workers: usize,
    name: String,
    capacity: Option<usize>,
    batch: usize,
    keep: bool,
    on_panic: OnPanic,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, NonZero::get),
            name: "worker".to_owned(),
            capacity: None,
            batch: 1,
            keep: true,
            on_panic: OnPanic::Report,
        }
    }

    /// How many threads run tasks, from start to end. Default: as many as the machine runs at once.
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// The workers' threads are called `<name>-0`, `<name>-1`, … Default: `worker`. (Linux shows the
    /// first 15 bytes.)
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many submitted tasks may wait; a producer that finds no room waits until half of it is
    /// free. Default: no bound. What tasks spawn and what comes back does not count.
    pub const fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// Lets a worker take up to `max` tasks at once; default: 1. For tiny tasks that do not wait for
    /// each other. Going by its last batch, a worker takes no more than take 50 µs together, and half of
    /// its share of what waits or as many as take 2 µs, for to wake another takes longer. **Never** where a task may wait for another one: that one
    /// could be behind it in the same batch.
    pub const fn batch(mut self, max: usize) -> Self {
        self.batch = max;
        self
    }

    /// Counts outcomes and keeps none: values are dropped by the worker that made them, panics are
    /// logged and counted. Without it outcomes wait, unread, until somebody takes them.
    pub const fn discard_outcomes(mut self) -> Self {
        self.keep = false;
        self
    }

    /// What to do when a task panics. Default: [`OnPanic::Report`].
    pub const fn on_panic(mut self, on_panic: OnPanic) -> Self {
        self.on_panic = on_panic;
        self
    }

    /// Starts the workers; each calls `run` with one task after another.
    ///
    /// # Errors
    /// [`BuildError`] for settings that make no sense, and when the system has no thread to give; the
    /// workers that did start are stopped again.
    pub fn start<T, R>(
        self,
        run: impl Fn(T) -> R + Send + Sync + 'static,
    ) -> Result<WorkQueue<T, R>, BuildError>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        self.start_with(|_| (), move |(), task, _| Step::Done(run(task)))
    }

    /// Starts the workers, each with a state of its own: `init` builds it on the worker's thread, which
    /// keeps it to its end, so it need not be `Send`. After a task panicked the state may be half
    /// changed: it is dropped and built anew.
    ///
    /// If `init` panics the worker is dead. When the last one is, tasks are refused as
    /// [`Dead`](crate::SubmitError::Dead), and `join` says why.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with<T, R, S>(
        self,
        init: impl Fn(WorkerId) -> S + Send + Sync + 'static,
        run: impl Fn(&mut S, T, &Context<T>) -> Step<T, R> + Send + Sync + 'static,
    ) -> Result<WorkQueue<T, R>, BuildError>
    where
        T: Send + 'static,
        R: Send + 'static,
        S: 'static,
    {
        let shared = Arc::new(Shared::new(self.limits()?));
        let job = Arc::new(Job { init, run, on_panic: self.on_panic });
        for index in 0..self.workers {
            let worker = WorkerId(index);
            shared.lock().workers += 1;
            let (theirs, job) = (Arc::clone(&shared), Arc::clone(&job));
            let body = move || worker::work(&theirs, job, worker);
            if let Err(payload) = sync::spawn(format!("{}-{index}", self.name), body) {
                shared.lock().workers -= 1;
                shared.cancel(|_| ());
                shared.await_exit();
                let message = panic::message(payload.as_ref());
                return Err(BuildError::Spawn { worker, workers: self.workers, message });
            }
        }
        Ok(WorkQueue::new(shared))
    }

    /// A stream gives its outcomes to somebody, so it keeps them.
    pub(crate) const fn keep_outcomes(mut self) -> Self {
        self.keep = true;
        self
    }

    /// The bound on what is *live* in a stream: the capacity, or enough to keep the workers busy.
    pub(crate) fn live_limit(&self) -> usize {
        let busy = self.workers.saturating_mul(self.batch.saturating_mul(2).saturating_add(2));
        self.capacity.unwrap_or(busy).max(1)
    }

    fn limits(&self) -> Result<Limits, BuildError> {
        if self.workers == 0 {
            return Err(BuildError::NoWorkers);
        }
        if self.capacity == Some(0) {
            return Err(BuildError::NoCapacity);
        }
        if self.batch == 0 {
            return Err(BuildError::NoBatch);
        }
        if self.name.contains('\0') {
            return Err(BuildError::Name { name: self.name.clone() });
        }
        Ok(Limits {
            capacity: self.capacity.unwrap_or(usize::MAX),
            batch: self.batch,
            shares: self.workers.saturating_mul(2),
            grows: true,
            keep: self.keep,
        })
    }
}

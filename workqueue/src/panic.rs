//! A panic, caught and reported.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

use crate::{Ticket, WorkerId};

pub(crate) type Payload = Box<dyn Any + Send>;

/// What to do when a task panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnPanic {
    /// Report it as an outcome and go on with the other tasks.
    #[default]
    Report,
    /// Report it and cancel the queue: what has not started is handed back by the report.
    CancelAll,
}

/// A task panicked: which, where, and what it said.
pub struct PanicReport {
    /// The task that panicked.
    pub ticket: Ticket,
    /// The worker that ran it.
    pub worker: WorkerId,
    /// Behind a pointer, so that an outcome is not as large as its rarest kind.
    told: Box<Told>,
}

struct Told {
    message: String,
    location: Option<String>,
    /// Behind a lock only to be `Sync`: a payload need not be. Never contended.
    payload: Mutex<Payload>,
}

impl PanicReport {
    pub(crate) fn new(ticket: Ticket, worker: WorkerId, payload: Payload) -> Self {
        let (message, location) = (message(payload.as_ref()), take_location());
        let payload = Mutex::new(payload);
        Self { ticket, worker, told: Box::new(Told { message, location, payload }) }
    }

    /// The task that panicked.
    pub const fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The worker that ran it.
    pub const fn worker(&self) -> WorkerId {
        self.worker
    }

    /// What the panic said; for a payload that is not text, that it was not.
    pub fn message(&self) -> &str {
        &self.told.message
    }

    /// Where it panicked, as `file:line:column`. `None` when somebody replaced the panic hook without
    /// calling the one before, or when it was raised by `resume_unwind`, which calls none.
    pub fn location(&self) -> Option<&str> {
        self.told.location.as_deref()
    }

    /// The payload, fit for [`std::panic::resume_unwind`].
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.told.payload.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PanicReport")
            .field("ticket", &self.ticket)
            .field("worker", &self.worker)
            .field("message", &self.told.message)
            .field("location", &self.told.location)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} panicked on worker {}", self.ticket, self.worker)?;
        if let Some(location) = &self.told.location {
            write!(f, " at {location}")?;
        }
        write!(f, ": {}", self.told.message)
    }
}

impl std::error::Error for PanicReport {}

/// The text of a payload.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a payload that is not text".to_owned()
    }
}

/// Runs user code that may panic.
pub(crate) fn catch<R>(run: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(run))
}

/// Drops a user's value. A `Drop` that panics must not take a worker down; the payload of that panic
/// may have such a `Drop` itself, so the last one is leaked.
pub(crate) fn discard<V>(value: V) {
    if let Err(payload) = catch(|| drop(value))
        && let Err(worse) = catch(|| drop(payload))
    {
        std::mem::forget(worse);
    }
}

thread_local! {
    /// Whether this thread is a worker.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
    /// Where this worker last panicked.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes this thread remember where it panics.
///
/// Only a panic hook is told the place, so the first worker of the process puts one before whatever
/// hook there is; it calls that one in every case.
pub(crate) fn remember_locations() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Elsewhere than on a worker, or in the last moments of a thread: nothing to keep.
            if IS_WORKER.try_with(Cell::get) == Ok(true) {
                let place = info.location().map(ToString::to_string);
                let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = place));
            }
            before(info);
        }));
    });
    IS_WORKER.set(true);
}

fn take_location() -> Option<String> {
    LAST.take()
}

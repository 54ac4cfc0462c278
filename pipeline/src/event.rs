//! What happens in a run, for those who watch it.

use std::time::Duration;

use crate::report::End;

/// One thing that happened. Told on the thread where it happened, in the order of each thread; of
/// one step, in the order of its life.
#[derive(Clone, Debug)]
#[allow(dead_code)] // whoever watches takes what it needs
pub(crate) enum Event<'e> {
    /// The run has its lock and its checkpoint; nothing has run yet. The stages are those that the
    /// target needs, in an order in which each stands behind those that it needs.
    Began { stages: &'e [&'e str] },
    /// A fan-out gave an item, and with it that many steps to come, by stage.
    Opened { fan_out: &'e str, stages: &'e [usize] },
    /// A fan-out inside one item (or the run) has no more items.
    Closed { fan_out: &'e str },
    /// A step's result was there already.
    Reused { stage: usize, item: &'e str },
    /// A step became ready and waits for a worker.
    Queued { stage: usize, item: &'e str },
    /// A step has its permit, and its call begins.
    Started { stage: usize, item: &'e str, worker: usize, attempt: u32, waited: Duration },
    /// A step will be tried again.
    Again { stage: usize, item: &'e str, attempt: u32, pause: Duration, cause: &'e str },
    /// The stage's service has no capacity: its limiter pauses.
    RateLimited { stage: usize, item: &'e str, pause: Duration },
    /// A step's result is recorded.
    Done { stage: usize, item: &'e str, worker: usize, took: Duration, spent_usd: f64 },
    /// A step failed for good in this run.
    Failed { stage: usize, item: &'e str, attempts: u32, cause: &'e str },
    /// A step is left for another run: it was not asked for.
    Left { stage: usize, item: &'e str },
    /// A step cannot run, for something that it needs failed.
    Blocked { stage: usize, item: &'e str },
    /// The run is over.
    Ended { end: &'e End },
}

//! Runs a graph: one queue a stage, items pulled as there is room, steps recorded as they finish.
//!
//! An item's way through: [`feed`] pulls it from its source and seeds the store; the store says
//! which steps became ready; [`drive`](Engine::drive) looks each up in the records and hands those
//! that are not there to their stage's queue; [`attempt`] takes a permit, calls, and records; the
//! store says which steps became ready by that, and so on. Nothing goes the other way.

mod attempt;
mod ending;
mod feed;
mod gather;
mod retry;
mod run;
mod tally;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ratelimit::Cancel;
use workqueue::WorkQueue;

use self::ending::{Ending, Endings};
use self::retry::Capacity;
pub(crate) use self::run::run;
#[cfg(feature = "cli")]
pub(crate) use self::run::settle_options;
use self::tally::Tally;
use crate::digest::Digest;
use crate::error::RunError;
use crate::event::Event;
use crate::graph::StageDef;
use crate::index::{Change, Ready};
use crate::name::Item;
use crate::options::{Admit, Halt, Observe};
use crate::plan::Plan;
use crate::record::Tried;
use crate::stop::OnStop;
use crate::store::{Cached, Miss, StepId, StepName, Store};

/// A run in this process.
pub(crate) struct Engine {
    pipeline: String,
    run: String,
    run_dir: PathBuf,
    stages: Vec<StageDef>,
    plan: Arc<Plan>,
    store: Arc<dyn Store>,
    tally: Tally,
    /// By stage: how long its service has had no capacity.
    capacity: Vec<Capacity>,
    /// Ends every wait for a permit when the run ends.
    cancel: Cancel,
    halt: Option<Halt>,
    /// The grace time is over: what comes back now is discarded.
    abandoned: AtomicBool,
    observe: Option<Observe>,
    admit: Option<Admit>,
    /// By stage; filled once before anything runs, emptied at the end.
    queues: RwLock<Vec<Option<Queue>>>,
    endings: Endings,
}

type Queue = WorkQueue<Task, ()>;

/// A step on its way through its stage's queue.
pub(crate) struct Task {
    id: StepId,
    item: Item,
    key: Digest,
    /// The idempotency key.
    call: String,
    inputs: Vec<Digest>,
    miss: Miss,
    /// Attempts that failed.
    failed: u32,
    panicked: bool,
    /// Answers for want of capacity in a row.
    limited: u32,
    /// Calls that came back without a result, the last few.
    tried: Vec<Tried>,
    spent_usd: f64,
}

impl Task {
    fn new(ready: Ready, key: Digest, call: String, miss: Miss) -> Self {
        Task {
            id: StepId { stage: ready.stage, at: ready.at },
            item: ready.item,
            key,
            call,
            inputs: ready.inputs,
            miss,
            failed: 0,
            panicked: false,
            limited: 0,
            tried: Vec::new(),
            spent_usd: 0.0,
        }
    }
}

impl Engine {
    /// Takes steps that became ready as far as it goes without calling anything: those whose
    /// results are recorded are done at once, which may make others ready; the rest goes to their
    /// queues.
    fn drive(&self, change: Change) {
        let mut todo = self.tell_blocked(change);
        while let Some(ready) = todo.pop() {
            if self.is_ending() {
                return;
            }
            let stage = &self.stages[ready.stage];
            let name = StepName { stage: &stage.name, item: &ready.item };
            let key = cache_key(&stage.name, stage.settings.version, &ready.inputs);
            let call = || idempotency_key(&self.pipeline, &self.run, name, &key);
            match self.store.cached(name, &key, &call) {
                Ok(Cached::Hit { hash }) => {
                    let id = StepId { stage: ready.stage, at: ready.at };
                    self.tally.reused(ready.stage);
                    self.tell(&Event::Reused { stage: ready.stage, item: ready.item.shown() });
                    todo.extend(self.tell_blocked(self.store.reused(id, hash)));
                }
                Ok(Cached::Miss(_)) if !self.admits(&ready) => {
                    let id = StepId { stage: ready.stage, at: ready.at };
                    self.tell(&Event::Left { stage: ready.stage, item: ready.item.shown() });
                    todo.extend(self.tell_blocked(self.store.left(id)));
                }
                Ok(Cached::Miss(miss)) => {
                    self.tell(&Event::Queued { stage: ready.stage, item: ready.item.shown() });
                    let call = call();
                    self.submit(Task::new(ready, key, call, miss));
                }
                Err(error) => self.fail(error),
            }
        }
    }

    fn admits(&self, ready: &Ready) -> bool {
        let stage = &self.stages[ready.stage].name;
        self.admit.as_ref().is_none_or(|admit| admit(stage, &ready.item))
    }

    fn submit(&self, task: Task) {
        // Poisoned only by a panic while the queues were put in place: there would be none.
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(queue)) = queues.get(task.id.stage) {
            // Refused only by a queue that was cancelled, because the run ends: the step runs when
            // the run is continued.
            let _ = queue.submit(task);
        }
    }

    /// Counts the steps that can no longer run; gives those that can.
    fn tell_blocked(&self, change: Change) -> Vec<Ready> {
        for (stage, item) in &change.blocked {
            self.tally.blocked(*stage);
            self.tell(&Event::Blocked { stage: *stage, item: item.shown() });
        }
        change.ready
    }

    fn tell(&self, event: &Event<'_>) {
        log(&self.stages, event);
        if let Some(observe) = &self.observe {
            observe(event);
        }
    }

    /// Ends the run for something that no step is to blame for.
    fn fail(&self, error: RunError) {
        self.end(Ending::Error(error));
    }

    /// Ends the run in order.
    fn give_up(&self, reason: String) {
        self.end(Ending::Halted(reason));
    }

    /// Runs `work`; a panic in it ends the run, where it would leave everybody waiting for a step
    /// that never ends. Steps' own panics do not come here: they are faults.
    fn guard<T>(&self, what: impl Fn() -> String, work: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(work));
        done.map_err(|payload| self.give_up(format!("{} panicked: {}", what(), said(&*payload))))
            .ok()
    }

    fn end(&self, ending: Ending) {
        self.endings.first(ending);
        self.cancel.cancel();
        self.store.end();
    }

    fn is_ending(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn is_abandoned(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `run::wind_up`: who sees it sees that the run
        // is no longer this engine's.
        self.abandoned.load(Ordering::Acquire)
    }
}

impl OnStop for Engine {
    fn on_stop(&self) {
        self.end(Ending::Stopped);
    }
}

/// A panic's message.
fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// What happens, for `tracing`: names, counts and causes, never a value.
fn log(stages: &[StageDef], event: &Event<'_>) {
    let name = |stage: usize| stages[stage].name.as_str();
    match event {
        Event::Again { stage, item, attempt, pause, cause } => {
            tracing::info!(stage = name(*stage), item, attempt, ?pause, cause, "to be tried again");
        }
        Event::RateLimited { stage, item, pause } => {
            tracing::info!(stage = name(*stage), item, ?pause, "no capacity");
        }
        Event::Failed { stage, item, attempts, cause } => {
            tracing::warn!(stage = name(*stage), item, attempts, cause, "failed");
        }
        Event::Done { stage, item, took, .. } => {
            tracing::debug!(stage = name(*stage), item, ?took, "recorded");
        }
        Event::Ended { end } => tracing::info!(?end, "the run is over"),
        _ => {}
    }
}

/// BLAKE3 of a stage's name, its version and its inputs.
pub(crate) fn cache_key(stage: &str, version: u32, inputs: &[Digest]) -> Digest {
    let version = version.to_le_bytes();
    let parts = [stage.as_bytes(), &version[..]];
    let inputs = inputs.iter().map(|input| &input.as_bytes()[..]);
    Digest::of_parts(parts.into_iter().chain(inputs))
}

/// BLAKE3 of pipeline, run, stage, item and cache key.
pub(crate) fn idempotency_key(
    pipeline: &str,
    run: &str,
    step: StepName<'_>,
    key: &Digest,
) -> String {
    let texts = [pipeline, run, step.stage, step.item.shown()].map(str::as_bytes);
    Digest::of_parts(texts.into_iter().chain([&key.as_bytes()[..]])).to_string()
}

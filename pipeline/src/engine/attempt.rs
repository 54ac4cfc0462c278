//! One attempt of one step, on its worker's thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use workqueue::Step;

use super::gather::{Unread, gather};
use super::retry::{backoff, chance, full_disk};
use super::{Engine, Task, said};
use crate::cx::{About, Cx, Said};
use crate::digest::Digest;
use crate::error::RunError;
use crate::event::Event;
use crate::fault::Fault;
use crate::graph::{Done, Hooks, Output};
use crate::inputs::Given;
use crate::record::{FailRecord, MadeOf, Ran, StartRecord, StepRecord, Tried, now_ms};
use crate::report::Failure;
use crate::store::{Outcome, Refused, StepName};

/// So many calls of a step are recorded beside its last one: a service may be short of capacity for
/// hours.
const MOST_TRIED: usize = 16;

/// What is known of a call once it began.
#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    at_ms: u64,
    waited: Duration,
}

/// Runs a step once. What comes of it goes to the store; what must be tried again comes back.
pub(super) fn attempt(engine: &Engine, worker: usize, mut task: Task) -> Step<Task, ()> {
    if engine.is_ending() {
        return Step::Done(());
    }
    let given = match gather(engine, &task) {
        Ok(given) => given,
        Err(Unread::Error(error)) => {
            engine.fail(error);
            return Step::Done(());
        }
        Err(Unread::Fault(fault)) => {
            failed(engine, worker, &task, &fault, None);
            return Step::Done(());
        }
    };
    let cx = Cx::new(About {
        run_dir: &engine.run_dir,
        stage: &engine.stages[task.id.stage].name,
        item: &task.item,
        idempotency_key: &task.call,
        attempt: task.failed + 1,
        in_doubt: task.miss.in_doubt,
        stopping: &engine.cancel,
        abandoned: &engine.abandoned,
    });
    let (result, began) = call(engine, worker, &task, &cx, &given);
    let said = cx.said();
    drop(given);
    task.spent_usd += said.spent_usd;
    if engine.is_abandoned() {
        return Step::Done(());
    }
    match result {
        Ok(Done::Cancelled) => Step::Done(()),
        Ok(Done::Result(output)) => {
            succeeded(engine, worker, &task, output, said, began);
            Step::Done(())
        }
        Err(fault) => faulted(engine, worker, task, &full_disk(fault), began),
    }
}

/// Calls the stage's closure; its panic is a fault.
fn call(
    engine: &Engine,
    worker: usize,
    task: &Task,
    cx: &Cx<'_>,
    given: &[Given],
) -> (Result<Done, Fault>, Option<Began>) {
    let stage = &engine.stages[task.id.stage];
    let ready = Instant::now();
    let call_began = Cell::new(None);
    let unrecorded = RefCell::new(None);
    let begin = || {
        let start = start_record(task, worker, task.failed + 1, false);
        let step = StepName { stage: &stage.name, item: &task.item };
        if let Err(error) = engine.store.start(step, &start, task.miss.stale_files) {
            *unrecorded.borrow_mut() = Some(error);
            return Err(Fault::fatal("the start of the call could not be recorded"));
        }
        let at = Instant::now();
        let waited = at - ready;
        call_began.set(Some(Began { at, at_ms: start.at_ms, waited }));
        cx.begin(stage.settings.timeout.and_then(|timeout| at.checked_add(timeout)));
        let (stage, item, attempt) = (task.id.stage, task.item.shown(), start.attempt);
        engine.tell(&Event::Started { stage, item, worker, attempt, waited });
        Ok(())
    };
    let hooks = Hooks { cancel: &engine.cancel, begin: &begin };
    let _span = tracing::debug_span!(
        "step",
        run = engine.run,
        stage = stage.name,
        item = task.item.shown(),
        attempt = task.failed + 1
    )
    .entered();
    // What a panic may leave half done is the user's own captured state, which the closure's
    // `Send + Sync` makes them guard, and the adapter, which is discarded.
    let result = catch_unwind(AssertUnwindSafe(|| (stage.step)(cx, given, &hooks)));
    if let Some(error) = unrecorded.take() {
        engine.fail(error);
        return (Ok(Done::Cancelled), None);
    }
    let result = result.unwrap_or_else(|payload| Err(panicked(task, &*payload)));
    (result, call_began.get())
}

/// A panic may have been chance once.
fn panicked(task: &Task, payload: &(dyn Any + Send)) -> Fault {
    let said = format!("the step panicked: {}", said(payload));
    if task.panicked { Fault::fatal(said) } else { Fault::transient(Panicked(said)) }
}

/// Marks a fault as a panic's.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Panicked(String);

fn succeeded(
    engine: &Engine,
    worker: usize,
    task: &Task,
    output: Output,
    said: Said,
    began: Option<Began>,
) {
    let def = &engine.stages[task.id.stage];
    engine.capacity[task.id.stage].is_there();
    let took = began.map_or(Duration::ZERO, |began| began.at.elapsed());
    let hash = Digest::of(output.json.as_bytes());
    let value = match RawValue::from_string(output.json) {
        Ok(value) => value,
        Err(error) => {
            let fault = Fault::fatal(format!("the result is no JSON: {error}"));
            return failed(engine, worker, task, &fault, began);
        }
    };
    let made_of = MadeOf {
        version: def.settings.version,
        inputs: task.inputs.iter().map(Digest::short).collect(),
    };
    let ran = ran(task, worker, began);
    let record = StepRecord { key: task.key, made_of, value, files: said.files, ran };
    let outcome = Outcome::Done {
        record: Box::new(record),
        hash,
        live: output.live,
        failed_before: task.miss.failed,
    };
    let step = StepName { stage: &def.name, item: &task.item };
    match engine.store.record(task.id, step, outcome) {
        Ok(change) => {
            engine.tally.ran(task.id.stage, task.spent_usd);
            let (stage, item, spent_usd) = (task.id.stage, task.item.shown(), task.spent_usd);
            engine.tell(&Event::Done { stage, item, worker, took, spent_usd });
            engine.drive(change);
        }
        Err(Refused::TooLarge(said)) => failed(engine, worker, task, &Fault::fatal(said), began),
        Err(Refused::Error(error)) => engine.fail(error),
    }
}

fn faulted(
    engine: &Engine,
    worker: usize,
    mut task: Task,
    fault: &Fault,
    began: Option<Began>,
) -> Step<Task, ()> {
    let settings = &engine.stages[task.id.stage].settings;
    let tried = began.map(|began| tried(&task, worker, fault, began));
    let pause = match fault {
        Fault::RateLimited { after } => match wait_for_capacity(engine, &mut task, *after) {
            Some(pause) => pause,
            None => Duration::ZERO,
        },
        Fault::Transient(cause) if task.failed + 1 < settings.attempts => {
            task.failed += 1;
            task.limited = 0;
            task.panicked |= cause.is::<Panicked>();
            let pause = backoff(settings.backoff, task.failed, chance());
            let (stage, item) = (task.id.stage, task.item.shown());
            let (attempt, cause) = (task.failed, &*fault.to_string());
            engine.tell(&Event::Again { stage, item, attempt, pause, cause });
            pause
        }
        _ => {
            failed(engine, worker, &task, fault, began);
            return Step::Done(());
        }
    };
    if let Some(tried) = tried {
        if task.tried.len() == MOST_TRIED {
            task.tried.remove(0);
        }
        task.tried.push(tried);
        if let Err(error) = call_is_over(engine, worker, &task) {
            engine.fail(error);
            return Step::Done(());
        }
        task.miss.in_doubt = false;
        task.miss.stale_files = false;
    }
    // The queue of a run that ends hands it back: the step runs when the run is continued.
    Step::Again(task, pause)
}

/// Pauses everybody at the stage's limiter; how long this step waits. `None`: the run gives up.
fn wait_for_capacity(
    engine: &Engine,
    task: &mut Task,
    after: Option<Duration>,
) -> Option<Duration> {
    let stage = &engine.stages[task.id.stage];
    task.limited = task.limited.saturating_add(1);
    let (first, longest) = stage.settings.backoff;
    let guess = || backoff((first.max(Duration::from_secs(1)), longest), task.limited, 1.0);
    let pause = after.unwrap_or_else(guess);
    engine.tell(&Event::RateLimited { stage: task.id.stage, item: task.item.shown(), pause });
    let short_for = engine.capacity[task.id.stage].is_short(Instant::now(), pause);
    if let Some(longest) = stage.settings.max_capacity_wait.filter(|&most| short_for > most) {
        engine.give_up(format!(
            "the service of stage `{}` has no capacity within its max_capacity_wait, {longest:?}",
            stage.name
        ));
        return None;
    }
    match &stage.gate {
        // It waits at the limiter with everybody else.
        Some(gate) => {
            gate.pause(pause);
            Some(Duration::ZERO)
        }
        None => Some(pause),
    }
}

/// The call came back: should the process die before the next one, nothing is in doubt.
fn call_is_over(engine: &Engine, worker: usize, task: &Task) -> Result<(), RunError> {
    let over = start_record(task, worker, task.failed, true);
    let step = StepName { stage: &engine.stages[task.id.stage].name, item: &task.item };
    engine.store.start(step, &over, false)
}

fn failed(engine: &Engine, worker: usize, task: &Task, fault: &Fault, began: Option<Began>) {
    let def = &engine.stages[task.id.stage];
    let (item, cause, attempts) = (task.item.shown(), fault.to_string(), task.failed + 1);
    let record = FailRecord {
        key: task.key,
        item: item.to_string(),
        cause: cause.clone(),
        ran: ran(task, worker, began),
    };
    let step = StepName { stage: &def.name, item: &task.item };
    let change = match engine.store.record(task.id, step, Outcome::Failed { record }) {
        Ok(change) => change,
        Err(Refused::Error(error)) => return engine.fail(error),
        // A cause of megabytes: what matters of it fits into a line.
        Err(Refused::TooLarge(said)) => {
            return engine.give_up(format!("a failure's cause: {said}"));
        }
    };
    let (stage, item_name) = (def.name.clone(), item.to_string());
    let failure = Failure { stage, item: item_name, attempts, cause: cause.clone() };
    let (failed, ran) = engine.tally.failed(task.id.stage, failure, task.spent_usd);
    engine.tell(&Event::Failed { stage: task.id.stage, item, attempts, cause: &cause });
    if matches!(fault, Fault::Halt(_)) {
        engine.give_up(cause);
    } else if let Some(reason) = engine.halt.and_then(|halt| halt.due(failed, ran)) {
        engine.give_up(reason);
    }
    engine.drive(change);
}

fn start_record(task: &Task, worker: usize, attempt: u32, over: bool) -> StartRecord {
    StartRecord {
        idempotency_key: task.call.clone(),
        attempt,
        at_ms: now_ms(),
        worker,
        over,
        item: task.item.is_hashed().then(|| task.item.shown().to_string()),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A call that came back without a result. To be called before the task counts it.
fn tried(task: &Task, worker: usize, fault: &Fault, began: Began) -> Tried {
    Tried {
        attempt: task.failed + 1,
        limited: matches!(fault, Fault::RateLimited { .. }),
        at_ms: began.at_ms,
        ran_us: micros(began.at.elapsed()),
        waited_us: micros(began.waited),
        worker,
    }
}

fn ran(task: &Task, worker: usize, began: Option<Began>) -> Ran {
    Ran {
        attempts: task.failed + 1,
        spent_usd: task.spent_usd,
        at_ms: began.map_or_else(now_ms, |began| began.at_ms),
        ran_us: began.map_or(0, |began| micros(began.at.elapsed())),
        waited_us: began.map_or(0, |began| micros(began.waited)),
        worker,
        tried: task.tried.clone(),
        item: task.item.is_hashed().then(|| task.item.shown().to_string()),
    }
}

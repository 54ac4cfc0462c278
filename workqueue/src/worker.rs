//! A worker's life: build the state, run tasks until the sentinel, drop the state, leave.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::handout::Finished;
use crate::panic::{self, Payload};
use crate::shared::Shared;
use crate::sync;
use crate::ticket::Entry;
use crate::{Context, OnPanic, Outcome, PanicReport, Step, WorkerId};

/// What tasks taken together may take: longer ones are taken one by one, so that none waits behind
/// another while a worker is idle.
const BATCH_NS: u128 = 50_000;

/// What each worker of a queue does.
pub(crate) struct Job<I, F> {
    pub(crate) init: I,
    pub(crate) run: F,
    pub(crate) on_panic: OnPanic,
}

/// One worker, on its thread, from start to end.
pub(crate) fn work<T, R, S, I, F>(shared: &Arc<Shared<T, R>>, job: Arc<Job<I, F>>, id: WorkerId)
where
    T: Send + 'static,
    R: Send + 'static,
    I: Fn(WorkerId) -> S,
    F: Fn(&mut S, T, &Context<T>) -> Step<T, R>,
{
    panic::remember_locations();
    shared.lock().threads.push(sync::thread::current().id());
    let context = Context::new(Arc::clone(shared) as _, id);
    let mut worker =
        Worker { shared, job: &job, id, context, finished: Finished::new(), mean_ns: None };
    let death = worker.run_until_sentinel();
    let Worker { mut finished, context, .. } = worker;
    drop(context);
    // The last worker drops the closures; what they captured is gone before anybody is told.
    panic::discard(job);
    if let Some(message) = &death {
        tracing::error!(worker = id.index(), message, "building a worker's state panicked");
    }
    shared.leave(&mut finished, death.map(|message| (id, message)));
}

struct Worker<'a, T, R, I, F> {
    shared: &'a Shared<T, R>,
    job: &'a Job<I, F>,
    id: WorkerId,
    context: Context<T>,
    finished: Finished<T, R>,
    /// How long a task took in the last batch, on average.
    mean_ns: Option<u128>,
}

impl<T, R, S, I, F> Worker<'_, T, R, I, F>
where
    I: Fn(WorkerId) -> S,
    F: Fn(&mut S, T, &Context<T>) -> Step<T, R>,
{
    /// Runs tasks; gives what was wrong if the state could not be built.
    fn run_until_sentinel(&mut self) -> Option<String> {
        let mut batch = VecDeque::new();
        let mut state = None;
        let death = loop {
            // After a panic the state may be half changed, so it is built anew.
            match state.take().map_or_else(|| panic::catch(|| (self.job.init)(self.id)), Ok) {
                Ok(built) => state = Some(built),
                Err(payload) => {
                    self.finished.unstarted.extend(batch.drain(..));
                    let message = panic::message(payload.as_ref());
                    panic::discard(payload);
                    break Some(message);
                }
            }
            let fresh = batch.is_empty();
            if fresh {
                let most = self.batch_size();
                if !self.shared.next(&mut self.finished, &mut batch, most) {
                    break None;
                }
            }
            self.run_batch(&mut batch, &mut state, fresh);
        };
        panic::discard(state);
        death
    }

    fn batch_size(&self) -> usize {
        let most = self.shared.limits.batch;
        match self.mean_ns {
            _ if most == 1 => 1,
            None => 1,
            Some(mean) => usize::try_from(BATCH_NS / mean.max(1)).unwrap_or(most).clamp(1, most),
        }
    }

    /// Runs the tasks of a batch, up to one that panics. The first of a fresh batch has started by being
    /// taken; the others have not, so a cancel hands them back.
    fn run_batch(&mut self, batch: &mut VecDeque<Entry<T>>, state: &mut Option<S>, fresh: bool) {
        let limits = &self.shared.limits;
        let start = (limits.keep || limits.batch > 1).then(sync::now);
        let (from, mut ran) = (self.finished.outcomes.len(), 0);
        while let Some(entry) = batch.pop_front() {
            if (ran > 0 || !fresh) && self.shared.is_cancelled() {
                self.finished.unstarted.push(entry);
                continue;
            }
            ran += 1;
            if !self.run_task(entry, state) {
                break;
            }
        }
        if let Some(start) = start
            && ran > 0
        {
            let elapsed = sync::now().saturating_duration_since(start) / ran;
            self.mean_ns = Some(elapsed.as_nanos());
            for outcome in &mut self.finished.outcomes[from..] {
                if let Outcome::Done { elapsed: slot, .. } = outcome {
                    *slot = elapsed;
                }
            }
        }
    }

    /// Runs one task. `false`: it panicked, and the state is gone.
    fn run_task(&mut self, entry: Entry<T>, slot: &mut Option<S>) -> bool {
        let Entry { ticket, task, .. } = entry;
        let keep = self.shared.limits.keep;
        let Some(state) = slot.as_mut() else { return false };
        let context = &self.context;
        let run = &self.job.run;
        let ran = panic::catch(|| match run(state, task, context) {
            // What nobody wants is dropped in here, where its `Drop` may panic.
            Step::Done(value) => Ran::Done(keep.then_some(value)),
            Step::Again(task, delay) => Ran::Again(task, delay),
        });
        match ran {
            Ok(Ran::Done(value)) => {
                self.finished.ended += 1;
                let (worker, elapsed) = (self.id, Duration::ZERO);
                self.finished.outcomes.extend(value.map(|value| Outcome::Done {
                    ticket,
                    worker,
                    elapsed,
                    value,
                }));
                true
            }
            Ok(Ran::Again(task, delay)) => {
                let entry = Entry { ticket, task, charged: false };
                self.finished.again.push((entry, due(delay)));
                true
            }
            Err(payload) => {
                self.report(PanicReport::new(ticket, self.id, payload));
                panic::discard(slot.take());
                false
            }
        }
    }

    fn report(&mut self, report: PanicReport) {
        tracing::error!(
            ticket = report.ticket().number(),
            worker = report.worker().index(),
            location = report.location(),
            message = report.message(),
            "a task panicked"
        );
        self.finished.ended += 1;
        self.finished.panicked += 1;
        if self.shared.limits.keep {
            self.finished.outcomes.push(Outcome::Panicked(report));
        } else {
            panic::discard::<Payload>(report.into_payload());
        }
        if self.job.on_panic == OnPanic::CancelAll {
            self.shared.cancel(|_| ());
        }
    }
}

enum Ran<T, R> {
    Done(Option<R>),
    Again(T, Duration),
}

/// When a task comes back: `None` is at once. A time too far away to be told is a century.
fn due(delay: Duration) -> Option<Instant> {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    if delay.is_zero() {
        return None;
    }
    let now = sync::now();
    now.checked_add(delay).or_else(|| now.checked_add(CENTURY))
}

//! A worker's life: build the state, run tasks until the sentinel, drop the state, leave.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::finished::Finished;
use crate::handout::BatchSize;
use crate::panic::{self, Payload};
use crate::shared::Shared;
use crate::sync::{self, mutant};
use crate::ticket::Entry;
use crate::{Context, OnPanic, Outcome, PanicReport, Step, Ticket, WorkerId};

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
        let mut kept = None;
        loop {
            // After a panic the state may be half changed, so it is built anew.
            let built = kept.take().map_or_else(|| panic::catch(|| (self.job.init)(self.id)), Ok);
            let mut state = match built {
                Ok(state) => state,
                Err(payload) => {
                    self.finished.unstarted.extend(batch.drain(..));
                    let message = panic::message(payload.as_ref());
                    panic::discard(payload);
                    return Some(message);
                }
            };
            let (fresh, size) = (batch.is_empty(), self.batch_size());
            if fresh && !self.shared.next(&mut self.finished, &mut batch, size) {
                panic::discard(state);
                return None;
            }
            if self.run_batch(&mut batch, &mut state, fresh) {
                kept = Some(state);
            } else {
                panic::discard(state);
                if mutant("panic-ends-worker") {
                    return None;
                }
            }
        }
    }

    fn batch_size(&self) -> BatchSize {
        let most = self.shared.limits().batch;
        match self.mean_ns {
            Some(mean_ns) if most > 1 => BatchSize::for_tasks_of(mean_ns, most),
            _ => BatchSize::ONE,
        }
    }

    /// Runs the tasks of a batch; `false` if one panicked, and the others are still there.
    fn run_batch(&mut self, batch: &mut VecDeque<Entry<T>>, state: &mut S, fresh: bool) -> bool {
        let limits = self.shared.limits();
        let start = (limits.keep || limits.batch > 1).then(sync::now);
        let (first, tasks) = (self.finished.outcomes.len(), batch.len());
        // One catch for all of them: which one it is that panicked, `running` tells.
        let mut running = Ticket(0);
        let caught = panic::catch(|| self.run_tasks(batch, state, fresh, &mut running));
        if let Some(start) = start {
            let ran = u32::try_from(tasks - batch.len()).unwrap_or(u32::MAX).max(1);
            let elapsed = sync::now().saturating_duration_since(start) / ran;
            self.mean_ns = Some(elapsed.as_nanos());
            for outcome in &mut self.finished.outcomes[first..] {
                if let Outcome::Done { elapsed: slot, .. } = outcome {
                    *slot = elapsed;
                }
            }
        }
        if let Err(payload) = caught {
            self.report(PanicReport::new(running, self.id, payload));
            return false;
        }
        true
    }

    /// The first task of a fresh batch has started by being taken; the others have not, so that a
    /// cancel hands them back.
    fn run_tasks(
        &mut self,
        batch: &mut VecDeque<Entry<T>>,
        state: &mut S,
        mut started: bool,
        running: &mut Ticket,
    ) {
        let keep = self.shared.limits().keep;
        while let Some(entry) = batch.pop_front() {
            if !started && self.shared.is_cancelled() {
                self.finished.unstarted.push(entry);
                continue;
            }
            started = false;
            let ticket = entry.ticket();
            *running = ticket;
            match (self.job.run)(state, entry.task, &self.context) {
                Step::Done(value) if keep => {
                    let (worker, elapsed) = (self.id, Duration::ZERO);
                    let done = Outcome::Done { ticket, worker, elapsed, value };
                    self.finished.outcomes.push(done);
                }
                // Nobody wants it. Its `Drop` may panic: still its task's panic.
                Step::Done(value) => drop(value),
                Step::Again(task, delay) => {
                    self.finished.again.push((Entry::free(ticket, task), due(delay)));
                    continue;
                }
            }
            self.finished.ended += 1;
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
        if self.shared.limits().keep {
            self.finished.outcomes.push(Outcome::Panicked(report));
        } else {
            panic::discard::<Payload>(report.into_payload());
        }
        if self.job.on_panic == OnPanic::CancelAll {
            self.shared.cancel(|_| ());
        }
    }
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::state::Limits;

    #[test]
    fn a_delay_that_no_clock_can_tell_is_a_century() {
        assert_eq!(due(Duration::ZERO), None);
        let years = |moment: Instant| (moment - Instant::now()).as_secs_f64() / (365.0 * 86_400.0);
        let far = due(Duration::MAX).map(years);
        assert!(far.is_some_and(|far| (99.9..=100.0).contains(&far)), "{far:?}");
        let near = due(Duration::from_secs(86_400)).map(years);
        assert!(near.is_some_and(|near| near * 365.0 <= 1.0 && near * 365.0 > 0.9), "{near:?}");
    }

    const LIMITS: Limits = Limits { capacity: 8, batch: 4, shares: 2, grows: true, keep: true };

    /// What `look` finds at a worker of a queue of such limits, whose tasks `run`.
    fn at_work<V>(limits: Limits, run: impl Fn(u32), look: impl FnOnce(&mut dyn AtWork) -> V) -> V {
        let shared: Arc<Shared<u32, u32>> = Arc::new(Shared::new(limits));
        let job = Job {
            init: |_| (),
            run: |(): &mut (), task: u32, _: &Context<u32>| {
                run(task);
                Step::Done(task)
            },
            on_panic: OnPanic::Report,
        };
        let context = Context::new(Arc::clone(&shared) as _, WorkerId(0));
        let (shared, job, id) = (&shared, &job, WorkerId(0));
        let finished = Finished::new();
        look(&mut Worker { shared, job, id, context, finished, mean_ns: None })
    }

    /// A worker whatever its closures.
    trait AtWork {
        fn run(&mut self, batch: &mut VecDeque<Entry<u32>>, fresh: bool) -> bool;
        fn takes(&self) -> (usize, usize);
        fn mean_ns(&mut self) -> &mut Option<u128>;
        fn finished(&self) -> &Finished<u32, u32>;
        fn cancel(&self);
    }

    impl<I: Fn(WorkerId), F: Fn(&mut (), u32, &Context<u32>) -> Step<u32, u32>> AtWork
        for Worker<'_, u32, u32, I, F>
    {
        fn run(&mut self, batch: &mut VecDeque<Entry<u32>>, fresh: bool) -> bool {
            self.run_batch(batch, &mut (), fresh)
        }

        fn takes(&self) -> (usize, usize) {
            let size = self.batch_size();
            (size.least, size.most)
        }

        fn mean_ns(&mut self) -> &mut Option<u128> {
            &mut self.mean_ns
        }

        fn finished(&self) -> &Finished<u32, u32> {
            &self.finished
        }

        fn cancel(&self) {
            self.shared.cancel(|_| ());
        }
    }

    fn batch_of(count: u32) -> VecDeque<Entry<u32>> {
        (0..count).map(|task| Entry::charged(Ticket(u64::from(task)), task)).collect()
    }

    #[test]
    fn a_panic_ends_a_batch_and_those_before_it_share_the_time_it_took() {
        // A real sleep, since it is real time that is measured.
        let nap = Duration::from_millis(20);
        let run = |task| {
            std::thread::sleep(nap);
            if task == 1 {
                // Without the hook, whose message can take longer than all the tasks.
                std::panic::resume_unwind(Box::new("the second"));
            }
        };
        at_work(LIMITS, run, |worker| {
            let mut batch = batch_of(4);
            let start = Instant::now();
            assert!(!worker.run(&mut batch, true));
            let whole = start.elapsed();
            let finished = worker.finished();
            assert_eq!((batch.len(), finished.ended, finished.panicked), (2, 2, 1));
            let [Outcome::Done { elapsed, value: 0, .. }, Outcome::Panicked(report)] =
                finished.outcomes.as_slice()
            else {
                panic!("{:?}", finished.outcomes);
            };
            assert_eq!(report.ticket(), Ticket(1));
            assert!(nap <= *elapsed && *elapsed * 2 <= whole, "{elapsed:?}, the mean of two");
            assert!(worker.mean_ns().is_some_and(|mean_ns| mean_ns >= nap.as_nanos()));
            assert!(worker.run(&mut batch, true));
            assert_eq!((batch.len(), worker.finished().ended), (0, 4));
        });
    }

    #[test]
    fn short_tasks_are_taken_together_where_that_is_asked_for() {
        at_work(
            LIMITS,
            |_| (),
            |worker| {
                assert_eq!(worker.takes(), (1, 1), "nobody knows yet how long they take");
                *worker.mean_ns() = Some(1_000);
                assert_eq!(worker.takes(), (2, 4));
            },
        );
        for (batch, keep, measured) in [(1, false, false), (1, true, true), (4, false, true)] {
            let limits = Limits { batch, keep, ..LIMITS };
            let run = |_| while Instant::now().elapsed().is_zero() {};
            at_work(limits, run, |worker| {
                worker.run(&mut batch_of(1), true);
                assert_eq!(worker.mean_ns().is_some(), measured, "{batch} {keep}");
                *worker.mean_ns() = Some(1);
                assert_eq!(worker.takes(), (batch, batch));
            });
        }
    }

    #[test]
    fn of_a_batch_that_is_cancelled_only_what_has_started_runs() {
        for (fresh, ended) in [(true, 1), (false, 0)] {
            at_work(
                LIMITS,
                |_| (),
                |worker| {
                    worker.cancel();
                    assert!(worker.run(&mut batch_of(3), fresh));
                    let finished = worker.finished();
                    assert_eq!((finished.ended, finished.unstarted.len()), (ended, 3 - ended));
                },
            );
        }
    }
}

//! The store of one process: a checkpoint for what is recorded, an index in memory for what is
//! ready.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use checkpoint::{Batch, Checkpoint, Durability};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::cached::{Recorded, cached};
use super::{Cached, Outcome, Refused, Seed, StepId, StepName, Store};
use crate::digest::Digest;
use crate::error::RunError;
use crate::graph::Cell;
use crate::index::{Change, Duplicate, Index, Need};
use crate::inputs::Wire;
use crate::plan::Plan;
use crate::record::StartRecord;

/// How long a source waits for a window to become half empty.
const GATHER: Duration = Duration::from_millis(2);

/// See the module.
pub(crate) struct LocalStore {
    records: Records,
    window: usize,
    ready: Mutex<Ready>,
    /// Notified when a source has something to do, or the run ends.
    sources: Condvar,
    /// Notified when a stage may have ended, or the run ends.
    stages: Condvar,
}

/// What threads share. Whoever records a result enters it here after the record is written, so a
/// step never becomes ready before what it needs is kept.
struct Ready {
    index: Index,
    ended: bool,
    /// By scope. A wake-up costs a switch of threads, so it is not made for each item.
    sources: Vec<Source>,
}

/// What a source sleeps for. Set by itself, and set to `Awake` by who wakes it.
#[derive(Clone, Copy)]
enum Source {
    Awake,
    /// Its window is full.
    Full,
    /// Its window has room, and is to become half empty.
    Gathering,
    /// There is no list to be opened.
    Idle,
}

/// A run's checkpoint, read and written in the schema of [`crate::record`].
#[derive(Clone)]
pub(crate) struct Records {
    checkpoint: Checkpoint,
    run: String,
    run_dir: PathBuf,
}

#[derive(serde::Deserialize)]
struct ValueAlone {
    value: Box<RawValue>,
}

impl Records {
    pub(crate) fn new(checkpoint: Checkpoint, run: &str, run_dir: &Path) -> Self {
        Records { checkpoint, run: run.to_string(), run_dir: run_dir.to_path_buf() }
    }

    pub(crate) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, node: &str) -> Result<Option<T>, RunError> {
        match self.checkpoint.get::<T>(node) {
            Ok(entry) => Ok(entry.map(|entry| entry.value)),
            Err(error @ checkpoint::Error::Type { .. }) => Err(RunError::Record {
                run: self.run.clone(),
                node: node.to_string(),
                source: error.into(),
            }),
            Err(error) => Err(self.refused(error)),
        }
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// On disk when this returns, as far as the run's durability goes.
    pub(crate) fn save<T: Serialize>(&self, node: &str, value: &T) -> Result<(), RunError> {
        self.checkpoint.save(node, value).map(drop).map_err(|error| self.refused(error))
    }

    pub(crate) fn refused(&self, error: checkpoint::Error) -> RunError {
        RunError::Checkpoint { run: self.run.clone(), source: error.into() }
    }

    fn value(&self, step: StepName<'_>) -> Result<Arc<str>, RunError> {
        let node = step.item.record("step", step.stage);
        match self.get::<ValueAlone>(&node)? {
            Some(record) => Ok(Arc::from(record.value.get())),
            None => Err(RunError::Record {
                run: self.run.clone(),
                node,
                source: "it was there and is gone".into(),
            }),
        }
    }
}

impl Recorded for Records {
    fn holds(&self, node: &str) -> bool {
        self.checkpoint.contains(node)
    }

    fn read<T: DeserializeOwned>(&self, node: &str) -> Result<Option<T>, RunError> {
        self.get(node)
    }

    fn run_dir(&self) -> &Path {
        &self.run_dir
    }
}

impl LocalStore {
    /// Nothing is ready but what needs only values.
    pub(crate) fn new(
        records: Records,
        plan: Arc<Plan>,
        values: &[(usize, Cell)],
        window: usize,
    ) -> (Self, Change) {
        let sources = vec![Source::Awake; plan.scopes.len()];
        let (index, change) = Index::new(plan, values);
        let ready = Mutex::new(Ready { index, ended: false, sources });
        let (sources, stages) = (Condvar::new(), Condvar::new());
        (LocalStore { records, window, ready, sources, stages }, change)
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        // Nothing under this lock runs user code; a panic there is a bug of this crate, and the
        // other workers had better record what they have than die of it.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whom the change concerns.
    fn announce(&self, mut ready: MutexGuard<'_, Ready>, change: &Change) {
        let mut wake = change.ended;
        for &scope in &change.room {
            let due = match ready.sources[scope] {
                Source::Awake => false,
                Source::Full => ready.index.has_room(scope, self.window),
                Source::Gathering => self.is_half_empty(&ready, scope),
                Source::Idle => ready.index.has_lists(scope),
            };
            if due {
                ready.sources[scope] = Source::Awake;
                wake = true;
            }
        }
        drop(ready);
        if wake {
            self.sources.notify_all();
        }
        if change.ended {
            self.stages.notify_all();
        }
    }

    fn is_half_empty(&self, ready: &Ready, scope: usize) -> bool {
        ready.index.has_room(scope, self.window.div_ceil(2))
    }

    /// Blocks until the run ends or `done`, which a change of stages brings about.
    fn await_stages(&self, done: impl Fn(&Index) -> bool) {
        let waiting = |ready: &mut Ready| !ready.ended && !done(&ready.index);
        let waited = self.stages.wait_while(self.lock(), waiting);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Store for LocalStore {
    fn seed(&self, parent: u32, scope: usize, seed: Seed) -> Result<Change, Duplicate> {
        let mut ready = self.lock();
        let change = match seed {
            Seed::Item(item) => ready.index.open(parent, scope, item)?,
            Seed::End => ready.index.close(parent, scope),
        };
        self.announce(ready, &change);
        Ok(change)
    }

    fn cached(
        &self,
        step: StepName<'_>,
        key: &Digest,
        call: &dyn Fn() -> String,
    ) -> Result<Cached, RunError> {
        cached(&self.records, step, key, call)
    }

    fn reused(&self, id: StepId, hash: Digest) -> Change {
        let mut ready = self.lock();
        let change = ready.index.done(id.stage, id.at, hash, None);
        self.announce(ready, &change);
        change
    }

    fn left(&self, id: StepId) -> Change {
        let mut ready = self.lock();
        let change = ready.index.failed(id.stage, id.at);
        self.announce(ready, &change);
        change
    }

    fn needs(&self, id: StepId) -> Vec<Need> {
        self.lock().index.needs(id.stage, id.at)
    }

    fn list(&self, at: u32, node: usize) -> Option<Need> {
        self.lock().index.list(node, at)
    }

    fn values(&self, steps: &[StepName<'_>]) -> Result<Vec<Arc<str>>, RunError> {
        steps.iter().map(|&step| self.records.value(step)).collect()
    }

    fn start(
        &self,
        step: StepName<'_>,
        start: &StartRecord,
        stale_files: bool,
    ) -> Result<(), RunError> {
        let node = step.item.record("start", step.stage);
        let checkpoint = &self.records.checkpoint;
        let saved = if stale_files {
            // From here on the files are no longer what the old record says: it must not be found
            // by somebody who takes the old input back.
            let batch = Batch::new().put(&node, start);
            batch.and_then(|batch| {
                checkpoint.save_all(batch.remove(&step.item.record("step", step.stage)))
            })
        } else {
            checkpoint.save_with(&node, start, Durability::Process)
        };
        saved.map(drop).map_err(|error| self.records.refused(error))
    }

    fn record(&self, id: StepId, step: StepName<'_>, outcome: Outcome) -> Result<Change, Refused> {
        let start = step.item.record("start", step.stage);
        let fail = || step.item.record("fail", step.stage);
        let batch = match &outcome {
            Outcome::Done { record, failed_before, .. } => {
                let batch = Batch::new().put(&step.item.record("step", step.stage), record);
                let batch = batch.map(|batch| batch.remove(&start));
                if *failed_before { batch.map(|batch| batch.remove(&fail())) } else { batch }
            }
            Outcome::Failed { record } => {
                Batch::new().put(&fail(), record).map(|batch| batch.remove(&start))
            }
        };
        let saved = batch.and_then(|batch| self.records.checkpoint().save_all(batch));
        saved.map_err(|error| match error {
            checkpoint::Error::TooLarge { bytes, limit, .. } => Refused::TooLarge(format!(
                "the result takes {bytes} bytes as JSON, and a record holds {limit}: make it a \
                 file with `cx.file(..)` and return its `Artefact`"
            )),
            error => Refused::Error(self.records.refused(error)),
        })?;
        let mut ready = self.lock();
        let change = match outcome {
            Outcome::Done { hash, live, .. } => ready.index.done(id.stage, id.at, hash, Some(live)),
            Outcome::Failed { .. } => ready.index.failed(id.stage, id.at),
        };
        self.announce(ready, &change);
        Ok(change)
    }

    fn await_room(&self, scope: usize) -> bool {
        let mut ready = self.lock();
        while !ready.ended && !ready.index.has_room(scope, self.window) {
            ready.sources[scope] = Source::Full;
            ready = self.sources.wait(ready).unwrap_or_else(PoisonError::into_inner);
            if ready.ended || !ready.index.has_room(scope, self.window) {
                continue;
            }
            // The first slot is free. Waking for each would cost two switches of threads an item,
            // so it waits for half of them, but not long: the others may be held for an hour.
            ready.sources[scope] = Source::Gathering;
            let until = |ready: &mut Ready| !ready.ended && !self.is_half_empty(ready, scope);
            let gathered = self.sources.wait_timeout_while(ready, GATHER, until);
            ready = gathered.unwrap_or_else(PoisonError::into_inner).0;
        }
        ready.sources[scope] = Source::Awake;
        !ready.ended
    }

    fn await_list(&self, scope: usize) -> Option<u32> {
        let mut ready = self.lock();
        loop {
            ready.sources[scope] = Source::Awake;
            if ready.ended {
                return None;
            }
            if let Some(at) = ready.index.next_list(scope) {
                return Some(at);
            }
            if ready.index.is_sealed(scope) {
                return None;
            }
            ready.sources[scope] = Source::Idle;
            ready = self.sources.wait(ready).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn await_stage(&self, stage: usize) {
        self.await_stages(|index| index.is_finished(stage));
    }

    fn await_over(&self) {
        self.await_stages(Index::is_over);
    }

    fn end(&self) {
        self.lock().ended = true;
        self.sources.notify_all();
        self.stages.notify_all();
    }

    fn target(&self, wire: Wire) -> Option<Need> {
        self.lock().index.target(wire)
    }
}

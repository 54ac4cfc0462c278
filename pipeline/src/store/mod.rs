//! The seam: everything that the engine knows of where a run is kept.
//!
//! Small, blocking, and only as wide as one process needs. The engine must not assume more of a
//! store than stands here: not that an error means not written, not that it holds upstream values.

mod cached;
mod local;
mod members;

use std::sync::Arc;

#[cfg(feature = "cli")]
pub(crate) use self::cached::{Recorded, cached};
pub(crate) use self::local::{LocalStore, Records};
pub(crate) use self::members::StoredMembers;
use crate::digest::Digest;
use crate::error::RunError;
use crate::graph::{Live, NewItem};
use crate::index::{Change, Duplicate, Need};
use crate::inputs::Wire;
use crate::name::Item;
use crate::record::{FailRecord, MadeOf, StartRecord, StepRecord};

/// A step by name.
#[derive(Clone, Copy)]
pub(crate) struct StepName<'n> {
    pub(crate) stage: &'n str,
    pub(crate) item: &'n Item,
}

/// What a fan-out gives.
pub(crate) enum Seed {
    Item(NewItem),
    /// No more.
    End,
}

/// What is recorded of a step.
pub(crate) enum Cached {
    /// Its result, made of the same inputs.
    Hit {
        hash: Digest,
    },
    Miss(Miss),
}

/// Why a step must run, and what an earlier run left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Miss {
    pub(crate) why: Why,
    /// A result of other inputs whose files this run will overwrite.
    pub(crate) stale_files: bool,
    /// It failed in an earlier run.
    pub(crate) failed: bool,
    /// A process began this very call and did not live to say how it ended.
    pub(crate) in_doubt: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "cli"), allow(dead_code))]
pub(crate) enum Why {
    /// No result is recorded.
    New,
    /// A result is recorded, made of something else.
    Changed(MadeOf),
    /// A file of the recorded result is gone or has another size.
    File(String),
}

/// How a step ended.
pub(crate) enum Outcome {
    Done { record: Box<StepRecord>, hash: Digest, live: Live, failed_before: bool },
    Failed { record: FailRecord },
}

/// Why an outcome was not recorded.
pub(crate) enum Refused {
    /// This one is too large: the step's own fault.
    TooLarge(String),
    /// The store took nothing: the run ends.
    Error(RunError),
}

/// A step of the index: its stage, and the number of its item.
#[derive(Clone, Copy)]
pub(crate) struct StepId {
    pub(crate) stage: usize,
    pub(crate) at: u32,
}

/// A run in this process, and where it is kept.
pub(crate) trait Store: Send + Sync {
    /// An item of the fan-out `scope` inside the item `parent`, or its end: which steps became
    /// ready by it.
    fn seed(&self, parent: u32, scope: usize, seed: Seed) -> Result<Change, Duplicate>;

    /// What is recorded of a step whose cache key is `key`, and of its call, whose idempotency key
    /// is asked for only where a call was begun.
    fn cached(
        &self,
        step: StepName<'_>,
        key: &Digest,
        call: &dyn Fn() -> String,
    ) -> Result<Cached, RunError>;

    /// A step whose result was recorded before is done: which became ready by it.
    fn reused(&self, id: StepId, hash: Digest) -> Change;

    /// A step is left for another run, and nothing of it recorded: which can go without it.
    fn left(&self, id: StepId) -> Change;

    /// Where the inputs of a step that is ready are.
    fn needs(&self, id: StepId) -> Vec<Need>;

    /// Where the list that an item has at a node is.
    fn list(&self, at: u32, node: usize) -> Option<Need>;

    /// Recorded results, as JSON.
    fn values(&self, steps: &[StepName<'_>]) -> Result<Vec<Arc<str>>, RunError>;

    /// A call begins. Not waited for the disk, unless files of an old result are overwritten.
    fn start(
        &self,
        step: StepName<'_>,
        start: &StartRecord,
        stale_files: bool,
    ) -> Result<(), RunError>;

    /// A step ended: recorded when this returns, with the steps that became ready by it.
    fn record(&self, id: StepId, step: StepName<'_>, outcome: Outcome) -> Result<Change, Refused>;

    /// Blocks until the window of the fan-out has room for an item; `false`: the run ends.
    fn await_room(&self, scope: usize) -> bool;

    /// Blocks until a list of the fan-out is to be opened; `None`: no more will come.
    fn await_list(&self, scope: usize) -> Option<u32>;

    /// Blocks until the stage has no step left, or the run ends.
    fn await_stage(&self, stage: usize);

    /// Blocks until nothing is left to do, or the run ends.
    fn await_over(&self);

    /// The run ends: nobody waits any longer.
    fn end(&self);

    /// A target's value, if there is one.
    fn target(&self, wire: Wire) -> Option<Need>;
}

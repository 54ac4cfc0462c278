//! The graph as it was built, types erased: what the builder fills and the engine reads.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ratelimit::Cancel;

use crate::canonical::{Uncanonical, canonical};
use crate::cx::Cx;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::gate::Gate;
use crate::inputs::{Given, Wire};

/// A value as the engine holds it while somebody may need it.
pub(crate) type Live = Arc<dyn Any + Send + Sync>;

/// Reads a recorded result back.
pub(crate) type Decode = fn(&str) -> Result<Live, serde_json::Error>;

/// The items of a fan-out, pulled one by one.
pub(crate) type Items = Box<dyn Iterator<Item = Result<NewItem, Fault>> + Send>;

/// Opens a list's elements as items.
pub(crate) type Open = Box<dyn Fn(Live) -> Result<Items, Fault> + Send + Sync>;

/// One attempt of one step: everything typed, the adapter included, is behind it.
pub(crate) type StepFn =
    Box<dyn Fn(&Cx<'_>, &[Given], &Hooks<'_>) -> Result<Done, Fault> + Send + Sync>;

/// What an attempt needs of the engine on its way.
pub(crate) struct Hooks<'e> {
    /// Ends the wait for a permit.
    pub(crate) cancel: &'e Cancel,
    /// Called when the permit is there, before the call.
    pub(crate) begin: &'e dyn Fn() -> Result<(), Fault>,
}

/// What an attempt came to, if nothing went wrong.
pub(crate) enum Done {
    /// A result that reads back.
    Result(Output),
    /// The run stopped while the step waited for its permit: nothing was called.
    Cancelled,
}

/// A step's result.
pub(crate) struct Output {
    pub(crate) json: String,
    pub(crate) live: Live,
}

/// An item as its source gives it.
pub(crate) struct NewItem {
    pub(crate) key: String,
    pub(crate) cell: Cell,
}

/// A value that was made here: its JSON, what the JSON hashes to, and the value itself.
#[derive(Clone)]
pub(crate) struct Cell {
    pub(crate) json: Arc<str>,
    pub(crate) hash: Digest,
    pub(crate) live: Live,
}

impl Cell {
    pub(crate) fn of<T: serde::Serialize + Send + Sync + 'static>(
        value: T,
    ) -> Result<Self, Uncanonical> {
        let json = canonical(&value)?;
        Ok(Cell { hash: Digest::of(json.as_bytes()), json: Arc::from(json), live: Arc::new(value) })
    }
}

/// A fan-out, or the run itself.
pub(crate) struct ScopeDef {
    pub(crate) path: Vec<TypeId>,
    /// The tags' names from the outermost in: `Chapters/Paragraphs`; empty for the run.
    pub(crate) name: String,
    pub(crate) parent: Option<usize>,
}

/// Where a node's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Value(usize),
    Source(usize),
    Stage(usize),
    Expand(usize),
}

pub(crate) struct NodeDef {
    pub(crate) scope: usize,
    pub(crate) name: String,
    pub(crate) origin: Origin,
}

pub(crate) struct StageDef {
    pub(crate) node: usize,
    pub(crate) scope: usize,
    pub(crate) name: String,
    pub(crate) settings: Settings,
    pub(crate) wires: Vec<Wire>,
    pub(crate) gate: Option<Arc<dyn Gate>>,
    pub(crate) step: StepFn,
    pub(crate) decode: Decode,
    /// Drops the calling thread's adapter.
    pub(crate) retire: Box<dyn Fn() + Send + Sync>,
}

/// The options of a stage that have no type.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) version: u32,
    pub(crate) workers: usize,
    pub(crate) attempts: u32,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_capacity_wait: Option<Duration>,
    pub(crate) allow_missing: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            version: 1,
            workers: 1,
            attempts: 5,
            backoff: (Duration::from_millis(500), Duration::from_secs(60)),
            timeout: None,
            max_capacity_wait: None,
            allow_missing: false,
        }
    }
}

pub(crate) struct ExpandDef {
    /// The node of the list.
    pub(crate) from: usize,
    /// The node of its elements.
    pub(crate) to: usize,
    pub(crate) open: Open,
}

pub(crate) struct SourceDef {
    pub(crate) node: usize,
    pub(crate) items: Items,
}

pub(crate) struct ValueDef {
    pub(crate) node: usize,
    pub(crate) cell: Cell,
}

/// Everything that was built.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) scopes: Vec<ScopeDef>,
    pub(crate) nodes: Vec<NodeDef>,
    pub(crate) stages: Vec<StageDef>,
    pub(crate) expands: Vec<ExpandDef>,
    pub(crate) sources: Vec<SourceDef>,
    pub(crate) values: Vec<ValueDef>,
}

impl Graph {
    /// Leaves only the first `items` of each source.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    pub(crate) fn take(&mut self, items: usize) {
        for source in &mut self.sources {
            let all = std::mem::replace(&mut source.items, Box::new(std::iter::empty()));
            source.items = Box::new(all.take(items));
        }
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.stages.iter().map(|stage| &stage.name)).finish()
    }
}

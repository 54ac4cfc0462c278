//! One item that is open: its values, its steps, and the fan-outs inside it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::digest::{Digest, Sum};
use crate::graph::Live;
use crate::name::Item;
use crate::plan::{Plan, PlanScope};

/// An item of a fan-out, or (number 0) the run itself.
pub(super) struct Instance {
    pub(super) scope: usize,
    pub(super) parent: Option<u32>,
    /// Its place among the items of its fan-out, from 0.
    pub(super) position: u32,
    pub(super) item: Item,
    /// The value of each node of its scope.
    pub(super) slots: Box<[Slot]>,
    /// Each step of its scope.
    pub(super) steps: Box<[Step]>,
    /// Each fan-out inside it.
    pub(super) groups: Box<[Group]>,
    /// See [`PlanScope::base`]: what is left of it.
    pub(super) open_at: Box<[u32]>,
    /// Its neighbours among the open items of its fan-out.
    pub(super) before: Option<u32>,
    pub(super) behind: Option<u32>,
}

/// A node's value at one item.
pub(super) enum Slot {
    Waiting,
    /// There; `live` while somebody soon may need it, else it is read from its record.
    Done {
        hash: Digest,
        live: Option<Live>,
    },
    /// Never to come in this run: its step failed, or something before it did.
    Missing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// So many wires are not there yet; never 0.
    Waiting(u16),
    /// Given to whoever runs it.
    Ready,
    Settled,
}

/// A fan-out inside one item.
#[derive(Default)]
pub(super) struct Group {
    /// Items so far.
    pub(super) opened: u32,
    /// No more will come.
    pub(super) closed: bool,
    /// Closing it was counted: from now on its last item frees what it held of the item around.
    pub(super) counted_out: bool,
    /// The list that they were to come from is missing.
    pub(super) missing: bool,
    /// Of its open items, how many still hold something at each depth around them.
    pub(super) open_at: Box<[u32]>,
    /// The open items, as a chain.
    pub(super) first: Option<u32>,
    /// Which keys were there, by 96 bits of their hash, and at which position: a thousandth of a
    /// millionth of a chance that a million keys are refused wrongly, for 16 bytes a key.
    pub(super) seen: HashMap<[u8; 12], u32>,
    /// The keys in order, if somebody takes all of the fan-out.
    pub(super) keys: Arc<Vec<Box<str>>>,
    /// Each collected node.
    pub(super) collected: Box<[Collected]>,
}

/// All values of one node of a fan-out.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) sum: Sum,
    pub(super) done: u32,
    pub(super) missing: BTreeSet<u32>,
    /// The values themselves, if no record holds them.
    pub(super) values: Arc<Vec<Arc<str>>>,
}

impl Instance {
    pub(super) fn new(
        plan: &Plan,
        scope: usize,
        parent: Option<u32>,
        position: u32,
        item: Item,
    ) -> Self {
        let shape = &plan.scopes[scope];
        let groups = shape.children.iter().map(|&child| Group::new(plan, child, shape));
        Instance {
            scope,
            parent,
            position,
            item,
            slots: shape.nodes.iter().map(|_| Slot::Waiting).collect(),
            steps: shape.stages.iter().map(|_| Step::Settled).collect(),
            groups: groups.collect(),
            open_at: shape.base.clone().into(),
            before: None,
            behind: None,
        }
    }

    /// Whether its values may still be lent: it holds its slot, or is the run itself.
    pub(super) fn is_early(&self) -> bool {
        self.parent.is_none() || self.open_at.last().is_some_and(|&open| open > 0)
    }
}

impl Group {
    fn new(plan: &Plan, scope: usize, around: &PlanScope) -> Self {
        let nodes = plan.scopes[scope].nodes.iter();
        let collected = nodes.filter(|&&node| plan.nodes[node].collected.is_some());
        Group {
            open_at: vec![0; around.depth + 1].into(),
            collected: collected.map(|_| Collected::default()).collect(),
            ..Group::default()
        }
    }

    /// Whether every item's value of the `n`th collected node is there, or never will be.
    pub(super) fn is_complete(&self, n: usize) -> bool {
        let collected = &self.collected[n];
        let settled = collected.done as usize + collected.missing.len();
        self.closed && settled == self.opened as usize
    }
}

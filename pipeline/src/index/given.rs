//! What a step is handed: values that are held, records to be read, whole fan-outs.

use std::sync::Arc;

use super::instance::Slot;
use super::{Index, RUN};
use crate::digest::Digest;
use crate::graph::{Live, Origin};
use crate::inputs::Wire;
use crate::name::Item;

/// Where one input of a step is.
pub(crate) enum Need {
    /// Here.
    Live(Live),
    /// In the record of this step.
    Recorded { stage: usize, item: Item },
    /// All of a fan-out.
    Many(Frozen),
}

/// All of a fan-out that has all its items. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Frozen {
    /// The item around the fan-out.
    pub(crate) around: Item,
    pub(crate) keys: Arc<Vec<Box<str>>>,
    /// The positions of those that are there, if some are not.
    pub(crate) there: Option<Arc<Vec<u32>>>,
    pub(crate) from: Origins,
}

/// Where the values of a fan-out are read.
#[derive(Clone)]
pub(crate) enum Origins {
    /// In the records of this stage.
    Stage(usize),
    /// Here, as JSON.
    Held(Arc<Vec<Arc<str>>>),
}

impl Frozen {
    pub(crate) fn len(&self) -> usize {
        self.there.as_ref().map_or(self.keys.len(), |there| there.len())
    }

    /// The position of the `n`th that is there.
    pub(crate) fn position(&self, n: usize) -> Option<usize> {
        match &self.there {
            None => (n < self.keys.len()).then_some(n),
            Some(there) => there.get(n).map(|&position| position as usize),
        }
    }
}

impl Index {
    /// The inputs of a step that is ready.
    pub(crate) fn needs(&self, stage: usize, at: u32) -> Vec<Need> {
        let wires = &self.plan.stages[stage].wires;
        wires.iter().filter_map(|wire| self.need(*wire, at)).collect()
    }

    /// Where an item's list is.
    pub(crate) fn list(&self, node: usize, at: u32) -> Option<Need> {
        self.need(Wire { node, pipeline: 0, all: false }, at)
    }

    /// A target's value, if there is one.
    pub(crate) fn target(&self, wire: Wire) -> Option<Need> {
        let node = &self.plan.nodes[wire.node];
        if wire.all {
            let group = &self.item(RUN).groups[self.plan.scopes[node.scope].group];
            let n = node.collected?;
            let whole = group.is_complete(n) && !group.missing;
            return (whole && group.collected[n].missing.is_empty())
                .then(|| self.need(wire, RUN))
                .flatten();
        }
        match self.item(RUN).slots.get(node.slot)? {
            Slot::Done { .. } if node.scope == 0 && node.needed => match node.origin {
                Origin::Stage(stage) => Some(Need::Recorded { stage, item: Item::root() }),
                _ => self.need(wire, RUN),
            },
            _ => None,
        }
    }

    /// The digests of a step's inputs.
    pub(super) fn inputs(&self, stage: usize, at: u32) -> Vec<Digest> {
        let digest = |wire: &Wire| {
            let node = &self.plan.nodes[wire.node];
            if wire.all {
                let parent = self.plan.scopes[node.scope].parent.unwrap_or_default();
                let around = self.item(self.around(at, parent));
                let group = &around.groups[self.plan.scopes[node.scope].group];
                return group.collected[node.collected.unwrap_or_default()].sum.digest();
            }
            match &self.item(self.around(at, node.scope)).slots[node.slot] {
                Slot::Done { hash, .. } => *hash,
                Slot::Waiting | Slot::Missing => unreachable!("a ready step has all its inputs"),
            }
        };
        self.plan.stages[stage].wires.iter().map(digest).collect()
    }

    fn need(&self, wire: Wire, at: u32) -> Option<Need> {
        let node = &self.plan.nodes[wire.node];
        if wire.all {
            let parent = self.plan.scopes[node.scope].parent?;
            return Some(Need::Many(self.freeze(wire.node, self.around(at, parent))?));
        }
        let around = self.item(self.around(at, node.scope));
        match (&around.slots[node.slot], node.origin) {
            (Slot::Done { live: Some(live), .. }, _) => Some(Need::Live(Arc::clone(live))),
            (Slot::Done { live: None, .. }, Origin::Stage(stage)) => {
                Some(Need::Recorded { stage, item: around.item.clone() })
            }
            _ => None,
        }
    }

    fn freeze(&self, node: usize, parent: u32) -> Option<Frozen> {
        let shape = &self.plan.nodes[node];
        let around = self.item(parent);
        let group = &around.groups[self.plan.scopes[shape.scope].group];
        let collected = &group.collected[shape.collected?];
        let there = (!collected.missing.is_empty()).then(|| {
            let missing = &collected.missing;
            Arc::new((0..group.opened).filter(|position| !missing.contains(position)).collect())
        });
        let from = match shape.origin {
            Origin::Stage(stage) => Origins::Stage(stage),
            _ => Origins::Held(Arc::clone(&collected.values)),
        };
        Some(Frozen { around: around.item.clone(), keys: Arc::clone(&group.keys), there, from })
    }
}

//! How the end of one step spreads: to those who take its value, to joins, to slots of windows.
//!
//! A queue instead of recursion: a failure may block a million steps in one call.

use std::sync::Arc;

use super::instance::{Group, Slot, Step};
use super::{Change, Index, Ready};
use crate::digest::Digest;
use crate::graph::Live;
use crate::plan::NEVER;

/// What is still to be spread.
pub(super) enum Work {
    /// The node has its value at the item, or never will.
    Node { at: u32, node: usize },
    /// Something that holds slots up to the depth before `late_from` has ended at the item.
    Ended { at: u32, late_from: usize },
    /// The fan-out inside the item gives no more items.
    Closed { at: u32, scope: usize },
    /// Nothing of the item is left.
    Forget(u32),
}

impl Index {
    /// Spreads everything, and says what it brought about.
    pub(super) fn settle(&mut self) -> Change {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Node { at, node } => self.spread(at, node),
                Work::Ended { at, late_from } => {
                    let depth = self.plan.scopes[self.item(at).scope].depth;
                    let last = late_from.min(depth + 1);
                    for depth in (0..last).rev() {
                        self.release(at, depth);
                    }
                }
                Work::Closed { at, scope } => self.release_group(at, scope),
                Work::Forget(at) => self.forget(at),
            }
        }
        std::mem::take(&mut self.change)
    }

    /// Gives a node its value at an item.
    pub(super) fn fill(&mut self, at: u32, node: usize, hash: Digest, live: Option<Live>) {
        let slot = self.plan.nodes[node].slot;
        self.item_mut(at).slots[slot] = Slot::Done { hash, live };
        self.work.push_back(Work::Node { at, node });
    }

    /// A step will have no result: it failed, or cannot run.
    pub(super) fn lose(&mut self, stage: usize, at: u32) {
        let node = self.plan.stages[stage].node;
        let slot = self.plan.nodes[node].slot;
        self.item_mut(at).slots[slot] = Slot::Missing;
        self.work.push_back(Work::Node { at, node });
        self.end_step(stage, at);
    }

    /// Its node's work is queued before this: an item is forgotten only after its values spread.
    pub(super) fn end_step(&mut self, stage: usize, at: u32) {
        let (slot, late_from) = (self.plan.stages[stage].slot, self.plan.stages[stage].late_from);
        debug_assert!(self.item(at).steps[slot] != Step::Settled, "a step ends once");
        self.item_mut(at).steps[slot] = Step::Settled;
        self.unsettled[stage] -= 1;
        // While items may still come, a stage is without steps again and again: nobody's news.
        self.change.ended |= self.is_finished(stage);
        self.work.push_back(Work::Ended { at, late_from });
    }

    /// Blocks the steps of a new item that need something which is already lost.
    pub(super) fn block_at_birth(&mut self, at: u32) {
        let plan = Arc::clone(&self.plan);
        let scope = self.item(at).scope;
        for &stage in &plan.scopes[scope].stages {
            let lost = plan.stages[stage].wires.iter().any(|wire| {
                let node = &plan.nodes[wire.node];
                if !wire.all {
                    let around = self.item(self.around(at, node.scope));
                    return node.scope != scope && matches!(around.slots[node.slot], Slot::Missing);
                }
                let Some(parent) = plan.scopes[node.scope].parent else { return false };
                let group =
                    &self.item(self.around(at, parent)).groups[plan.scopes[node.scope].group];
                node.collected.is_some_and(|n| {
                    group.is_complete(n) && !usable(group, n, plan.stages[stage].allow_missing)
                })
            });
            if lost {
                self.block(stage, at);
            }
        }
    }

    /// To everybody who waits for this node at this item.
    fn spread(&mut self, at: u32, node: usize) {
        let plan = Arc::clone(&self.plan);
        let shape = &plan.nodes[node];
        let there = self.collect(at, node);
        for &stage in &shape.takers {
            self.for_each_below(at, plan.stages[stage].scope, |index, at| {
                index.wire(stage, at, there);
            });
        }
        for &scope in &shape.expands {
            if there {
                self.lists[scope].push_back(at);
                self.change.room.push(scope);
            } else {
                self.close_group(at, scope, true);
            }
        }
    }

    /// Counts the value in its fan-out, if somebody takes all of it; whether there is one.
    fn collect(&mut self, at: u32, node: usize) -> bool {
        let plan = Arc::clone(&self.plan);
        let shape = &plan.nodes[node];
        let item = self.item(at);
        let hash = match &item.slots[shape.slot] {
            Slot::Done { hash, .. } => Some(*hash),
            _ => None,
        };
        if let (Some(n), Some(parent)) = (shape.collected, item.parent) {
            let (position, key) = (item.position, item.item.clone());
            let group = &mut self.item_mut(parent).groups[plan.scopes[shape.scope].group];
            match hash {
                Some(hash) => {
                    group.collected[n].sum.add(position, key.shown(), &hash);
                    group.collected[n].done += 1;
                }
                None => {
                    group.collected[n].missing.insert(position);
                }
            }
            if group.is_complete(n) {
                self.join(parent, node, n);
            }
        }
        hash.is_some()
    }

    /// All of a fan-out is there, or never will be: to everybody who waits for that.
    fn join(&mut self, parent: u32, node: usize, n: usize) {
        let plan = Arc::clone(&self.plan);
        for &stage in &plan.nodes[node].collectors {
            let group = &self.item(parent).groups[plan.scopes[plan.nodes[node].scope].group];
            let there = usable(group, n, plan.stages[stage].allow_missing);
            self.for_each_below(parent, plan.stages[stage].scope, |index, at| {
                index.wire(stage, at, there);
            });
        }
    }

    /// One wire of one step: there, or lost.
    fn wire(&mut self, stage: usize, at: u32, there: bool) {
        let slot = self.plan.stages[stage].slot;
        match (self.item(at).steps[slot], there) {
            (Step::Waiting(1), true) => {
                self.item_mut(at).steps[slot] = Step::Ready;
                let ready = Ready {
                    stage,
                    at,
                    item: self.item(at).item.clone(),
                    inputs: self.inputs(stage, at),
                };
                self.change.ready.push(ready);
            }
            (Step::Waiting(more), true) => {
                self.item_mut(at).steps[slot] = Step::Waiting(more - 1);
            }
            (Step::Waiting(_), false) => self.block(stage, at),
            // Blocked by another wire before.
            (Step::Ready | Step::Settled, _) => {}
        }
    }

    fn block(&mut self, stage: usize, at: u32) {
        let item = self.item(at).item.clone();
        self.change.blocked.push((stage, item));
        self.lose(stage, at);
    }

    /// Calls `f` for the item itself if it lives in `scope`, else for all open items inside it that
    /// do.
    fn for_each_below(&mut self, at: u32, scope: usize, mut f: impl FnMut(&mut Self, u32)) {
        let mut found = vec![at];
        let mut path = Vec::new();
        let mut level = scope;
        while level != self.item(at).scope {
            path.push(level);
            let Some(parent) = self.plan.scopes[level].parent else { return };
            level = parent;
        }
        for level in path.into_iter().rev() {
            let group = self.plan.scopes[level].group;
            let mut inside = Vec::new();
            for &at in &found {
                let mut next = self.item(at).groups[group].first;
                while let Some(at) = next {
                    inside.push(at);
                    next = self.item(at).behind;
                }
            }
            found = inside;
        }
        for at in found {
            f(self, at);
        }
    }

    pub(super) fn close_group(&mut self, at: u32, scope: usize, missing: bool) {
        let place = self.plan.scopes[scope].group;
        let group = &mut self.item_mut(at).groups[place];
        debug_assert!(!group.closed, "a fan-out is closed once");
        group.closed = true;
        group.missing = missing;
        group.seen = std::collections::HashMap::new();
        self.unclosed[scope] -= 1;
        self.change.ended = true;
        let plan = Arc::clone(&self.plan);
        for &node in &plan.scopes[scope].nodes {
            let Some(n) = plan.nodes[node].collected else { continue };
            if self.item(at).groups[place].is_complete(n) {
                self.join(at, node, n);
            }
        }
        self.work.push_back(Work::Closed { at, scope });
    }

    /// What a closed fan-out held at each depth is free where none of its items holds it.
    fn release_group(&mut self, at: u32, scope: usize) {
        let (place, late_from) = (self.plan.scopes[scope].group, self.plan.scopes[scope].late_from);
        let depth = self.plan.scopes[self.item(at).scope].depth;
        self.item_mut(at).groups[place].counted_out = true;
        for depth in (0..late_from.min(depth + 1)).rev() {
            if self.item(at).groups[place].open_at[depth] == 0 {
                self.release(at, depth);
            }
        }
    }

    /// One thing less holds the item's slot at `depth`.
    fn release(&mut self, at: u32, depth: usize) {
        let item = self.item_mut(at);
        item.open_at[depth] -= 1;
        if item.open_at[depth] > 0 {
            return;
        }
        let (scope, parent) = (item.scope, item.parent);
        let shape = &self.plan.scopes[scope];
        let (own, place, late_from) = (shape.depth, shape.group, shape.late_from);
        if depth == own && depth > 0 {
            self.leave_window(at);
        }
        if depth == 0 {
            // Before what is around it: that holds the chain which this item leaves.
            self.change.ended |= parent.is_none();
            self.work.push_back(Work::Forget(at));
        }
        if let Some(parent) = parent.filter(|_| depth < own) {
            let group = &mut self.item_mut(parent).groups[place];
            group.open_at[depth] -= 1;
            if group.counted_out && group.open_at[depth] == 0 && depth < late_from {
                self.release(parent, depth);
            }
        }
    }

    /// The item's slot is free; what is recorded need not be held any longer.
    fn leave_window(&mut self, at: u32) {
        let scope = self.item(at).scope;
        self.open[scope] -= 1;
        self.change.room.push(scope);
        let plan = Arc::clone(&self.plan);
        for &node in &plan.scopes[scope].nodes {
            let keep = match plan.nodes[node].origin {
                crate::graph::Origin::Stage(_) => false,
                // No record holds it: it stays if a late step takes it.
                _ => plan.nodes[node].takers.iter().any(|&s| plan.stages[s].late_from != NEVER),
            };
            let slot = &mut self.item_mut(at).slots[plan.nodes[node].slot];
            if let (Slot::Done { live, .. }, false) = (slot, keep) {
                *live = None;
            }
        }
    }

    fn forget(&mut self, at: u32) {
        let Some(parent) = self.item(at).parent else { return };
        let place = self.plan.scopes[self.item(at).scope].group;
        let (before, behind) = (self.item(at).before, self.item(at).behind);
        match before {
            Some(before) => self.item_mut(before).behind = behind,
            None => self.item_mut(parent).groups[place].first = behind,
        }
        if let Some(behind) = behind {
            self.item_mut(behind).before = before;
        }
        self.items[at as usize] = None;
        self.free.push(at);
    }
}

/// Whether a complete fan-out can be taken.
fn usable(group: &Group, n: usize, allow_missing: bool) -> bool {
    !group.missing && (allow_missing || group.collected[n].missing.is_empty())
}

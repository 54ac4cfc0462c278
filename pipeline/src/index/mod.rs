//! What is ready: items, steps and joins, in memory.
//!
//! A plain data structure without threads, disk or user code: items are opened, steps end, and each
//! call says which steps have become ready by it. Everything that changes together is in here, and
//! its owner keeps it under one lock.

mod given;
mod instance;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) use self::given::{Frozen, Need, Origins};
use self::instance::{Instance, Slot, Step};
use self::settle::Work;
use crate::digest::Digest;
use crate::graph::{Cell, Live, NewItem};
use crate::name::Item;
use crate::plan::Plan;

/// The number of the run itself.
pub(crate) const RUN: u32 = 0;

/// Where every open item and its steps stand.
pub(crate) struct Index {
    plan: Arc<Plan>,
    /// Open items by number; a number is used again after its item is through.
    items: Vec<Option<Instance>>,
    free: Vec<u32>,
    /// By scope: items that hold a slot of the window.
    open: Vec<usize>,
    /// By scope: items whose list is there and waits to be opened.
    lists: Vec<VecDeque<u32>>,
    /// By scope: fan-outs that may still give items.
    unclosed: Vec<u64>,
    /// By stage: steps that exist and have not ended.
    unsettled: Vec<u64>,
    work: VecDeque<Work>,
    change: Change,
}

/// What a call brought about.
#[derive(Default)]
pub(crate) struct Change {
    /// Steps that have become ready.
    pub(crate) ready: Vec<Ready>,
    /// Steps that can no longer run: stage and item.
    pub(crate) blocked: Vec<(usize, Item)>,
    /// By scope: whether a slot of its window, or a list to open, is newly there.
    pub(crate) room: Vec<usize>,
    /// A stage may have ended, or the whole run.
    pub(crate) ended: bool,
}

/// A step whose inputs are all there.
pub(crate) struct Ready {
    pub(crate) stage: usize,
    /// The number of its item: valid until the step has ended.
    pub(crate) at: u32,
    pub(crate) item: Item,
    /// The digest of each input, in order.
    pub(crate) inputs: Vec<Digest>,
}

/// A key that is there twice: at which positions, from 0.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub(crate) key: String,
    pub(crate) first: u32,
    pub(crate) second: u32,
}

impl Index {
    /// The run itself, with its values in place.
    pub(crate) fn new(plan: Arc<Plan>, values: &[(usize, Cell)]) -> (Self, Change) {
        let scopes = plan.scopes.len();
        let mut index = Index {
            items: Vec::new(),
            free: Vec::new(),
            open: vec![0; scopes],
            lists: vec![VecDeque::new(); scopes],
            unclosed: vec![0; scopes],
            unsettled: vec![0; plan.stages.len()],
            work: VecDeque::new(),
            change: Change::default(),
            plan,
        };
        index.insert(Instance::new(&index.plan, 0, None, 0, Item::root()));
        for (node, cell) in values {
            if index.plan.nodes[*node].needed {
                index.fill(RUN, *node, cell.hash, Some(Arc::clone(&cell.live)));
            }
        }
        let change = index.settle();
        (index, change)
    }

    /// Opens an item of the fan-out `scope` inside `parent`.
    pub(crate) fn open(
        &mut self,
        parent: u32,
        scope: usize,
        new: NewItem,
    ) -> Result<Change, Duplicate> {
        let plan = Arc::clone(&self.plan);
        let place = plan.scopes[scope].group;
        let opener = plan.scopes[scope].opener.unwrap_or_default();
        let around = self.item_mut(parent);
        let item = around.item.child(&new.key);
        let group = &mut around.groups[place];
        let position = group.opened;
        let mut short = [0; 12];
        short.copy_from_slice(&Digest::of(new.key.as_bytes()).as_bytes()[..12]);
        if let Some(&first) = group.seen.get(&short) {
            return Err(Duplicate { key: new.key, first, second: position });
        }
        group.seen.insert(short, position);
        group.opened += 1;
        if plan.scopes[scope].collects {
            Arc::make_mut(&mut group.keys).push(new.key.into());
        }
        if let Some(n) = plan.nodes[opener].collected {
            Arc::make_mut(&mut group.collected[n].values).push(Arc::clone(&new.cell.json));
        }
        let at = self.insert(Instance::new(&plan, scope, Some(parent), position, item));
        self.fill(at, opener, new.cell.hash, Some(new.cell.live));
        self.block_at_birth(at);
        if plan.scopes[scope].base[0] == 0 {
            self.work.push_back(Work::Forget(at));
        }
        Ok(self.settle())
    }

    /// The fan-out `scope` inside `parent` gives no more items.
    pub(crate) fn close(&mut self, parent: u32, scope: usize) -> Change {
        self.close_group(parent, scope, false);
        self.settle()
    }

    /// A step has its result. `live` is lent to those who need it soon.
    pub(crate) fn done(
        &mut self,
        stage: usize,
        at: u32,
        hash: Digest,
        live: Option<Live>,
    ) -> Change {
        let node = self.plan.stages[stage].node;
        let live = live.filter(|_| self.item(at).is_early());
        self.fill(at, node, hash, live);
        self.end_step(stage, at);
        self.settle()
    }

    /// A step failed: what needs it is blocked.
    pub(crate) fn failed(&mut self, stage: usize, at: u32) -> Change {
        self.lose(stage, at);
        self.settle()
    }

    /// The next list to be opened in the fan-out `scope`.
    pub(crate) fn next_list(&mut self, scope: usize) -> Option<u32> {
        self.lists[scope].pop_front()
    }

    /// Whether the window of `scope` has room for one more item.
    pub(crate) fn has_room(&self, scope: usize, window: usize) -> bool {
        self.open[scope] < window || !self.holds_slots(scope)
    }

    /// Whether a list of the fan-out waits to be opened.
    pub(crate) fn has_lists(&self, scope: usize) -> bool {
        !self.lists[scope].is_empty()
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.item(RUN).open_at[0] == 0
    }

    /// Whether the stage has no step left, and none will come.
    pub(crate) fn is_finished(&self, stage: usize) -> bool {
        self.unsettled[stage] == 0 && self.is_sealed(self.plan.stages[stage].scope)
    }

    /// How many items hold a slot of the fan-out's window.
    #[cfg(test)]
    pub(crate) fn open_items(&self, scope: usize) -> usize {
        self.open[scope]
    }

    /// How many items are known.
    #[cfg(test)]
    pub(crate) fn known_items(&self) -> usize {
        self.items.iter().flatten().count() - 1
    }

    /// Whether the fan-out will give no more items anywhere.
    pub(crate) fn is_sealed(&self, scope: usize) -> bool {
        let Some(parent) = self.plan.scopes[scope].parent else { return true };
        self.unclosed[scope] == 0 && self.is_sealed(parent)
    }

    fn holds_slots(&self, scope: usize) -> bool {
        self.plan.scopes[scope].base.last().is_some_and(|&base| base > 0)
    }

    fn item(&self, at: u32) -> &Instance {
        // A number stays taken until the last step of its item has ended, and callers have them of
        // steps that have not.
        self.items[at as usize].as_ref().expect("an open item")
    }

    fn item_mut(&mut self, at: u32) -> &mut Instance {
        self.items[at as usize].as_mut().expect("an open item")
    }

    /// The item around `at` (or itself) that lives in `scope`.
    fn around(&self, mut at: u32, scope: usize) -> u32 {
        while self.item(at).scope != scope {
            let Some(parent) = self.item(at).parent else { break };
            at = parent;
        }
        at
    }

    /// Takes an item in: numbers it, links it to its neighbours, counts what it holds.
    fn insert(&mut self, mut new: Instance) -> u32 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.items.push(None);
            // Four thousand million open items do not fit into memory.
            u32::try_from(self.items.len() - 1).unwrap_or(u32::MAX)
        });
        let plan = Arc::clone(&self.plan);
        let shape = &plan.scopes[new.scope];
        if let Some(parent) = new.parent {
            let group = &mut self.item_mut(parent).groups[shape.group];
            for (open, &base) in group.open_at.iter_mut().zip(&shape.base) {
                *open += u32::from(base > 0);
            }
            new.behind = group.first.replace(at);
            if let Some(behind) = new.behind {
                self.item_mut(behind).before = Some(at);
            }
        }
        if new.parent.is_some() && self.holds_slots(new.scope) {
            self.open[new.scope] += 1;
        }
        for &child in &shape.children {
            self.unclosed[child] += 1;
        }
        let scope = new.scope;
        self.items[at as usize] = Some(new);
        for (slot, &stage) in shape.stages.iter().enumerate() {
            self.unsettled[stage] += 1;
            let waiting = self.wires_missing(at, scope, stage);
            self.item_mut(at).steps[slot] = Step::Waiting(waiting);
        }
        at
    }

    /// How many wires of a new item's step are not there yet. Those of its own scope never are.
    fn wires_missing(&self, at: u32, scope: usize, stage: usize) -> u16 {
        let missing = self.plan.stages[stage].wires.iter().filter(|wire| {
            let node = &self.plan.nodes[wire.node];
            if wire.all {
                let Some(parent) = self.plan.scopes[node.scope].parent else { return false };
                let around = self.item(self.around(at, parent));
                let group = &around.groups[self.plan.scopes[node.scope].group];
                return !node.collected.is_some_and(|n| group.is_complete(n));
            }
            node.scope == scope || {
                let around = self.item(self.around(at, node.scope));
                matches!(around.slots[node.slot], Slot::Waiting)
            }
        });
        u16::try_from(missing.count()).unwrap_or(u16::MAX)
    }
}

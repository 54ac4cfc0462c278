//! The shape of a run: what its target needs, who waits for whom, and which steps hold a window
//! slot.
//!
//! Nothing here runs anything or knows a type. The index walks this; so does who draws the graph.

use std::collections::BTreeSet;

use crate::graph::{Graph, Origin};
use crate::inputs::Wire;

/// A depth that no scope has: of what holds a slot of every fan-out around it.
pub(crate) const NEVER: usize = usize::MAX;

/// The graph, cut down to what is needed. Indices are those of the graph.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) scopes: Vec<PlanScope>,
    pub(crate) nodes: Vec<PlanNode>,
    pub(crate) stages: Vec<PlanStage>,
}

#[derive(Debug)]
pub(crate) struct PlanScope {
    pub(crate) name: String,
    pub(crate) depth: usize,
    pub(crate) parent: Option<usize>,
    /// Needed nodes of this scope; a node's `slot` is its place here.
    pub(crate) nodes: Vec<usize>,
    /// Needed stages of this scope; a stage's `slot` is its place here.
    pub(crate) stages: Vec<usize>,
    /// Needed fan-outs inside this scope; a scope's `group` is its place in its parent's list.
    pub(crate) children: Vec<usize>,
    pub(crate) group: usize,
    /// The node whose values are this fan-out's items.
    pub(crate) opener: Option<usize>,
    /// Somebody takes all of one of its nodes.
    pub(crate) collects: bool,
    /// From which depth on the opening of this fan-out holds no slot: see [`PlanStage::late_from`].
    pub(crate) late_from: usize,
    /// For each depth `d` up to this scope's: how many of an item's steps and fan-outs must end
    /// before the slot of the item around it at depth `d` is free. At 0: before it is forgotten.
    pub(crate) base: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct PlanNode {
    pub(crate) name: String,
    pub(crate) scope: usize,
    pub(crate) slot: usize,
    pub(crate) origin: Origin,
    /// Stages that take this node's one value, once for each wire.
    pub(crate) takers: Vec<usize>,
    /// Stages that take all of this node's fan-out, once for each wire.
    pub(crate) collectors: Vec<usize>,
    /// Somebody, perhaps the target, takes all of it: its place among such nodes of its scope.
    pub(crate) collected: Option<usize>,
    /// Fan-outs that open this node's list.
    pub(crate) expands: Vec<usize>,
    pub(crate) needed: bool,
}

#[derive(Debug)]
pub(crate) struct PlanStage {
    pub(crate) name: String,
    pub(crate) scope: usize,
    pub(crate) slot: usize,
    pub(crate) node: usize,
    pub(crate) wires: Vec<Wire>,
    pub(crate) allow_missing: bool,
    /// From which depth on a step holds no window slot: behind a collect that would have to wait
    /// for the very items that the slot keeps out. [`NEVER`] for ordinary stages.
    pub(crate) late_from: usize,
    pub(crate) needed: bool,
}

impl Plan {
    /// What the wires of the target need.
    pub(crate) fn new(graph: &Graph, target: &[Wire]) -> Self {
        let mut plan = Plan::shape(graph);
        plan.mark(graph, target);
        plan.connect(target);
        plan.find_late();
        plan.count();
        plan
    }

    /// The stages that are needed, each behind those that it needs.
    pub(crate) fn needed(&self) -> impl Iterator<Item = (usize, &PlanStage)> {
        // A node exists before who takes it: the order of building is such an order.
        self.stages.iter().enumerate().filter(|(_, stage)| stage.needed)
    }

    fn shape(graph: &Graph) -> Self {
        let scopes = graph.scopes.iter().map(|scope| PlanScope {
            name: scope.name.clone(),
            depth: scope.path.len(),
            parent: scope.parent,
            nodes: Vec::new(),
            stages: Vec::new(),
            children: Vec::new(),
            group: 0,
            opener: None,
            collects: false,
            late_from: NEVER,
            base: Vec::new(),
        });
        let nodes = graph.nodes.iter().map(|node| PlanNode {
            name: node.name.clone(),
            scope: node.scope,
            slot: 0,
            origin: node.origin,
            takers: Vec::new(),
            collectors: Vec::new(),
            collected: None,
            expands: Vec::new(),
            needed: false,
        });
        let stages = graph.stages.iter().map(|stage| PlanStage {
            name: stage.name.clone(),
            scope: stage.scope,
            slot: 0,
            node: stage.node,
            wires: stage.wires.clone(),
            allow_missing: stage.settings.allow_missing,
            late_from: NEVER,
            needed: false,
        });
        Plan { scopes: scopes.collect(), nodes: nodes.collect(), stages: stages.collect() }
    }

    /// Backwards from the target: stages, the nodes they take, the fan-outs these live in.
    fn mark(&mut self, graph: &Graph, target: &[Wire]) {
        let mut todo: Vec<usize> = target.iter().map(|wire| wire.node).collect();
        while let Some(node) = todo.pop() {
            if std::mem::replace(&mut self.nodes[node].needed, true) {
                continue;
            }
            match self.nodes[node].origin {
                Origin::Value(_) | Origin::Source(_) => {}
                Origin::Expand(expand) => todo.push(graph.expands[expand].from),
                Origin::Stage(stage) => {
                    self.stages[stage].needed = true;
                    todo.extend(self.stages[stage].wires.iter().map(|wire| wire.node));
                }
            }
            todo.extend(self.opener(self.nodes[node].scope));
        }
        for expand in &graph.expands {
            if self.nodes[expand.to].needed {
                let scope = self.nodes[expand.to].scope;
                self.nodes[expand.from].expands.push(scope);
            }
        }
    }

    fn opener(&self, scope: usize) -> Option<usize> {
        let opens = |node: &PlanNode| {
            node.scope == scope && matches!(node.origin, Origin::Source(_) | Origin::Expand(_))
        };
        self.nodes.iter().position(opens)
    }

    fn connect(&mut self, target: &[Wire]) {
        for (id, node) in self.nodes.iter_mut().enumerate().filter(|(_, node)| node.needed) {
            let scope = &mut self.scopes[node.scope];
            node.slot = scope.nodes.len();
            scope.nodes.push(id);
        }
        for (id, stage) in self.stages.iter_mut().enumerate().filter(|(_, stage)| stage.needed) {
            let scope = &mut self.scopes[stage.scope];
            stage.slot = scope.stages.len();
            scope.stages.push(id);
            for wire in &stage.wires {
                let node = &mut self.nodes[wire.node];
                let list = if wire.all { &mut node.collectors } else { &mut node.takers };
                list.push(id);
            }
        }
        for scope in 1..self.scopes.len() {
            let Some(parent) = self.scopes[scope].parent else { continue };
            if !self.scopes[scope].nodes.is_empty() {
                self.scopes[scope].group = self.scopes[parent].children.len();
                self.scopes[parent].children.push(scope);
            }
        }
        for id in 0..self.scopes.len() {
            self.scopes[id].opener = self.opener(id);
            let scope = &mut self.scopes[id];
            let of_target = |node: usize| target.iter().any(|wire| wire.all && wire.node == node);
            let mut place = 0;
            for &id in &scope.nodes {
                if !self.nodes[id].collectors.is_empty() || of_target(id) {
                    self.nodes[id].collected = Some(place);
                    scope.collects = true;
                    place += 1;
                }
            }
        }
    }

    /// Which steps must hold no slot.
    ///
    /// An item holds a slot of its fan-out's window until its steps have ended. A step behind a
    /// collect ends only after a whole fan-out was pulled. So windows wait for windows, and a
    /// circle of such waits is a deadlock: in the simplest case a collect that feeds back into its
    /// own fan-out, with more items than the window holds. Going through the stages in order, each
    /// adds the waits that it causes; one that would close a circle is *late* instead: it holds no
    /// slot from that depth on. What it delays is a second pass over items that have left the
    /// window.
    fn find_late(&mut self) {
        let mut waits: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.scopes.len()];
        for (id, scope) in self.scopes.iter().enumerate() {
            if let Some(parent) = scope.parent {
                waits[parent].insert(id); // an item is not through before those inside it are
            }
        }
        let mut behind: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.nodes.len()];
        for id in 0..self.nodes.len() {
            let scope = self.nodes[id].scope;
            match self.nodes[id].origin {
                Origin::Value(_) | Origin::Source(_) => {}
                Origin::Expand(_) => {
                    let lists = self.nodes.iter().position(|node| node.expands.contains(&scope));
                    if let Some(list) = lists {
                        let same = behind[list].clone();
                        behind[id].extend(same);
                        if let Origin::Stage(stage) = self.nodes[list].origin {
                            self.scopes[scope].late_from = self.stages[stage].late_from;
                        }
                        // A list that is itself an element of a late list is as late.
                        let around = self.scopes[self.nodes[list].scope].late_from;
                        let own = self.scopes[scope].late_from;
                        self.scopes[scope].late_from = own.min(around);
                    }
                }
                Origin::Stage(stage) => {
                    let mut all = self.behind_opener(scope, &behind);
                    for wire in &self.stages[stage].wires {
                        all.extend(&behind[wire.node]);
                        if wire.all {
                            all.insert(self.nodes[wire.node].scope);
                            all.extend(self.behind_opener(self.nodes[wire.node].scope, &behind));
                        }
                    }
                    self.stages[stage].late_from = self.hold(scope, &all, &mut waits);
                    behind[id] = all;
                }
            }
        }
    }

    fn behind_opener(&self, scope: usize, behind: &[BTreeSet<usize>]) -> BTreeSet<usize> {
        self.scopes[scope].opener.map(|node| behind[node].clone()).unwrap_or_default()
    }

    /// Lets the scopes around a stage wait for `all`, from the outermost in, as far as no circle
    /// comes of it.
    fn hold(&self, scope: usize, all: &BTreeSet<usize>, waits: &mut [BTreeSet<usize>]) -> usize {
        let mut path = Vec::new();
        let mut at = Some(scope);
        while let Some(scope) = at {
            if self.scopes[scope].depth > 0 {
                path.push(scope);
            }
            at = self.scopes[scope].parent;
        }
        for &around in path.iter().rev() {
            if all.iter().any(|&other| other == around || reaches(waits, other, around)) {
                return self.scopes[around].depth;
            }
            waits[around].extend(all);
        }
        NEVER
    }

    fn count(&mut self) {
        for id in 0..self.scopes.len() {
            let scope = &self.scopes[id];
            let stages = scope.stages.iter().map(|&stage| self.stages[stage].late_from);
            let children = scope.children.iter().map(|&child| self.scopes[child].late_from);
            let late: Vec<usize> = stages.chain(children).collect();
            let base = |depth| {
                let holding = late.iter().filter(|&&late_from| late_from > depth).count();
                u32::try_from(holding).unwrap_or(u32::MAX)
            };
            self.scopes[id].base = (0..=scope.depth).map(base).collect();
        }
    }
}

fn reaches(waits: &[BTreeSet<usize>], from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut todo = vec![from];
    while let Some(at) = todo.pop() {
        if at == to {
            return true;
        }
        todo.extend(waits[at].iter().filter(|&&next| seen.insert(next)));
    }
    false
}

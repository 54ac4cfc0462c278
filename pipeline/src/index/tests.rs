//! Random graphs under random schedules, against a plain model.
//!
//! What must hold: nothing deadlocks, whatever the window; every step is ready or blocked exactly
//! once; it is ready only when all that it takes is there, and blocked only when something is lost;
//! no window holds more items than it may; nothing of an item is left when it is through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::fault::Fault;
use crate::graph::{
    Cell, Done, ExpandDef, Graph, Hooks, NodeDef, Origin, ScopeDef, Settings, SourceDef, StageDef,
};
use crate::inputs::{Given, Wire};

/// `SplitMix64` (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

/// A graph of sources, lists, stages, broadcasts and collects, each of which the types would allow.
fn random_graph(dice: &mut Dice) -> Graph {
    let mut graph = Graph::default();
    graph.scopes.push(ScopeDef { path: Vec::new(), name: String::new(), parent: None });
    for _ in 0..=dice.roll(2) {
        fan_out(&mut graph, 0, Err(()));
    }
    for n in 0..3 + dice.roll(7) {
        let scope = dice.roll(graph.scopes.len());
        stage(&mut graph, dice, scope, n);
        let list = graph.nodes.len() - 1;
        if dice.roll(3) == 0 && graph.scopes.len() < 7 && graph.nodes[list].scope == scope {
            fan_out(&mut graph, scope, Ok(list));
        }
    }
    graph
}

fn fan_out(graph: &mut Graph, parent: usize, list: Result<usize, ()>) {
    let scope = graph.scopes.len();
    let mut path = graph.scopes[parent].path.clone();
    path.push(std::any::TypeId::of::<()>()); // only its length is looked at here
    graph.scopes.push(ScopeDef { path, name: format!("scope{scope}"), parent: Some(parent) });
    let node = graph.nodes.len();
    let origin = match list {
        Err(()) => Origin::Source(graph.sources.len()),
        Ok(_) => Origin::Expand(graph.expands.len()),
    };
    graph.nodes.push(NodeDef { scope, name: format!("scope{scope}"), origin });
    match list {
        Err(()) => graph.sources.push(SourceDef { node, items: Box::new(std::iter::empty()) }),
        Ok(from) => {
            let open = |_| -> Result<_, Fault> { Ok(Box::new(std::iter::empty()) as _) };
            graph.expands.push(ExpandDef { from, to: node, open: Box::new(open) });
        }
    }
}

fn stage(graph: &mut Graph, dice: &mut Dice, scope: usize, n: usize) {
    let around = |mut at: usize| {
        let mut all = vec![at];
        while let Some(parent) = graph.scopes[at].parent {
            all.push(parent);
            at = parent;
        }
        all
    };
    let path = around(scope);
    let wire = |node, all| Wire { node, pipeline: 0, all };
    let lead = |node: &usize| graph.nodes[*node].scope == scope;
    let inside = |node: &usize| graph.scopes[graph.nodes[*node].scope].parent == Some(scope);
    let nodes: Vec<usize> = (0..graph.nodes.len()).collect();
    let mut leads: Vec<Wire> = nodes.iter().filter(|n| lead(n)).map(|&n| wire(n, false)).collect();
    leads.extend(nodes.iter().filter(|n| inside(n)).map(|&n| wire(n, true)));
    if leads.is_empty() {
        return;
    }
    let mut wires = vec![leads[dice.roll(leads.len())]];
    for _ in 0..dice.roll(3) {
        let node = dice.roll(nodes.len());
        let of = graph.nodes[node].scope;
        let parent = graph.scopes[of].parent;
        if dice.roll(2) == 0 && path.contains(&of) {
            wires.push(wire(node, false));
        } else if parent.is_some_and(|parent| path.contains(&parent)) {
            wires.push(wire(node, true));
        }
    }
    let node = graph.nodes.len();
    let name = format!("stage{n}");
    let origin = Origin::Stage(graph.stages.len());
    graph.nodes.push(NodeDef { scope, name: name.clone(), origin });
    let step = |_: &crate::Cx<'_>, _: &[Given], _: &Hooks<'_>| Ok(Done::Cancelled);
    graph.stages.push(StageDef {
        node,
        scope,
        name,
        settings: Settings { allow_missing: dice.roll(4) == 0, ..Settings::default() },
        wires,
        gate: None,
        step: Box::new(step),
        decode: |_| Ok(Arc::new(())),
        retire: Box::new(|| ()),
    });
}

/// What has become of a node at an item.
type Path = Vec<String>;

/// The truth, held the slow way.
#[derive(Default)]
struct Model {
    settled: BTreeMap<(usize, Path), bool>,
    /// By fan-out and the item around it: the keys so far, and whether that is all; `None`: its
    /// list is missing.
    items: BTreeMap<(usize, Path), (Vec<String>, Option<bool>)>,
    seen: BTreeSet<(usize, Path)>,
}

impl Model {
    /// `None` while it is open, else whether the wire can be taken.
    fn wire(&self, plan: &Plan, wire: Wire, path: &Path, allow_missing: bool) -> Option<bool> {
        let depth = plan.scopes[plan.nodes[wire.node].scope].depth;
        if !wire.all {
            return self.settled.get(&(wire.node, path[..depth].to_vec())).copied();
        }
        let around = path[..depth - 1].to_vec();
        let scope = plan.nodes[wire.node].scope;
        let (keys, closed) = self.items.get(&(scope, around.clone()))?;
        match closed {
            None => return Some(false),
            Some(false) => return None,
            Some(true) => {}
        }
        let mut all = true;
        for key in keys {
            let mut item = around.clone();
            item.push(key.clone());
            all &= self.settled.get(&(wire.node, item)).copied()?;
        }
        Some(all || allow_missing)
    }
}

struct Sim<'d> {
    dice: &'d mut Dice,
    plan: Arc<Plan>,
    index: Index,
    model: Model,
    window: usize,
    /// Fan-outs that give items: scope, the number and path of the item around, how many are left.
    feeds: Vec<(usize, u32, Path, usize)>,
    running: Vec<Ready>,
}

impl Sim<'_> {
    fn path(item: &Item) -> Path {
        let keys = item.shown().split('/').filter(|key| !key.is_empty());
        keys.map(str::to_string).collect()
    }

    /// Everything that a change says, checked against the model.
    fn take(&mut self, change: Change) {
        for (stage, item) in change.blocked {
            let path = Self::path(&item);
            assert!(self.model.seen.insert((stage, path.clone())), "{stage} {path:?} twice");
            self.model.settled.insert((self.plan.stages[stage].node, path.clone()), false);
            self.lose_lists(self.plan.stages[stage].node, &path);
            let lost = self.wires(stage, &path).contains(&Some(false));
            assert!(lost, "stage {stage} at {path:?} is blocked by nothing");
        }
        for ready in change.ready {
            let path = Self::path(&ready.item);
            assert!(self.model.seen.insert((ready.stage, path.clone())), "{path:?} twice");
            let wires = self.wires(ready.stage, &path);
            assert!(wires.iter().all(|wire| *wire == Some(true)), "{path:?}: {wires:?}");
            assert_eq!(self.index.needs(ready.stage, ready.at).len(), wires.len());
            self.running.push(ready);
        }
        for scope in 1..self.plan.scopes.len() {
            assert!(self.index.open_items(scope) <= self.window);
        }
    }

    fn wires(&self, stage: usize, path: &Path) -> Vec<Option<bool>> {
        let shape = &self.plan.stages[stage];
        let wire = |wire: &Wire| self.model.wire(&self.plan, *wire, path, shape.allow_missing);
        shape.wires.iter().map(wire).collect()
    }

    fn lose_lists(&mut self, node: usize, path: &Path) {
        for &scope in &self.plan.nodes[node].expands {
            self.model.items.insert((scope, path.clone()), (Vec::new(), None));
        }
    }

    fn finish_step(&mut self) {
        let ready = self.running.swap_remove(self.dice.roll(self.running.len()));
        let (path, node) = (Self::path(&ready.item), self.plan.stages[ready.stage].node);
        let done = self.dice.roll(12) > 0;
        self.model.settled.insert((node, path.clone()), done);
        let change = if done {
            self.index.done(ready.stage, ready.at, Digest::of(b"x"), Some(Arc::new(())))
        } else {
            self.lose_lists(node, &path);
            self.index.failed(ready.stage, ready.at)
        };
        self.take(change);
    }

    /// Lists that are to be opened become feeds.
    fn open_lists(&mut self) {
        for scope in 1..self.plan.scopes.len() {
            while let Some(at) = self.index.next_list(scope) {
                let path = Self::path(&self.index.item(at).item);
                let items = self.dice.roll(6);
                self.feeds.push((scope, at, path, items));
            }
        }
    }

    /// One item, or the end, of a fan-out that may give one; whether there was such a fan-out.
    fn feed(&mut self) -> bool {
        let free =
            |(scope, ..): &(usize, u32, Path, usize)| self.index.has_room(*scope, self.window);
        // As the feeder's thread does: one list of a fan-out after another.
        let mut first = BTreeSet::new();
        let can: Vec<usize> = (0..self.feeds.len())
            .filter(|&n| first.insert(self.feeds[n].0) && free(&self.feeds[n]))
            .collect();
        if can.is_empty() {
            return false;
        }
        let n = can[self.dice.roll(can.len())];
        let (scope, at, path, left) = self.feeds[n].clone();
        let entry = self.model.items.entry((scope, path.clone())).or_insert((vec![], Some(false)));
        if left == 0 {
            entry.1 = Some(true);
            self.feeds.remove(n);
            let change = self.index.close(at, scope);
            self.take(change);
            return true;
        }
        self.feeds[n].3 -= 1;
        let key = format!("k{left}");
        entry.0.push(key.clone());
        let mut item = path;
        item.push(key.clone());
        let opener = self.plan.scopes[scope].opener.unwrap();
        self.model.settled.insert((opener, item), true);
        let new = NewItem { key, cell: Cell::of(left).unwrap() };
        let change = self.index.open(at, scope, new).unwrap();
        self.take(change);
        true
    }
}

fn simulate(seed: u64) {
    let mut dice = Dice(seed);
    let graph = random_graph(&mut dice);
    let target: Vec<Wire> =
        graph.stages.iter().map(|s| Wire { node: s.node, pipeline: 0, all: false }).collect();
    let plan = Arc::new(Plan::new(&graph, &target));
    let (index, change) = Index::new(Arc::clone(&plan), &[]);
    let window = 1 + dice.roll(3);
    let mut feeds = Vec::new();
    for source in graph.sources.iter().filter(|source| plan.nodes[source.node].needed) {
        feeds.push((plan.nodes[source.node].scope, RUN, Vec::new(), dice.roll(9)));
    }
    let (dice, model, running) = (&mut dice, Model::default(), Vec::new());
    let mut sim = Sim { dice, plan, index, model, window, feeds, running };
    sim.take(change);
    while !sim.index.is_over() {
        sim.open_lists();
        let fed = sim.dice.roll(2) == 0 && sim.feed();
        if !fed && !sim.running.is_empty() {
            sim.finish_step();
        } else if !fed && !sim.feed() {
            panic!("seed {seed}: a deadlock with a window of {window}");
        }
    }
    assert!(sim.running.is_empty() && sim.feeds.is_empty());
    assert_eq!(sim.index.known_items(), 0, "seed {seed}: items are left");
    assert!((0..sim.plan.stages.len()).all(|stage| sim.index.is_finished(stage)));
    for ((scope, around), (keys, _)) in &sim.model.items {
        let items = keys.iter().map(|key| [&around[..], std::slice::from_ref(key)].concat());
        for item in items {
            for &stage in &sim.plan.scopes[*scope].stages {
                assert!(sim.model.seen.contains(&(stage, item.clone())), "{stage} {item:?}");
            }
        }
    }
}

#[test]
fn random_graphs_under_random_schedules_keep_the_rules() {
    let rounds = std::env::var("RATCHET_INDEX_ROUNDS").ok().and_then(|n| n.parse().ok());
    for seed in 0..rounds.unwrap_or(3_000) {
        simulate(seed);
    }
}

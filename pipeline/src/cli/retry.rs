//! `retry`: runs the steps that failed and what depends on them, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use super::run::{Job, Run};
use super::{Outcome, exit, human};
use crate::error::RunError;
use crate::graph::{Graph, Origin};
use crate::inputs::Wire;
use crate::look::{Look, Named};
use crate::name::Item;
use crate::options::Admit;
use crate::plan::Plan;
use crate::record::FailRecord;
use crate::target::Target;

#[derive(Args, Clone, Debug)]
pub(super) struct Retry {
    /// Only what failed of this stage
    stage: Option<String>,
    /// Only these of its items
    items: Vec<String>,
    /// Print what happens as JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// What a retry runs, and what it has left.
#[derive(Default)]
struct Asked {
    /// By stage: how many keys of an item must agree, and with which.
    stages: BTreeMap<String, BTreeMap<usize, BTreeSet<String>>>,
    /// Stages that go without missing items, with all that stand before them: one that was left
    /// must not make them go without it.
    forgiving: BTreeMap<String, BTreeSet<String>>,
    left: Mutex<BTreeSet<String>>,
    count: AtomicU64,
}

impl Retry {
    pub(super) fn go<R: Target>(self, job: Job<'_, R>) -> Outcome {
        let Job { pipeline, target, place, .. } = &job;
        let name = pipeline.name.clone();
        let look = Look::at(&place.root, place.run()?)?;
        if let Some(stage) = &self.stage {
            Look::stage(&look.stages()?, stage)?;
        }
        let failed = self.wanted(&look)?;
        let found = |item: &&String| failed.iter().any(|failed| failed.item == **item);
        if let Some(item) = self.items.iter().find(|item| !found(item)) {
            let step = human::step(self.stage.as_deref().unwrap_or_default(), item);
            let said = format!("`{step}` did not fail: `failures` lists what did");
            return Ok(exit::complain(&name, &said, exit::USAGE));
        }
        if failed.is_empty() {
            eprintln!("{name}: nothing failed, nothing to try again");
            return Ok(ExitCode::SUCCESS);
        }
        let wires = pipeline.target(target.wires());
        let asked = Arc::new(Asked::new(&pipeline.graph, &wires, &failed));
        let ask = Arc::clone(&asked);
        let admit: Admit = Arc::new(move |stage, item| ask.admits(stage, item));
        let outcome = Run::of_retry(self.json).go(job, Some(admit));
        // ORDERING: Relaxed: the run is over, and its threads were joined.
        let left = asked.count.load(Ordering::Relaxed);
        if left > 0 && !self.json {
            let steps = human::count(left, "other step");
            eprintln!("{name}: {steps} that would run, and what needs them, left to `run`");
        }
        outcome
    }

    fn wanted(&self, look: &Look) -> Result<Vec<Named<FailRecord>>, RunError> {
        let wanted = |failed: &Named<FailRecord>| {
            self.stage.as_ref().is_none_or(|stage| *stage == failed.stage)
                && (self.items.is_empty() || self.items.contains(&failed.item))
        };
        let failed: Vec<_> = look.failures().collect::<Result<_, _>>()?;
        Ok(failed.into_iter().filter(wanted).collect())
    }
}

impl Asked {
    fn new(graph: &Graph, target: &[Wire], failed: &[Named<FailRecord>]) -> Self {
        let plan = Plan::new(graph, target);
        let mut asked = Asked::default();
        let mut reached = BTreeMap::new();
        for Named { stage, encoded, .. } in failed {
            let depths = reached.entry(stage).or_insert_with(|| reach(&plan, stage));
            for (&stage, &depth) in depths.iter() {
                let name = plan.stages[stage].name.clone();
                let keys = asked.stages.entry(name).or_default().entry(depth).or_default();
                keys.insert(first(encoded, depth).to_string());
            }
        }
        for (id, stage) in plan.needed().filter(|(_, stage)| stage.allow_missing) {
            asked.forgiving.insert(stage.name.clone(), before(graph, &plan, id));
        }
        asked
    }

    /// Whether the step is one of those that failed, or depends on one.
    fn admits(&self, stage: &str, item: &Item) -> bool {
        // A name is added whole, or not at all.
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let depends = self.stages.get(stage).is_some_and(|depths| {
            depths.iter().any(|(&depth, keys)| keys.contains(first(item.encoded(), depth)))
        });
        let without = self.forgiving.get(stage).is_some_and(|before| !before.is_disjoint(&left));
        if depends && !without {
            return true;
        }
        left.insert(stage.to_string());
        // ORDERING: Relaxed: a figure, read when nobody counts any longer.
        self.count.fetch_add(1, Ordering::Relaxed);
        false
    }
}

/// The first `depth` keys of an item, as records name them.
fn first(encoded: &str, depth: usize) -> &str {
    match (depth, encoded.match_indices('/').nth(depth.saturating_sub(1))) {
        (0, _) => "",
        (_, Some((end, _))) => &encoded[..end],
        (_, None) => encoded,
    }
}

/// The stages that depend on a step of `stage`, itself among them, and how many of its item's keys
/// theirs must have: all within one item, fewer behind a collect, which mixes the items of a
/// fan-out.
fn reach(plan: &Plan, stage: &str) -> BTreeMap<usize, usize> {
    let mut depths = BTreeMap::new();
    let failed = plan.needed().find(|(_, found)| found.name == *stage);
    let mut todo: Vec<(usize, usize)> = Vec::new();
    if let Some((id, found)) = failed {
        let depth = plan.scopes[found.scope].depth;
        depths.insert(id, depth);
        todo.push((found.node, depth));
    }
    while let Some((node, kept)) = todo.pop() {
        let shape = &plan.nodes[node];
        let own = plan.scopes[shape.scope].depth;
        let takers = shape.takers.iter().map(|&stage| (stage, kept));
        let collectors =
            shape.collectors.iter().map(|&stage| (stage, kept.min(own.saturating_sub(1))));
        for (stage, kept) in takers.chain(collectors) {
            if depths.get(&stage).is_none_or(|&known| kept < known) {
                depths.insert(stage, kept);
                todo.push((plan.stages[stage].node, kept));
            }
        }
        todo.extend(
            shape.expands.iter().filter_map(|&scope| Some((plan.scopes[scope].opener?, kept))),
        );
    }
    depths
}

/// The stages that stand before a stage.
fn before(graph: &Graph, plan: &Plan, stage: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut todo: Vec<usize> = plan.stages[stage].wires.iter().map(|wire| wire.node).collect();
    while let Some(node) = todo.pop() {
        match plan.nodes[node].origin {
            Origin::Value(_) | Origin::Source(_) => {}
            Origin::Expand(expand) => todo.push(graph.expands[expand].from),
            Origin::Stage(stage) => {
                if found.insert(plan.stages[stage].name.clone()) {
                    todo.extend(plan.stages[stage].wires.iter().map(|wire| wire.node));
                    todo.extend(plan.scopes[plan.stages[stage].scope].opener);
                }
            }
        }
    }
    found
}

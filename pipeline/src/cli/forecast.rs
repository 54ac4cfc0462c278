//! What a run would do: the deck is read and every step looked up, and nothing is called.
//!
//! The same index that a run uses is driven with what is recorded. A step without a result stands
//! for a failure there: what the index then calls blocked is what would run after it, made of
//! results that nobody has yet.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::engine::{cache_key, idempotency_key};
use crate::error::RunError;
use crate::graph::{Cell, Graph, Items, Open, Origin};
use crate::index::{Change, Index, Need, RUN, Ready};
use crate::inputs::{Given, Wire};
use crate::look::Look;
use crate::name::Item;
use crate::plan::Plan;
use crate::record::MadeOf;
use crate::store::{Cached, Miss, Recorded, StepName, Why, cached};

use super::pace::Pace;

/// What would be done, by stage of the graph.
pub(super) struct Forecast {
    pub(super) stages: Vec<StageForecast>,
    pub(super) steps: Vec<Step>,
}

/// One stage that the target needs.
pub(super) struct StageForecast {
    pub(super) id: usize,
    pub(super) name: String,
    pub(super) run: u64,
    pub(super) reused: u64,
    /// Its items come of a list that is still to be made: there will be more steps.
    pub(super) more: bool,
}

/// A step that would run.
pub(super) struct Step {
    pub(super) stage: usize,
    pub(super) item: Item,
    pub(super) reason: Reason,
}

/// Why a step would run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// A call began and did not come back.
    InDoubt,
    /// It failed in an earlier run.
    Failed,
    /// A file of its result is gone or has another size.
    File(String),
    /// Its stage has another version.
    Version { from: u32, to: u32 },
    /// These inputs are others than its result was made of.
    Input(String),
    /// It has no result.
    New,
    /// It has one, and what it was made of is made again: only if that comes out otherwise.
    Behind,
}

/// The walk through the index.
struct Walk<'w> {
    pipeline: &'w str,
    run: &'w str,
    graph: &'w Graph,
    plan: Arc<Plan>,
    index: Index,
    found: Option<&'w Look>,
    pace: &'w mut Pace,
    reused: Vec<u64>,
    steps: Vec<Step>,
}

/// Where items come from.
enum Spring {
    Source(Items),
    Lists { node: usize, open: Open },
}

/// Reads the sources and looks everything up.
///
/// # Errors
/// As of a run, but for what only work brings about.
pub(super) fn forecast(
    pipeline: &str,
    run: &str,
    mut graph: Graph,
    target: &[Wire],
    found: Option<&Look>,
    pace: &mut Pace,
) -> Result<(Forecast, Graph), RunError> {
    let plan = Arc::new(Plan::new(&graph, target));
    let values: Vec<(usize, Cell)> = graph.values.drain(..).map(|v| (v.node, v.cell)).collect();
    let springs = springs(&mut graph, &plan);
    let (index, ready) = Index::new(Arc::clone(&plan), &values);
    let mut walk = Walk {
        pipeline,
        run,
        graph: &graph,
        plan: Arc::clone(&plan),
        index,
        found,
        pace,
        reused: vec![0; graph.stages.len()],
        steps: Vec::new(),
    };
    walk.follow(ready)?;
    let mut lists = Vec::new();
    for (scope, spring) in springs {
        match spring {
            Spring::Source(items) => walk.open(RUN, scope, items)?,
            Spring::Lists { node, open } => lists.push((scope, node, open)),
        }
    }
    walk.open_lists(&lists)?;
    let Walk { reused, steps, .. } = walk;
    let stages = stages(&plan, &reused, &steps);
    Ok((Forecast { stages, steps }, graph))
}

fn springs(graph: &mut Graph, plan: &Plan) -> BTreeMap<usize, Spring> {
    let needed = |node: usize| plan.nodes[node].needed;
    let sources = graph.sources.drain(..).filter(|source| needed(source.node));
    let mut springs: BTreeMap<usize, Spring> =
        sources.map(|s| (plan.nodes[s.node].scope, Spring::Source(s.items))).collect();
    for expand in graph.expands.drain(..).filter(|expand| needed(expand.to)) {
        let spring = Spring::Lists { node: expand.from, open: expand.open };
        springs.insert(plan.nodes[expand.to].scope, spring);
    }
    springs
}

fn stages(plan: &Plan, reused: &[u64], steps: &[Step]) -> Vec<StageForecast> {
    let mut run = vec![0; plan.stages.len()];
    for step in steps {
        run[step.stage] += 1;
    }
    // A fan-out is not known if its list is to be made, or the fan-out around it is not known.
    let mut unknown = vec![false; plan.scopes.len()];
    for (id, scope) in plan.scopes.iter().enumerate() {
        let list = plan.nodes.iter().find(|node| node.expands.contains(&id));
        let to_be_made = list.is_some_and(|list| match list.origin {
            Origin::Stage(stage) => run[stage] > 0 || unknown[list.scope],
            _ => unknown[list.scope],
        });
        unknown[id] = to_be_made || scope.parent.is_some_and(|parent| unknown[parent]);
    }
    let stage = |(id, stage): (usize, &crate::plan::PlanStage)| StageForecast {
        id,
        name: stage.name.clone(),
        run: run[id],
        reused: reused[id],
        more: unknown[stage.scope],
    };
    plan.needed().map(stage).collect()
}

impl Walk<'_> {
    /// Opens all items of one fan-out.
    fn open(&mut self, parent: u32, scope: usize, mut items: Items) -> Result<(), RunError> {
        let fan_out = self.plan.scopes[scope].name.clone();
        for position in 1.. {
            let broken = |cause: &str| RunError::Source {
                fan_out: fan_out.clone(),
                position,
                cause: cause.to_string(),
            };
            // The user's iterator and key: a panic there is an error of the source, as in a run.
            let item = match catch_unwind(AssertUnwindSafe(|| items.next())) {
                Ok(None) => break,
                Ok(Some(Ok(item))) => item,
                Ok(Some(Err(fault))) => return Err(broken(&fault.to_string())),
                Err(_) => return Err(broken("its source panicked")),
            };
            let opened = self.index.open(parent, scope, item);
            let change = opened.map_err(|twice| RunError::DuplicateKey {
                fan_out: fan_out.clone(),
                key: twice.key,
                first: u64::from(twice.first) + 1,
                second: u64::from(twice.second) + 1,
            })?;
            self.follow(change)?;
        }
        let change = self.index.close(parent, scope);
        self.follow(change)
    }

    /// Opens the lists that are recorded, and those that come of these.
    fn open_lists(&mut self, lists: &[(usize, usize, Open)]) -> Result<(), RunError> {
        loop {
            let mut opened = false;
            for (scope, node, open) in lists {
                while let Some(at) = self.index.next_list(*scope) {
                    opened = true;
                    let broken = |cause: String| RunError::Source {
                        fan_out: self.plan.scopes[*scope].name.clone(),
                        position: 0,
                        cause,
                    };
                    let need = self.index.list(*node, at);
                    let Some(Given::One(live)) = need.and_then(|need| self.given(need)) else {
                        return Err(broken("its list does not read back".into()));
                    };
                    let items = open(live).map_err(|fault| broken(fault.to_string()))?;
                    self.open(at, *scope, items)?;
                }
            }
            if !opened {
                return Ok(());
            }
        }
    }

    /// Looks up what became ready, and what becomes ready by that.
    fn follow(&mut self, change: Change) -> Result<(), RunError> {
        let mut todo = self.behind(change)?;
        while let Some(ready) = todo.pop() {
            let change = self.look_up(ready)?;
            todo.extend(self.behind(change)?);
        }
        Ok(())
    }

    /// Takes in what cannot be looked up, since it needs what is to be made; gives the rest.
    fn behind(&mut self, change: Change) -> Result<Vec<Ready>, RunError> {
        for (stage, item) in change.blocked {
            let name = &self.graph.stages[stage].name;
            let reason = if self.found.holds(&item.record("step", name)) {
                Reason::Behind
            } else if self.found.holds(&item.record("fail", name)) {
                Reason::Failed
            } else {
                let begun = self.found.map(|look| look.begun(name, &item)).transpose()?;
                if begun.flatten().is_some() { Reason::InDoubt } else { Reason::New }
            };
            self.steps.push(Step { stage, item, reason });
        }
        Ok(change.ready)
    }

    fn look_up(&mut self, ready: Ready) -> Result<Change, RunError> {
        let Ready { stage, at, item, inputs } = ready;
        let def = &self.graph.stages[stage];
        let name = StepName { stage: &def.name, item: &item };
        let key = cache_key(&def.name, def.settings.version, &inputs);
        let (pipeline, run) = (self.pipeline, self.run);
        let call = || idempotency_key(pipeline, run, name, &key);
        let needs = self.index.needs(stage, at);
        let partial = |need: &Need| matches!(need, Need::Many(all) if all.there.is_some());
        let reason = match cached(&self.found, name, &key, &call)? {
            // It may leave items out, and those are to be made first.
            _ if needs.iter().any(partial) => {
                let held = self.found.holds(&item.record("step", &def.name));
                if held { Reason::Behind } else { Reason::New }
            }
            Cached::Hit { hash } => {
                self.reused[stage] += 1;
                return Ok(self.index.done(stage, at, hash, None));
            }
            Cached::Miss(miss) => {
                let short: Vec<String> = inputs.iter().map(crate::digest::Digest::short).collect();
                self.reason(stage, miss, &short)
            }
        };
        if let Some(gate) =
            self.graph.stages[stage].gate.as_ref().filter(|_| self.pace.wants(stage))
        {
            let given: Option<Vec<Given>> =
                needs.into_iter().map(|need| self.given(need)).collect();
            self.pace.takes(stage, gate, given.as_deref());
        }
        self.steps.push(Step { stage, item, reason });
        Ok(self.index.failed(stage, at))
    }

    fn reason(&self, stage: usize, miss: Miss, inputs: &[String]) -> Reason {
        if miss.in_doubt {
            return Reason::InDoubt;
        }
        match miss.why {
            _ if miss.failed => Reason::Failed,
            Why::New => Reason::New,
            Why::File(file) => Reason::File(file),
            Why::Changed(MadeOf { version, inputs: old }) => {
                let to = self.graph.stages[stage].settings.version;
                if version != to {
                    return Reason::Version { from: version, to };
                }
                let wires = self.plan.stages[stage].wires.iter();
                let changed = wires.enumerate().filter(|(n, _)| old.get(*n) != inputs.get(*n));
                let names =
                    changed.map(|(_, wire)| format!("`{}`", self.plan.nodes[wire.node].name));
                Reason::Input(names.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// One input, if it is there.
    fn given(&self, need: Need) -> Option<Given> {
        match need {
            Need::Live(live) => Some(Given::One(live)),
            Need::Recorded { stage, item } => {
                let def = &self.graph.stages[stage];
                let node = item.record("step", &def.name);
                let found: ValueAlone = self.found.read(&node).ok()??;
                (def.decode)(found.value.get()).ok().map(Given::One)
            }
            Need::Many(_) => None,
        }
    }
}

#[derive(serde::Deserialize)]
struct ValueAlone {
    value: Box<serde_json::value::RawValue>,
}

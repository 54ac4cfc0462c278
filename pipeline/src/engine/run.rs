//! A run from its folder's lock to its report.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use checkpoint::Checkpoint;
use ratelimit::Cancel;
use workqueue::{Step, WorkQueue};

use super::attempt::attempt;
use super::ending::Endings;
use super::feed::{self, Spring};
use super::gather::{Unread, given};
use super::retry::Capacity;
use super::tally::Tally;
use super::{Engine, Queue};
use crate::artefact;
use crate::error::RunError;
use crate::event::Event;
use crate::graph::{Cell, Graph, Origin};
use crate::index::{Change, Need};
use crate::inputs::{Given, Wire};
use crate::lock;
use crate::options::Options;
use crate::plan::Plan;
use crate::report::{End, Report};
use crate::run_record::RunLog;
use crate::stop::OnStop;
use crate::store::{LocalStore, Records, StepName};
use crate::target::Found;

/// Runs what `target` needs; the report's output is what was found for each of its wires.
pub(crate) fn run(
    pipeline: &str,
    graph: Graph,
    target: &[Wire],
    options: &Options,
) -> Result<Report<Vec<Found>>, RunError> {
    let mut graph = graph;
    let target = settle_options(&mut graph, target, options)?;
    let as_given = options.root.join(options.run.as_str());
    // A step, or anybody else in this process, may change the working folder while the run goes on.
    let root = std::path::absolute(&options.root).map_err(|source| RunError::Workspace {
        doing: "find",
        path: options.root.clone(),
        source,
    })?;
    let run_dir = root.join(options.run.as_str());
    let report = lock::hold(&run_dir, options.run.as_str(), || {
        artefact::sweep(&run_dir).map_err(|source| RunError::Workspace {
            doing: "sweep half-written files of",
            path: run_dir.clone(),
            source,
        })?;
        let checkpoint = Checkpoint::builder(&root, &options.run)
            .durability(options.durability)
            .open()
            .map_err(|error| RunError::Checkpoint {
                run: options.run.as_str().to_string(),
                source: error.into(),
            })?;
        let records = Records::new(checkpoint, options.run.as_str(), &run_dir);
        let plan = Arc::new(Plan::new(&graph, &target));
        let log = RunLog::begin(&records, pipeline, &graph, &plan)?;
        let result = work(pipeline, graph, &plan, &target, options, &records, &run_dir);
        log.end(&records, result)
    });
    report.map(|report| Report { run_dir: as_given, ..report })
}

/// Puts the options that change the graph into it; the target that they leave.
pub(crate) fn settle_options(
    graph: &mut Graph,
    target: &[Wire],
    options: &Options,
) -> Result<Vec<Wire>, RunError> {
    let find = |graph: &Graph, name: &str| {
        graph.stages.iter().position(|stage| stage.name == name).ok_or_else(|| {
            let known: Vec<_> = graph.stages.iter().map(|s| format!("`{}`", s.name)).collect();
            RunError::UnknownStage { name: name.to_string(), known: known.join(", ") }
        })
    };
    for (name, workers) in &options.workers {
        let stage = find(graph, name)?;
        graph.stages[stage].settings.workers = (*workers).max(1);
    }
    if options.only.is_empty() {
        return Ok(target.to_vec());
    }
    let wire = |name: &String| {
        let stage = &graph.stages[find(graph, name)?];
        Ok(Wire { node: stage.node, pipeline: 0, all: false })
    };
    options.only.iter().map(wire).collect()
}

/// Everything between the first record and the last.
fn work(
    pipeline: &str,
    mut graph: Graph,
    plan: &Arc<Plan>,
    target: &[Wire],
    options: &Options,
    records: &Records,
    run_dir: &Path,
) -> Result<(Report<Vec<Found>>, Vec<u64>), RunError> {
    let values: Vec<(usize, Cell)> = graph.values.drain(..).map(|v| (v.node, v.cell)).collect();
    let springs = springs(&mut graph, plan);
    let (store, ready) =
        LocalStore::new(records.clone(), Arc::clone(plan), &values, options.window);
    let engine = Arc::new(Engine {
        pipeline: pipeline.to_string(),
        run: options.run.as_str().to_string(),
        run_dir: run_dir.to_path_buf(),
        tally: Tally::new(graph.stages.iter().map(|s| s.name.clone()), plan.scopes.len()),
        capacity: graph.stages.iter().map(|_| Capacity::default()).collect(),
        stages: graph.stages,
        plan: Arc::clone(plan),
        store: Arc::new(store),
        cancel: Cancel::new(),
        halt: options.halt,
        abandoned: AtomicBool::new(false),
        observe: options.observe.clone(),
        admit: options.admit.clone(),
        queues: RwLock::default(),
        endings: Endings::default(),
    });
    let listener: Arc<dyn OnStop> = Arc::clone(&engine) as Arc<dyn OnStop>;
    options.stop.tell(&listener);
    start(&engine, springs, ready);
    await_end(&engine, options.grace);
    let report = report(&engine, target, &values)?;
    let items = engine.tally.counts().items;
    let needed = plan.scopes.iter().zip(items).skip(1).filter(|(scope, _)| !scope.nodes.is_empty());
    Ok((report, needed.map(|(_, items)| items).collect()))
}

/// The sources and lists that are needed, by scope.
fn springs(graph: &mut Graph, plan: &Plan) -> BTreeMap<usize, Spring> {
    let needed = |node: usize| plan.nodes[node].needed;
    let sources = graph.sources.drain(..).filter(|source| needed(source.node));
    let sources = sources.map(|s| (plan.nodes[s.node].scope, Spring::Source(s.items)));
    let mut springs: BTreeMap<usize, Spring> = sources.collect();
    for expand in graph.expands.drain(..).filter(|expand| needed(expand.to)) {
        let spring = Spring::Lists { node: expand.from, open: expand.open };
        springs.insert(plan.nodes[expand.to].scope, spring);
    }
    springs
}

fn start(engine: &Arc<Engine>, springs: BTreeMap<usize, Spring>, ready: Change) {
    let names: Vec<&str> = engine.plan.needed().map(|(_, stage)| &*stage.name).collect();
    engine.tell(&Event::Began { stages: &names });
    engine.tally.opened(0, &engine.plan.scopes[0].stages);
    let started: Result<(), RunError> = (|| {
        let mut queues = Vec::new();
        for (id, stage) in engine.plan.stages.iter().enumerate() {
            queues.push(if stage.needed { Some(queue(engine, id)?) } else { None });
        }
        // Nobody else has seen them: nobody can have panicked over them.
        *engine.queues.write().unwrap_or_else(PoisonError::into_inner) = queues;
        springs.into_iter().try_for_each(|(scope, spring)| feed::start(engine, scope, spring))
    })();
    if let Err(error) = started {
        engine.fail(error);
    }
    engine.drive(ready);
}

/// Drops the worker's adapter on the worker's own thread when the worker ends.
struct Retire {
    engine: Arc<Engine>,
    stage: usize,
}

impl Drop for Retire {
    fn drop(&mut self) {
        (self.engine.stages[self.stage].retire)();
    }
}

fn queue(engine: &Arc<Engine>, stage: usize) -> Result<Queue, RunError> {
    let def = &engine.stages[stage];
    let (theirs, name) = (Arc::clone(engine), def.name.clone());
    WorkQueue::<(), ()>::builder()
        .workers(def.settings.workers)
        .name(def.name.clone())
        .discard_outcomes()
        .start_with(
            move |_| Retire { engine: Arc::clone(&theirs), stage },
            |worker: &mut Retire, task, context| {
                let (engine, index) = (&worker.engine, context.worker().index());
                let what = || format!("a worker of stage `{}`", engine.stages[worker.stage].name);
                let done = engine.guard(what, || attempt(engine, index, task));
                done.unwrap_or(Step::Done(()))
            },
        )
        .map_err(|error| RunError::Workers { stage: name, source: error.into() })
}

/// Ends the stages one after another, as each has done its last step; or all at once.
fn await_end(engine: &Arc<Engine>, grace: Duration) {
    for (id, _) in engine.plan.needed() {
        engine.store.await_stage(id);
        if engine.is_ending() {
            break;
        }
        let mut queues = engine.queues.write().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.get_mut(id).and_then(Option::take);
        drop(queues);
        if let Some(queue) = queue {
            // The sentinel; and every adapter of the stage is dropped when this returns.
            queue.wait_completion();
        }
    }
    // Fan-outs that no stage takes, if the target does.
    engine.store.await_over();
    if engine.is_ending() {
        wind_up(engine, grace);
    }
}

/// Lets what is in flight finish, for as long as the grace time lasts.
fn wind_up(engine: &Arc<Engine>, grace: Duration) {
    let mut queues = engine.queues.write().unwrap_or_else(PoisonError::into_inner);
    let queues: Vec<Queue> = std::mem::take(&mut *queues).into_iter().flatten().collect();
    for queue in &queues {
        queue.cancel();
    }
    let until = Instant::now().checked_add(grace);
    let mut late = false;
    for queue in &queues {
        // A grace beyond the clock's reach is one without end.
        let left =
            until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        late |= queue.join_timeout(left).is_err();
    }
    if late {
        // ORDERING: Release pairs with the Acquire in `Engine::is_abandoned`.
        engine.abandoned.store(true, Ordering::Release);
        // Dropping a queue waits for its workers: somebody else's time.
        let waiting = thread::Builder::new().name("abandoned".into()).spawn(move || drop(queues));
        drop(waiting);
    }
}

fn report(
    engine: &Engine,
    target: &[Wire],
    values: &[(usize, Cell)],
) -> Result<Report<Vec<Found>>, RunError> {
    let end = engine.endings.take()?;
    let output = if end == End::Finished { output(engine, target, values)? } else { None };
    let counts = engine.tally.counts();
    let needed = engine.plan.needed().map(|(id, _)| counts.stages[id].clone());
    let report = Report {
        output,
        stages: needed.collect(),
        failures: counts.failures.clone(),
        spent_usd: counts.spent_usd,
        run_dir: engine.run_dir.clone(),
        end,
    };
    engine.tell(&Event::Ended { end: &report.end });
    Ok(report)
}

/// What was found for each wire of the target; none if one of them has nothing.
fn output(
    engine: &Engine,
    target: &[Wire],
    values: &[(usize, Cell)],
) -> Result<Option<Vec<Found>>, RunError> {
    let mut all = Vec::new();
    for &wire in target {
        if let Origin::Value(_) = engine.plan.nodes[wire.node].origin {
            let value = values.iter().find(|(node, _)| *node == wire.node);
            all.extend(value.map(|(_, cell)| Found::One(Arc::clone(&cell.json))));
            continue;
        }
        let Some(need) = engine.store.target(wire) else { return Ok(None) };
        match need {
            Need::Recorded { stage, item } => {
                let step = StepName { stage: &engine.stages[stage].name, item: &item };
                all.extend(engine.store.values(&[step])?.into_iter().map(Found::One));
            }
            need => match given(engine, need) {
                Ok(Given::Many(members)) => all.push(Found::Many(members)),
                Err(Unread::Error(error)) => return Err(error),
                _ => return Ok(None),
            },
        }
    }
    Ok(Some(all))
}

//! A run looked at from outside, live or dead: without its lock, without a handle, without a
//! change.
//!
//! What every command but `run` stands on. It sees some state that the run was in, at least as new
//! as everything recorded before the look.

use std::fmt;
use std::path::{Path, PathBuf};

use checkpoint::{RunId, Snapshot};
use serde::de::DeserializeOwned;

use crate::error::RunError;
use crate::lock;
use crate::name::{self, Item};
use crate::record::{Ended, FailRecord, RunRecord, StartRecord, StepRecord};
use crate::run_record;
use crate::store::Recorded;

/// One look at a run.
pub(crate) struct Look {
    snapshot: Snapshot,
    run: String,
    run_dir: PathBuf,
    record: Option<RunRecord>,
    life: Life,
}

/// Whether somebody works on the run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Life {
    Running {
        pid: u32,
        host: Option<String>,
    },
    Ended(Ended),
    /// It was killed, or its machine went down: nobody said how it ended.
    Died,
}

/// What is recorded of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StageLook {
    pub(crate) name: String,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Calls that began and did not come back: in flight if the run is live, else in doubt.
    pub(crate) begun: u64,
    /// How many steps there are, once a run has seen all items.
    pub(crate) steps: Option<u64>,
}

/// A call that began and did not come back.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) stage: String,
    pub(crate) item: String,
    pub(crate) start: StartRecord,
}

/// A step's record with its name.
pub(crate) struct Named<T> {
    pub(crate) stage: String,
    pub(crate) item: String,
    /// The item as its record's name has it.
    pub(crate) encoded: String,
    pub(crate) record: T,
}

impl Look {
    /// Looks at the run `run` in `root`.
    ///
    /// # Errors
    /// There is no such run, or its checkpoint is damaged.
    pub(crate) fn at(root: &Path, run: &RunId) -> Result<Self, RunError> {
        let run_dir = root.join(run.as_str());
        // Before the snapshot: a run that ends in between has then said so in it.
        let holder = lock::in_use(&run_dir);
        let snapshot = checkpoint::read(root, run).map_err(|error| refused(root, run, error))?;
        let run = run.as_str().to_string();
        let record: Option<RunRecord> = get(&snapshot, &run, run_record::NODE)?;
        let life = match (holder, record.as_ref().and_then(|record| record.ended.clone())) {
            (Some((pid, host)), _) => Life::Running { pid, host },
            (None, Some(ended)) => Life::Ended(ended),
            (None, None) => Life::Died,
        };
        Ok(Look { snapshot, run, run_dir, record, life })
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    pub(crate) fn record(&self) -> Option<&RunRecord> {
        self.record.as_ref()
    }

    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    /// Every stage that the last process needed, in its order, and those of which records are left.
    pub(crate) fn stages(&self) -> Result<Vec<StageLook>, RunError> {
        let known = self.record.as_ref().map(|record| &*record.stages).unwrap_or_default();
        let steps = |fan_out: &str| {
            let record = self.record.as_ref()?;
            match fan_out {
                "" => Some(1),
                _ => record.fan_outs.iter().find(|f| f.name == fan_out).and_then(|f| f.items),
            }
        };
        let mut stages: Vec<StageLook> =
            known.iter().map(|stage| StageLook::new(&stage.name, steps(&stage.fan_out))).collect();
        for (kind, count) in [
            ("step/", (|stage| &mut stage.done) as fn(&mut StageLook) -> &mut u64),
            ("fail/", |stage| &mut stage.failed),
        ] {
            for node in self.snapshot.prefix(kind) {
                let (stage, _) = split(node);
                *count(entry(&mut stages, stage)) += 1;
            }
        }
        for call in self.calls()? {
            entry(&mut stages, &call.stage).begun += 1;
        }
        Ok(stages)
    }

    /// The stage of that name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn stage<'s>(
        stages: &'s [StageLook],
        name: &str,
    ) -> Result<&'s StageLook, RunError> {
        stages.iter().find(|stage| stage.name == name).ok_or_else(|| {
            let known: Vec<_> = stages.iter().map(|stage| format!("`{}`", stage.name)).collect();
            RunError::UnknownStage { name: name.to_string(), known: known.join(", ") }
        })
    }

    /// When the call began that did not come back; `None` if there is none.
    pub(crate) fn begun(&self, stage: &str, item: &Item) -> Result<Option<StartRecord>, RunError> {
        let start = self.read::<StartRecord>(&item.record("start", stage))?;
        Ok(start.filter(|start| !start.over))
    }

    /// Calls that began and did not come back.
    pub(crate) fn calls(&self) -> Result<Vec<Call>, RunError> {
        let mut calls = Vec::new();
        for found in self.named::<StartRecord>("start/", None) {
            let Named { stage, item, record: start, .. } = found?;
            if !start.over {
                calls.push(Call { stage, item, start });
            }
        }
        Ok(calls)
    }

    /// Steps that failed, in the order of their names.
    pub(crate) fn failures(
        &self,
    ) -> impl Iterator<Item = Result<Named<FailRecord>, RunError>> + '_ {
        self.named("fail/", None)
    }

    /// Steps that have a result, of one stage or of all, in the order of their names.
    pub(crate) fn steps<'l>(
        &'l self,
        stage: Option<&str>,
    ) -> impl Iterator<Item = Result<Named<StepRecord>, RunError>> + 'l {
        self.named("step/", stage)
    }

    fn named<'l, T: DeserializeOwned + ItemName>(
        &'l self,
        kind: &'static str,
        stage: Option<&str>,
    ) -> impl Iterator<Item = Result<Named<T>, RunError>> + 'l {
        let stage = stage.map(str::to_string);
        let wanted = move |node: &&str| stage.as_ref().is_none_or(|stage| split(node).0 == stage);
        self.snapshot.prefix(kind).filter(wanted).filter_map(|node| {
            let record = match get::<T>(&self.snapshot, &self.run, node) {
                Ok(record) => record?,
                Err(error) => return Some(Err(error)),
            };
            let (stage, encoded) = split(node);
            let item = record.item_name().map_or_else(|| name::shown(encoded), str::to_string);
            let (stage, encoded) = (stage.to_string(), encoded.to_string());
            Some(Ok(Named { stage, item, encoded, record }))
        })
    }
}

impl Recorded for Look {
    fn holds(&self, node: &str) -> bool {
        self.snapshot.contains(node)
    }

    fn read<T: DeserializeOwned>(&self, node: &str) -> Result<Option<T>, RunError> {
        get(&self.snapshot, &self.run, node)
    }

    fn run_dir(&self) -> &Path {
        &self.run_dir
    }
}

/// A run that has not begun has no record.
impl Recorded for Option<&Look> {
    fn holds(&self, node: &str) -> bool {
        self.is_some_and(|look| look.holds(node))
    }

    fn read<T: DeserializeOwned>(&self, node: &str) -> Result<Option<T>, RunError> {
        self.map_or(Ok(None), |look| look.read(node))
    }

    fn run_dir(&self) -> &Path {
        self.map_or(Path::new(""), |look| &look.run_dir)
    }
}

/// A record that may hold its item's keys itself.
trait ItemName {
    fn item_name(&self) -> Option<&str>;
}

impl ItemName for StepRecord {
    fn item_name(&self) -> Option<&str> {
        self.ran.item.as_deref()
    }
}

impl ItemName for StartRecord {
    fn item_name(&self) -> Option<&str> {
        self.item.as_deref()
    }
}

impl ItemName for FailRecord {
    fn item_name(&self) -> Option<&str> {
        Some(&self.item)
    }
}

impl StageLook {
    fn new(name: &str, steps: Option<u64>) -> Self {
        StageLook { name: name.to_string(), done: 0, failed: 0, begun: 0, steps }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Life::Running { pid, host: Some(host) } => {
                write!(f, "running, process {pid} on {host}")
            }
            Life::Running { pid, host: None } => write!(f, "running, process {pid}"),
            Life::Ended(Ended { how, reason: Some(reason), .. }) => write!(f, "{how}: {reason}"),
            Life::Ended(Ended { how, reason: None, .. }) => f.write_str(match how.as_str() {
                "failures" => "finished with failures",
                how => how,
            }),
            Life::Died => f.write_str("died; run it again to go on"),
        }
    }
}

/// The checkpoint's error, with the runs that there are if this is none of them.
pub(crate) fn refused(root: &Path, run: &RunId, error: checkpoint::Error) -> RunError {
    if !matches!(error, checkpoint::Error::NoSuchRun { .. }) {
        return RunError::Checkpoint { run: run.as_str().to_string(), source: error.into() };
    }
    let runs = checkpoint::runs(root).unwrap_or_default();
    let names: Vec<String> = runs.iter().map(|run| format!("`{}`", run.name)).collect();
    let known = match &*names {
        [] => "it holds none; `run` makes one, `--root` names another folder".to_string(),
        names => format!("`--run` may be {}", names.join(", ")),
    };
    RunError::NoSuchRun { run: run.as_str().to_string(), root: root.to_path_buf(), known }
}

fn entry<'s>(stages: &'s mut Vec<StageLook>, name: &str) -> &'s mut StageLook {
    let at = stages.iter().position(|stage| stage.name == name).unwrap_or_else(|| {
        stages.push(StageLook::new(name, None));
        stages.len() - 1
    });
    &mut stages[at]
}

/// Stage and encoded item of a record's name.
fn split(node: &str) -> (&str, &str) {
    let rest = node.split_once('/').map_or("", |(_, rest)| rest);
    rest.split_once('/').unwrap_or((rest, ""))
}

fn get<T: DeserializeOwned>(
    snapshot: &Snapshot,
    run: &str,
    node: &str,
) -> Result<Option<T>, RunError> {
    match snapshot.get::<T>(node) {
        Ok(entry) => Ok(entry.map(|entry| entry.value)),
        Err(error) => Err(RunError::Record {
            run: run.to_string(),
            node: node.to_string(),
            source: error.into(),
        }),
    }
}

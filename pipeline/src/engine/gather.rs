//! A step's inputs: those held in memory as they are, the others from their records.

use std::sync::Arc;

use super::{Engine, Task};
use crate::error::RunError;
use crate::fault::Fault;
use crate::index::{Need, Origins};
use crate::inputs::Given;
use crate::store::{StepName, StoredMembers};

/// Why inputs could not be had.
pub(super) enum Unread {
    /// The store refused: the run ends.
    Error(RunError),
    /// A record is none of its type: the step fails.
    Fault(Fault),
}

/// Everything that a step takes in.
pub(super) fn gather(engine: &Engine, task: &Task) -> Result<Vec<Given>, Unread> {
    let needs = engine.store.needs(task.id);
    needs.into_iter().map(|need| given(engine, need)).collect()
}

/// One input.
pub(super) fn given(engine: &Engine, need: Need) -> Result<Given, Unread> {
    match need {
        Need::Live(live) => Ok(Given::One(live)),
        Need::Recorded { stage, item } => {
            let stage = &engine.stages[stage];
            let step = StepName { stage: &stage.name, item: &item };
            let read = engine.store.values(&[step]).map_err(Unread::Error)?;
            let json = read.first().map_or("", |json| json);
            (stage.decode)(json).map(Given::One).map_err(|error| {
                Unread::Fault(Fault::fatal(format!(
                    "the recorded result of `{}` [{}] does not read back ({error}): raise its \
                     stage's `.version(..)`",
                    stage.name,
                    item.shown()
                )))
            })
        }
        Need::Many(frozen) => {
            let stage = match &frozen.from {
                Origins::Stage(stage) => engine.stages[*stage].name.as_str(),
                Origins::Held(_) => "",
            };
            let store = Arc::clone(&engine.store);
            Ok(Given::Many(Arc::new(StoredMembers::new(store, frozen, stage))))
        }
    }
}

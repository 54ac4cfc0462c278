//! Whether a step's recorded result still holds: asked by a run, and by who only looks.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Cached, Miss, StepName, Why};
use crate::artefact::Artefact;
use crate::digest::Digest;
use crate::error::RunError;
use crate::record::{MadeOf, StartRecord};

/// A run's records, open for work or only looked at.
pub(crate) trait Recorded {
    fn holds(&self, node: &str) -> bool;

    fn read<T: DeserializeOwned>(&self, node: &str) -> Result<Option<T>, RunError>;

    fn run_dir(&self) -> &Path;
}

/// What of a step's record tells whether it still holds; the rest is not parsed.
#[derive(serde::Deserialize)]
struct Found {
    key: Digest,
    made_of: MadeOf,
    value: Box<RawValue>,
    #[serde(default)]
    files: Vec<Artefact>,
}

/// See [`Store::cached`](super::Store::cached).
pub(crate) fn cached(
    recorded: &impl Recorded,
    step: StepName<'_>,
    key: &Digest,
    call: &dyn Fn() -> String,
) -> Result<Cached, RunError> {
    let mut stale_files = false;
    let mut why = Why::New;
    let node = step.item.record("step", step.stage);
    if let Some(found) = recorded.read::<Found>(&node)? {
        let missing = || found.files.iter().find_map(|file| file.missing(recorded.run_dir()));
        if found.key != *key {
            stale_files = !found.files.is_empty();
            why = Why::Changed(found.made_of);
        } else if let Some(missing) = missing() {
            stale_files = true;
            why = Why::File(missing);
        } else {
            return Ok(Cached::Hit { hash: Digest::of(found.value.get().as_bytes()) });
        }
    }
    let start = step.item.record("start", step.stage);
    // Seldom there, and only a look into memory then.
    let begun = if recorded.holds(&start) { recorded.read::<StartRecord>(&start)? } else { None };
    let in_doubt = begun.is_some_and(|start| !start.over && start.idempotency_key == call());
    let failed = recorded.holds(&step.item.record("fail", step.stage));
    Ok(Cached::Miss(Miss { why, stale_files, failed, in_doubt }))
}

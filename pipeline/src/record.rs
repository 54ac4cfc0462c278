//! What the checkpoint holds: the schema of every record.
//!
//! | node | value | written |
//! |---|---|---|
//! | `step/<stage>/<item>` | [`StepRecord`] | when a step has its result |
//! | `start/<stage>/<item>` | [`StartRecord`] | before a call, without waiting for the disk |
//! | `fail/<stage>/<item>` | [`FailRecord`] | when a step has failed for good in a run |
//! | `run` | [`RunRecord`] | when a process begins, and when it ends |
//!
//! One batch puts `step/` and removes `start/` and `fail/`, or puts `fail/` and removes `start/`.
//! So a `start/` whose call is not over is a step in doubt.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::artefact::Artefact;
use crate::digest::Digest;

/// The format of these records. Raised when an older version could misread them.
pub(crate) const FORMAT: u32 = 1;

/// A step's result.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StepRecord {
    /// Of everything that the result depends on.
    pub(crate) key: Digest,
    /// What the key is made of, so that a change can be named.
    pub(crate) made_of: MadeOf,
    pub(crate) value: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<Artefact>,
    pub(crate) ran: Ran,
}

/// The parts of a cache key, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeOf {
    pub(crate) version: u32,
    /// The first 16 hex digits of each input's digest.
    pub(crate) inputs: Vec<String>,
}

/// How it went.
#[allow(clippy::struct_field_names)] // in the record it reads as `ran_us` beside `waited_us`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ran {
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) spent_usd: f64,
    /// When the last call began, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// How long the last call took, in microseconds.
    pub(crate) ran_us: u64,
    /// How long it waited for its permit before, in microseconds.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) waited_us: u64,
    /// Which of the stage's workers ran it.
    pub(crate) worker: usize,
    /// The calls before the last one, as far as this process made them, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tried: Vec<Tried>,
    /// The item's keys, where the record's name does not give them back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<String>,
}

/// A call that came back without a result, whose step was then tried again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tried {
    pub(crate) attempt: u32,
    /// The service had no capacity: this counts as no attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) limited: bool,
    pub(crate) at_ms: u64,
    pub(crate) ran_us: u64,
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) waited_us: u64,
    pub(crate) worker: usize,
}

/// A call that was begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StartRecord {
    pub(crate) idempotency_key: String,
    pub(crate) attempt: u32,
    pub(crate) at_ms: u64,
    pub(crate) worker: usize,
    /// The call came back, and its step will be tried again: nothing is in doubt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) over: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<String>,
}

/// A step that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FailRecord {
    pub(crate) key: Digest,
    pub(crate) item: String,
    pub(crate) cause: String,
    pub(crate) ran: Ran,
}

/// The run as the last process saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    pub(crate) format: u32,
    pub(crate) pipeline: String,
    pub(crate) pid: u32,
    pub(crate) began_ms: u64,
    /// When and how it ended; a process that was killed never says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Ended>,
    pub(crate) stages: Vec<StageRecord>,
    /// The fan-outs that the stages need.
    pub(crate) fan_outs: Vec<FanOutRecord>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) at_ms: u64,
    /// `finished`, `failures`, `stopped`, `halted` or `error`.
    pub(crate) how: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// A stage as it was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StageRecord {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) workers: usize,
    /// The fan-out that it runs once per item of; empty for once per run.
    pub(crate) fan_out: String,
    pub(crate) inputs: Vec<InputRecord>,
    /// The names of its limiter's limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) limits: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InputRecord {
    /// A stage, a value, or a fan-out.
    pub(crate) from: String,
    /// All of its fan-out.
    pub(crate) all: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FanOutRecord {
    pub(crate) name: String,
    /// The stage whose list it opens; none for a source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) list: Option<String>,
    /// How many items it has, once a run has seen all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) items: Option<u64>,
}

/// Milliseconds since 1970, for people: nothing is ordered by it.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
fn is_zero(usd: &f64) -> bool {
    *usd == 0.0
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_none(us: &u64) -> bool {
    *us == 0
}

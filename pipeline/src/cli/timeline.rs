//! What each worker of a run did, and when: what `trace` and `report` draw.

use std::collections::BTreeMap;

use crate::error::RunError;
use crate::look::{Life, Look, StageLook};
use crate::record::{Ran, now_ms};

/// Something that a worker did for a time, in microseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) kind: Kind,
    pub(super) item: String,
    /// Which attempt of its step it was, or was for.
    pub(super) attempt: u32,
    /// Of the whole step, at its last call.
    pub(super) spent_usd: f64,
    pub(super) cause: Option<String>,
}

/// In the order in which they ask to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// For a permit of the stage's limiter.
    Wait,
    Done,
    Running,
    /// It came back without a result, and its step was tried again.
    Again,
    /// So did this one, for the service had no capacity.
    NoCapacity,
    /// Its process died; how long it went on, nobody knows.
    InDoubt,
    Failed,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Wait => "wait",
            Kind::Done => "done",
            Kind::Again => "again",
            Kind::NoCapacity => "no capacity",
            Kind::Failed => "failed",
            Kind::Running => "running",
            Kind::InDoubt => "in doubt",
        }
    }
}

/// One worker of a stage.
pub(super) struct Row {
    pub(super) stage: String,
    /// Counted from 1.
    pub(super) worker: usize,
    /// In their order; none begins before the one before it has ended.
    pub(super) slices: Vec<Slice>,
}

/// What is drawn: `talk, run monday`.
pub(super) fn title(look: &Look) -> String {
    let pipeline = look.record().map_or("pipeline", |record| &*record.pipeline);
    format!("{pipeline}, run {}", look.run())
}

/// The rows of a run, by stages in their order and by workers.
///
/// # Errors
/// A record cannot be read.
pub(super) fn rows(look: &Look, stages: &[StageLook]) -> Result<Vec<Row>, RunError> {
    let mut workers = Workers::new(look, stages);
    for step in look.steps(None) {
        let step = step?;
        workers.ended(&step.stage, &step.item, step.record.ran, None);
    }
    for step in look.failures() {
        let step = step?;
        workers.ended(&step.stage, &step.item, step.record.ran, Some(step.record.cause));
    }
    let running = matches!(look.life(), Life::Running { .. });
    for call in look.calls()? {
        let begin = micros(call.start.at_ms);
        let (kind, end) =
            if running { (Kind::Running, micros(now_ms())) } else { (Kind::InDoubt, begin) };
        let slice = Slice { end, ..slice(begin, kind, &call.item, call.start.attempt) };
        workers.add(&call.stage, call.start.worker, slice);
    }
    Ok(workers.into_rows())
}

struct Workers {
    stages: Vec<String>,
    /// Those that have a limiter: of others, what lies before a call is the recording of its start.
    limited: Vec<String>,
    slices: BTreeMap<(usize, usize), Vec<Slice>>,
}

impl Workers {
    fn new(look: &Look, stages: &[StageLook]) -> Self {
        let stages = stages.iter().map(|stage| stage.name.clone()).collect();
        let built = look.record().map(|record| &*record.stages).unwrap_or_default();
        let limited = built.iter().filter(|stage| !stage.limits.is_empty());
        let limited = limited.map(|stage| stage.name.clone()).collect();
        Workers { stages, limited, slices: BTreeMap::new() }
    }

    /// A step that ended: every call of it, and what each waited for its permit.
    fn ended(&mut self, stage: &str, item: &str, ran: Ran, cause: Option<String>) {
        for tried in ran.tried {
            let kind = if tried.limited { Kind::NoCapacity } else { Kind::Again };
            let call = slice(micros(tried.at_ms), kind, item, tried.attempt);
            self.call(stage, tried.worker, call, tried.waited_us, tried.ran_us);
        }
        let kind = if cause.is_some() { Kind::Failed } else { Kind::Done };
        let call = slice(micros(ran.at_ms), kind, item, ran.attempts);
        let call = Slice { spent_usd: ran.spent_usd, cause, ..call };
        self.call(stage, ran.worker, call, ran.waited_us, ran.ran_us);
    }

    fn call(&mut self, stage: &str, worker: usize, call: Slice, waited_us: u64, ran_us: u64) {
        if self.limited.iter().any(|limited| limited == stage) {
            let begin = call.begin.saturating_sub(waited_us);
            let wait = slice(begin, Kind::Wait, &call.item, call.attempt);
            self.add(stage, worker, Slice { end: call.begin, ..wait });
        }
        let end = call.begin.saturating_add(ran_us);
        self.add(stage, worker, Slice { end, ..call });
    }

    fn add(&mut self, stage: &str, worker: usize, slice: Slice) {
        let known = self.stages.iter().position(|known| known == stage);
        let place = known.unwrap_or_else(|| {
            self.stages.push(stage.to_string());
            self.stages.len() - 1
        });
        self.slices.entry((place, worker)).or_default().push(slice);
    }

    fn into_rows(self) -> Vec<Row> {
        let row = |((stage, worker), mut slices): ((usize, usize), Vec<Slice>)| {
            put_in_order(&mut slices);
            Row { stage: self.stages[stage].clone(), worker: worker + 1, slices }
        };
        self.slices.into_iter().map(row).collect()
    }
}

/// Of no length yet.
fn slice(begin: u64, kind: Kind, item: &str, attempt: u32) -> Slice {
    let item = item.to_string();
    Slice { begin, end: begin, kind, item, attempt, spent_usd: 0.0, cause: None }
}

fn micros(ms: u64) -> u64 {
    ms.saturating_mul(1_000)
}

/// Sorts a row, and lets nothing begin before what was before it has ended: a call's time is known
/// to the millisecond, and what overlaps on a row is not drawn.
fn put_in_order(row: &mut [Slice]) {
    row.sort_by_key(|slice| (slice.begin, slice.end));
    let mut free = 0;
    for slice in row {
        slice.begin = slice.begin.max(free);
        slice.end = slice.end.max(slice.begin);
        free = slice.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_on_a_row() {
        let of = |begin, end| Slice { end, ..slice(begin, Kind::Done, "", 1) };
        let mut row = [of(2_000, 2_900), of(1_000, 2_300), of(5_000, 6_000), of(2_100, 2_200)];
        put_in_order(&mut row);
        let times = row.map(|slice| (slice.begin, slice.end));
        assert_eq!(times, [(1_000, 2_300), (2_300, 2_900), (2_900, 2_900), (5_000, 6_000)]);
    }
}

//! `trace`: the run as Chrome's trace events, a row for each worker.
//!
//! The format is Google's "Trace Event Format", which Perfetto (<https://ui.perfetto.dev>) and
//! `chrome://tracing` draw: complete events (`X`) on the row of a thread, named by metadata (`M`).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{Outcome, Place, exit};
use crate::error::RunError;
use crate::look::{Life, Look};
use crate::record::{Ran, now_ms};

#[derive(Args, Clone, Debug)]
pub(super) struct Trace {}

/// Something that a worker did for a time, in microseconds since 1970.
#[derive(Debug, PartialEq)]
struct Slice {
    begin: u64,
    end: u64,
    name: String,
    kind: &'static str,
    args: Value,
}

/// What each worker did, by its stage's place and its own number.
struct Picture {
    stages: Vec<String>,
    /// Those that have a limiter: of others, what lies before a call is the recording of its start.
    limited: Vec<String>,
    rows: BTreeMap<(usize, usize), Vec<Slice>>,
}

impl Trace {
    #[allow(clippy::unused_self)] // like every other command
    pub(super) fn go(self, place: &Place) -> Outcome {
        let look = Look::at(&place.root, place.run()?)?;
        let picture = picture(&look)?;
        let mut out = exit::out();
        picture.write(&mut out, &look)?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn picture(look: &Look) -> Result<Picture, RunError> {
    let stages = look.stages()?.into_iter().map(|stage| stage.name).collect();
    let built = look.record().map(|record| &*record.stages).unwrap_or_default();
    let limited = built.iter().filter(|stage| !stage.limits.is_empty());
    let limited = limited.map(|stage| stage.name.clone()).collect();
    let mut picture = Picture { stages, limited, rows: BTreeMap::new() };
    for step in look.steps(None) {
        let step = step?;
        let ran = step.record.ran;
        let args = json!({ "attempts": ran.attempts, "spent_usd": ran.spent_usd });
        picture.ended(&step.stage, &step.item, ran, "done", args);
    }
    for step in look.failures() {
        let step = step?;
        let (ran, cause) = (step.record.ran, step.record.cause);
        let args = json!({ "attempts": ran.attempts, "spent_usd": ran.spent_usd, "cause": cause });
        picture.ended(&step.stage, &step.item, ran, "failed", args);
    }
    let running = matches!(look.life(), Life::Running { .. });
    for call in look.calls()? {
        let begin = micros(call.start.at_ms);
        // How long a call went on whose process died, nobody knows.
        let (kind, end) = if running { ("running", micros(now_ms())) } else { ("in doubt", begin) };
        let args = json!({ "attempt": call.start.attempt });
        let slice = Slice { begin, end, name: name(&call.stage, &call.item), kind, args };
        picture.add(&call.stage, call.start.worker, slice);
    }
    picture.rows.values_mut().for_each(|row| put_in_order(row));
    Ok(picture)
}

fn micros(ms: u64) -> u64 {
    ms.saturating_mul(1_000)
}

fn name(stage: &str, item: &str) -> String {
    if item.is_empty() { stage.to_string() } else { item.to_string() }
}

impl Picture {
    /// A step that ended: every call of it, and what each waited for its permit.
    fn ended(&mut self, stage: &str, item: &str, ran: Ran, kind: &'static str, args: Value) {
        for tried in ran.tried {
            let kind = if tried.limited { "no capacity" } else { "again" };
            let args = json!({ "attempt": tried.attempt });
            let times = (tried.at_ms, tried.waited_us, tried.ran_us);
            self.call(stage, item, tried.worker, times, (kind, args));
        }
        let times = (ran.at_ms, ran.waited_us, ran.ran_us);
        self.call(stage, item, ran.worker, times, (kind, args));
    }

    fn call(
        &mut self,
        stage: &str,
        item: &str,
        worker: usize,
        (at_ms, waited_us, ran_us): (u64, u64, u64),
        (kind, args): (&'static str, Value),
    ) {
        let begin = micros(at_ms);
        if self.limited.iter().any(|limited| limited == stage) {
            let (kind, args) = ("wait", json!({ "item": item }));
            let waits = begin.saturating_sub(waited_us);
            let name = "waits for a permit".to_string();
            self.add(stage, worker, Slice { begin: waits, end: begin, name, kind, args });
        }
        let end = begin.saturating_add(ran_us);
        self.add(stage, worker, Slice { begin, end, name: name(stage, item), kind, args });
    }

    fn add(&mut self, stage: &str, worker: usize, slice: Slice) {
        let known = self.stages.iter().position(|known| known == stage);
        let place = known.unwrap_or_else(|| {
            self.stages.push(stage.to_string());
            self.stages.len() - 1
        });
        self.rows.entry((place, worker)).or_default().push(slice);
    }

    /// One event a line.
    fn write(&self, out: &mut impl Write, look: &Look) -> io::Result<()> {
        let pipeline = look.record().map_or("pipeline", |record| &*record.pipeline);
        let process = format!("{pipeline}, run {}", look.run());
        write!(
            out,
            "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{}",
            about("process", 0, &process)
        )?;
        for (n, ((stage, worker), slices)) in self.rows.iter().enumerate() {
            let (tid, stage) = (n + 1, &self.stages[*stage]);
            write!(out, ",\n{}", about("thread", tid, &format!("{stage} {}", worker + 1)))?;
            let order = json!({
                "name": "thread_sort_index", "ph": "M", "pid": 1, "tid": tid,
                "args": { "sort_index": tid },
            });
            write!(out, ",\n{order}")?;
            for slice in slices {
                let event = json!({
                    "name": slice.name, "cat": slice.kind, "ph": "X", "pid": 1, "tid": tid,
                    "ts": slice.begin, "dur": slice.end - slice.begin, "args": slice.args,
                });
                write!(out, ",\n{event}")?;
            }
        }
        writeln!(out, "\n]}}")
    }
}

/// Names a row, or all of them.
fn about(what: &str, tid: usize, name: &str) -> Value {
    json!({
        "name": format!("{what}_name"), "ph": "M", "pid": 1, "tid": tid, "args": { "name": name },
    })
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

    fn slice(begin: u64, end: u64) -> Slice {
        Slice { begin, end, name: String::new(), kind: "done", args: Value::Null }
    }

    #[test]
    fn nothing_overlaps_on_a_row() {
        let mut row =
            [slice(2_000, 2_900), slice(1_000, 2_300), slice(5_000, 6_000), slice(2_100, 2_200)];
        put_in_order(&mut row);
        let times = row.map(|slice| (slice.begin, slice.end));
        assert_eq!(times, [(1_000, 2_300), (2_300, 2_900), (2_900, 2_900), (5_000, 6_000)]);
    }
}

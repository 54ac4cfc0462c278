//! `run --json`: what happens, one JSON object a line.
//!
//! Names, counts and times, and the causes of failures; never a value or an input.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::board::Board;
use crate::event::Event;
use crate::record::now_ms;
use crate::report::{End, Report};

/// Writes the event to standard output. A reader that is gone is no reason to stop a run.
pub(super) fn tell(board: &Board, event: &Event<'_>) {
    let mut object = object(board, event);
    object["at_ms"] = now_ms().into();
    write(&object);
}

/// The last line: what the report says.
pub(super) fn report<T>(report: &Report<T>) {
    let stages = report.stages.iter().map(|stage| {
        json!({
            "name": stage.name, "ran": stage.ran, "reused": stage.reused,
            "failed": stage.failed, "blocked": stage.blocked,
        })
    });
    let (end, reason) = ending(&report.end);
    write(&json!({
        "event": "report", "at_ms": now_ms(), "end": end, "reason": reason,
        "spent_usd": report.spent_usd, "stages": stages.collect::<Vec<_>>(),
    }));
}

fn write(object: &Value) {
    // One call, so that lines of different threads do not mix.
    let _ = io::stdout().lock().write_all(format!("{object}\n").as_bytes());
}

fn ending(end: &End) -> (&'static str, Option<&str>) {
    match end {
        End::Finished => ("finished", None),
        End::Stopped => ("stopped", None),
        End::Halted { reason } => ("halted", Some(reason)),
    }
}

fn object(board: &Board, event: &Event<'_>) -> Value {
    let name = |stage: &usize| board.name(*stage);
    match event {
        Event::Began { stages } => json!({ "event": "began", "stages": stages }),
        Event::Opened { fan_out, .. } => json!({ "event": "opened", "fan_out": fan_out }),
        Event::Closed { fan_out } => json!({ "event": "closed", "fan_out": fan_out }),
        Event::Reused { stage, item } => {
            json!({ "event": "reused", "stage": name(stage), "item": item })
        }
        Event::Queued { stage, item } => {
            json!({ "event": "queued", "stage": name(stage), "item": item })
        }
        Event::Started { stage, item, worker, attempt, waited } => json!({
            "event": "started", "stage": name(stage), "item": item, "worker": worker,
            "attempt": attempt, "waited_s": waited.as_secs_f64(),
        }),
        Event::Again { stage, item, attempt, pause, cause } => json!({
            "event": "again", "stage": name(stage), "item": item, "attempt": attempt,
            "pause_s": pause.as_secs_f64(), "cause": cause,
        }),
        Event::RateLimited { stage, item, pause } => json!({
            "event": "rate_limited", "stage": name(stage), "item": item,
            "pause_s": pause.as_secs_f64(),
        }),
        Event::Done { stage, item, worker, took, spent_usd } => json!({
            "event": "done", "stage": name(stage), "item": item, "worker": worker,
            "took_s": took.as_secs_f64(), "spent_usd": spent_usd,
        }),
        Event::Failed { stage, item, attempts, cause } => json!({
            "event": "failed", "stage": name(stage), "item": item, "attempts": attempts,
            "cause": cause,
        }),
        Event::Left { stage, item } => {
            json!({ "event": "left", "stage": name(stage), "item": item })
        }
        Event::Blocked { stage, item } => {
            json!({ "event": "blocked", "stage": name(stage), "item": item })
        }
        Event::Ended { end } => {
            let (end, reason) = ending(end);
            json!({ "event": "ended", "end": end, "reason": reason })
        }
    }
}

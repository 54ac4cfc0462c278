//! `trace`: the run as Chrome's trace events, a row for each worker.
//!
//! The format is Google's "Trace Event Format", which Perfetto (<https://ui.perfetto.dev>) and
//! `chrome://tracing` draw: complete events (`X`) on the row of a thread, named by metadata (`M`).

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::timeline::{Kind, Row, Slice, rows, title};
use super::{Outcome, Place, exit};
use crate::look::Look;

pub(super) fn go(place: &Place) -> Outcome {
    let look = Look::at(&place.root, place.run()?)?;
    let rows = rows(&look, &look.stages()?)?;
    let mut out = exit::out();
    write(&mut out, &title(&look), &rows)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// One event a line.
fn write(out: &mut impl Write, run: &str, rows: &[Row]) -> io::Result<()> {
    writeln!(out, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
    write!(out, "{}", about("process_name", 0, &json!({ "name": run })))?;
    for (n, row) in rows.iter().enumerate() {
        let tid = n + 1;
        let name = format!("{} {}", row.stage, row.worker);
        write!(out, ",\n{}", about("thread_name", tid, &json!({ "name": name })))?;
        write!(out, ",\n{}", about("thread_sort_index", tid, &json!({ "sort_index": tid })))?;
        for slice in &row.slices {
            write!(out, ",\n{}", event(&row.stage, tid, slice))?;
        }
    }
    writeln!(out, "\n]}}")
}

/// Metadata of a row, or of all.
fn about(what: &str, tid: usize, args: &Value) -> Value {
    json!({ "name": what, "ph": "M", "pid": 1, "tid": tid, "args": args })
}

fn event(stage: &str, tid: usize, slice: &Slice) -> Value {
    let name = match (slice.kind, &*slice.item) {
        (Kind::Wait, _) => "waits for a permit",
        (_, "") => stage,
        (_, item) => item,
    };
    let mut args = json!({ "item": slice.item, "attempt": slice.attempt });
    if matches!(slice.kind, Kind::Done | Kind::Failed) {
        args["spent_usd"] = slice.spent_usd.into();
    }
    if let Some(cause) = &slice.cause {
        args["cause"] = cause.as_str().into();
    }
    json!({
        "name": name, "cat": slice.kind.as_str(), "ph": "X", "pid": 1, "tid": tid,
        "ts": slice.begin, "dur": slice.end - slice.begin, "args": args,
    })
}

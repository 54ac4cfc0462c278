//! `status`: how far a run is, live or dead, without taking its lock.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::table::{Table, figures, words};
use super::{Outcome, Place, exit, human};
use crate::error::RunError;
use crate::look::{Life, Look};
use crate::record::now_ms;

/// So many steps in doubt are listed for people; JSON has all.
const DOUBTS_SHOWN: usize = 10;

#[derive(Args, Clone, Debug)]
pub(super) struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print again every second, until the run ends
    #[arg(long)]
    watch: bool,
}

impl Status {
    pub(super) fn go(self, place: &Place) -> Outcome {
        let redraws = self.watch && !self.json && stdout().is_terminal();
        let mut lines = 0;
        loop {
            let look = Look::at(&place.root, place.run()?)?;
            let text = if self.json { as_json(&look)? } else { as_text(&look)? };
            let mut out = exit::out();
            if redraws && lines > 0 {
                // Up to where the last look began, and away with it.
                write!(out, "\u{1b}[{lines}A\u{1b}[J")?;
            }
            writeln!(out, "{text}")?;
            out.flush()?;
            lines = text.lines().count();
            if !self.watch || !matches!(look.life(), Life::Running { .. }) {
                return Ok(ExitCode::SUCCESS);
            }
            drop(out);
            thread::sleep(Duration::from_secs(1));
        }
    }
}

fn as_text(look: &Look) -> Result<String, RunError> {
    let mut text = format!("run {}", look.run());
    if let Some(record) = look.record() {
        let _ = write!(text, " of {}", record.pipeline);
    }
    let _ = write!(text, ": {}{}", look.life(), since(look));
    let running = matches!(look.life(), Life::Running { .. });
    let begun = if running { "in flight" } else { "in doubt" };
    let columns =
        [words("stage"), figures("done"), figures("of"), figures("failed"), figures(begun)];
    let mut table = Table::new(columns);
    for stage in look.stages()? {
        let of = stage.steps.map_or_else(|| "?".to_string(), |steps| steps.to_string());
        let figures = [stage.done, stage.failed, stage.begun].map(|n| match n {
            0 => "-".to_string(),
            n => n.to_string(),
        });
        let [done, failed, begun] = figures;
        table.row([stage.name, done, of, failed, begun]);
    }
    let _ = write!(text, "\n\n{table}");
    if !running {
        doubts(look, &mut text)?;
    }
    Ok(text)
}

/// For how long it has been so.
fn since(look: &Look) -> String {
    match (look.life(), look.record()) {
        (Life::Running { .. }, Some(record)) => {
            let ms = now_ms().saturating_sub(record.began_ms);
            format!(", for {}", human::span(Duration::from_millis(ms)))
        }
        (Life::Ended(ended), _) => format!(", {}", human::ago(ended.at_ms)),
        _ => String::new(),
    }
}

fn doubts(look: &Look, text: &mut String) -> Result<(), RunError> {
    let calls = look.calls()?;
    if calls.is_empty() {
        return Ok(());
    }
    *text += "\n\nin doubt: begun, and nobody knows how they ended; the provider may";
    for call in calls.iter().take(DOUBTS_SHOWN) {
        let step = human::step(&call.stage, &call.item);
        let (ago, key) = (human::ago(call.start.at_ms), &call.start.idempotency_key);
        let _ = write!(text, "\n  {step}, {ago}, idempotency key {key}");
    }
    if let Some(more) = calls.len().checked_sub(DOUBTS_SHOWN).filter(|&more| more > 0) {
        let _ = write!(text, "\n  and {more} more: `status --json` lists them");
    }
    Ok(())
}

fn as_json(look: &Look) -> Result<String, RunError> {
    let stages = look.stages()?.into_iter().map(|stage| {
        json!({
            "name": stage.name, "done": stage.done, "failed": stage.failed,
            "begun": stage.begun, "steps": stage.steps,
        })
    });
    let calls = look.calls()?.into_iter().map(|call| {
        json!({
            "stage": call.stage, "item": call.item, "attempt": call.start.attempt,
            "idempotency_key": call.start.idempotency_key, "at_ms": call.start.at_ms,
        })
    });
    let (stages, calls): (Vec<_>, Vec<_>) = (stages.collect(), calls.collect());
    let (state, pid, reason) = match look.life() {
        Life::Running { pid, .. } => ("running", Some(*pid), None),
        Life::Ended(ended) => (ended.how.as_str(), None, ended.reason.as_deref()),
        Life::Died => ("died", None, None),
    };
    let pipeline = look.record().map(|record| record.pipeline.as_str());
    let status = json!({
        "run": look.run(), "pipeline": pipeline, "state": state, "pid": pid, "reason": reason,
        "stages": stages, "calls": calls,
    });
    Ok(status.to_string())
}

//! `status`: how far a run is, live or dead, without taking its lock.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{Outcome, Place};
use crate::look::{Life, Look};

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
        loop {
            let look = Look::at(&place.root, place.run()?)?;
            let text = if self.json { as_json(&look)? } else { as_text(&look)? };
            println!("{text}");
            if !self.watch || !matches!(look.life(), Life::Running { .. }) {
                return Ok(ExitCode::SUCCESS);
            }
            thread::sleep(Duration::from_secs(1));
        }
    }
}

fn as_text(look: &Look) -> Result<String, crate::RunError> {
    let mut text = format!("run {}", look.run());
    if let Some(record) = look.record() {
        let _ = write!(text, " of {}", record.pipeline);
    }
    let _ = write!(text, ": {}", look.life());
    let stages = look.stages()?;
    let width = stages.iter().map(|stage| stage.name.len()).max().unwrap_or_default().max(5);
    let begun = if matches!(look.life(), Life::Running { .. }) { "in flight" } else { "in doubt" };
    let _ = write!(text, "\n{:width$} {:>8} {:>8} {begun:>9}", "stage", "done", "failed");
    for stage in &stages {
        let (name, done, failed) = (&stage.name, stage.done, stage.failed);
        let _ = write!(text, "\n{name:width$} {done:>8} {failed:>8} {:>9}", stage.begun);
        if let Some(steps) = stage.steps {
            let _ = write!(text, " of {steps}");
        }
    }
    if begun == "in doubt" {
        for call in look.calls()? {
            let _ = write!(
                text,
                "\nin doubt: {} [{}], idempotency key {}",
                call.stage, call.item, call.start.idempotency_key
            );
        }
    }
    Ok(text)
}

fn as_json(look: &Look) -> Result<String, crate::RunError> {
    let stages = look.stages()?.into_iter().map(|stage| {
        json!({
            "name": stage.name, "done": stage.done, "failed": stage.failed,
            "begun": stage.begun, "steps": stage.steps,
        })
    });
    let calls = look.calls()?.into_iter().map(|call| {
        json!({
            "stage": call.stage, "item": call.item,
            "idempotency_key": call.start.idempotency_key, "at_ms": call.start.at_ms,
        })
    });
    let (stages, calls): (Vec<_>, Vec<_>) = (stages.collect(), calls.collect());
    let (state, pid) = match look.life() {
        Life::Running { pid, .. } => ("running", Some(*pid)),
        Life::Ended(ended) => (ended.how.as_str(), None),
        Life::Died => ("died", None),
    };
    let pipeline = look.record().map(|record| record.pipeline.as_str());
    let status = json!({
        "run": look.run(), "pipeline": pipeline, "state": state, "pid": pid,
        "stages": stages, "calls": calls,
    });
    Ok(status.to_string())
}

//! `results`: what is recorded, as lines of JSON or as a table.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::table::{Table, figures, words};
use super::{Outcome, Place, exit, human};
use crate::artefact::Artefact;
use crate::look::{Look, Named};
use crate::record::StepRecord;

/// So much of a value is shown in the table.
const VALUE_CHARS: usize = 60;

#[derive(Args, Clone, Debug)]
pub(super) struct Results {
    /// Only of these stages
    stages: Vec<String>,
    /// Print JSON, one result a line, values whole
    #[arg(long)]
    jsonl: bool,
}

/// One line of `--jsonl`.
#[derive(Serialize)]
struct Line<'r> {
    stage: &'r str,
    item: &'r str,
    value: &'r RawValue,
    files: &'r [Artefact],
    attempts: u32,
    spent_usd: f64,
    at_ms: u64,
    ran_us: u64,
    waited_us: u64,
}

impl Results {
    pub(super) fn go(self, place: &Place) -> Outcome {
        let look = Look::at(&place.root, place.run()?)?;
        let stages = look.stages()?;
        for name in &self.stages {
            Look::stage(&stages, name)?;
        }
        let mut out = exit::out();
        let mut table =
            Table::new([words("step"), figures("attempts"), figures("took"), words("result")]);
        let mut shown = 0;
        for stage in &stages {
            if !self.stages.is_empty() && !self.stages.contains(&stage.name) {
                continue;
            }
            for found in look.steps(Some(&stage.name)) {
                let found = found?;
                shown += 1;
                if self.jsonl {
                    let line =
                        serde_json::to_string(&line(&found)).map_err(std::io::Error::from)?;
                    writeln!(out, "{line}")?;
                } else {
                    table.row(row(&found));
                }
            }
        }
        match (self.jsonl, shown) {
            (true, _) => {}
            (false, 0) => writeln!(out, "run {}: nothing is recorded", look.run())?,
            (false, _) => writeln!(out, "{table}")?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn line(found: &Named<StepRecord>) -> Line<'_> {
    let (record, ran) = (&found.record, &found.record.ran);
    Line {
        stage: &found.stage,
        item: &found.item,
        value: &record.value,
        files: &record.files,
        attempts: ran.attempts,
        spent_usd: ran.spent_usd,
        at_ms: ran.at_ms,
        ran_us: ran.ran_us,
        waited_us: ran.waited_us,
    }
}

fn row(found: &Named<StepRecord>) -> [String; 4] {
    let ran = &found.record.ran;
    // A step that made one file and returns it: the file says more than its record.
    let result = match &*found.record.files {
        [file] => format!("{}, {}", file.relative_path(), human::bytes(file.size())),
        _ => found.record.value.get().to_string(),
    };
    [
        human::step(&found.stage, &found.item),
        ran.attempts.to_string(),
        human::span(Duration::from_micros(ran.ran_us)),
        human::cut(&result, VALUE_CHARS),
    ]
}

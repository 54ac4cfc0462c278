//! `failures`: what failed, why, and after how many attempts.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::table::{Table, figures, words};
use super::{Outcome, Place, exit, human};
use crate::look::{Look, Named};
use crate::record::FailRecord;

#[derive(Args, Clone, Debug)]
pub(super) struct Failures {
    /// Only of this stage
    stage: Option<String>,
    /// Print JSON, one failed step a line
    #[arg(long)]
    json: bool,
}

impl Failures {
    pub(super) fn go(self, place: &Place) -> Outcome {
        let look = Look::at(&place.root, place.run()?)?;
        if let Some(name) = &self.stage {
            Look::stage(&look.stages()?, name)?;
        }
        let wanted = |failed: &Named<FailRecord>| {
            self.stage.as_ref().is_none_or(|name| *name == failed.stage)
        };
        let mut out = exit::out();
        if self.json {
            for failed in look.failures() {
                let failed = failed?;
                if wanted(&failed) {
                    writeln!(out, "{}", as_json(&failed))?;
                }
            }
        } else {
            let failed: Vec<_> = look.failures().collect::<Result<_, _>>()?;
            tell(&mut out, &look, failed.into_iter().filter(wanted))?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json(failed: &Named<FailRecord>) -> serde_json::Value {
    let (record, ran) = (&failed.record, &failed.record.ran);
    json!({
        "stage": failed.stage, "item": failed.item, "cause": record.cause,
        "attempts": ran.attempts, "spent_usd": ran.spent_usd, "at_ms": ran.at_ms,
        "ran_us": ran.ran_us, "waited_us": ran.waited_us,
    })
}

/// One paragraph for each cause: two hundred items with a wrong key are one message.
fn tell(
    out: &mut impl Write,
    look: &Look,
    failed: impl Iterator<Item = Named<FailRecord>>,
) -> io::Result<()> {
    let mut causes = BTreeMap::<(String, String), Vec<(String, FailRecord)>>::new();
    for Named { stage, item, record, .. } in failed {
        causes.entry((stage, record.cause.clone())).or_default().push((item, record));
    }
    if causes.is_empty() {
        return writeln!(out, "run {}: nothing failed", look.run());
    }
    let all = causes.values().map(Vec::len).sum::<usize>() as u64;
    let steps = human::count(all, "step");
    writeln!(
        out,
        "run {}: {steps} failed; `retry` tries them again, `run` does so, too",
        look.run()
    )?;
    for ((stage, cause), items) in causes {
        write!(out, "\n{stage}")?;
        if items.len() > 1 || !items[0].0.is_empty() {
            write!(out, ", {}", human::count(items.len() as u64, "item"))?;
        }
        writeln!(out, ": {}", indented(&cause))?;
        let mut table =
            Table::new([words("  item"), figures("attempts"), figures("spent"), words("when")]);
        for (item, FailRecord { ran, .. }) in items {
            let item = if item.is_empty() { "(the run)".into() } else { human::line(&item) };
            let spent = if ran.spent_usd > 0.0 { human::usd(ran.spent_usd) } else { "-".into() };
            let when = human::ago(ran.at_ms);
            table.row([format!("  {item}"), ran.attempts.to_string(), spent, when]);
        }
        writeln!(out, "{table}")?;
    }
    Ok(())
}

/// A cause of several lines stays readable, and obeys nobody's escape codes.
fn indented(cause: &str) -> String {
    let lines: Vec<String> = cause.lines().map(human::line).collect();
    lines.join("\n    ")
}

//! `verify`: every byte of the checkpoint and of every artefact; with `--salvage` it keeps what
//! still verifies of a damaged checkpoint.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Outcome, Place, exit, human};
use crate::artefact::Artefact;
use crate::error::RunError;
use crate::lock;
use crate::look::{self, Life, Look};
use crate::store::Recorded;

#[derive(Args, Clone, Debug)]
pub(super) struct Verify {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// If the checkpoint is damaged, keep every record that still verifies, and the old file aside
    #[arg(long)]
    salvage: bool,
}

/// A file that is not what its step's record says.
struct Damage {
    stage: String,
    item: String,
    file: Artefact,
    what: String,
}

#[derive(Default)]
struct Files {
    read: u64,
    bytes: u64,
    damaged: Vec<Damage>,
}

impl Verify {
    pub(super) fn go(self, place: &Place) -> Outcome {
        let run = place.run()?;
        let refused = |error| look::refused(&place.root, run, error);
        let (log, salvaged) = match checkpoint::verify(&place.root, run) {
            Err(checkpoint::Error::Corrupt { .. }) if self.salvage => {
                // Nobody may be at work on what is thrown together anew.
                let salvaged = lock::hold(&place.root.join(run.as_str()), run.as_str(), || {
                    checkpoint::salvage(&place.root, run).map_err(refused)
                })?;
                (checkpoint::verify(&place.root, run), Some(salvaged))
            }
            verified => (verified, None),
        };
        let log = log.map_err(refused)?;
        let look = Look::at(&place.root, run)?;
        let mut found = files(&look)?;
        if !found.damaged.is_empty() && matches!(look.life(), Life::Running { .. }) {
            // A step may have made its files anew between the look and the reading.
            let again = Look::at(&place.root, run)?;
            let now = records(&again)?;
            found.damaged.retain(|damage| now.contains(&damage.file));
        }
        let mut out = exit::out();
        if self.json {
            let damaged = found.damaged.iter().map(|damage| {
                json!({
                    "stage": damage.stage, "item": damage.item,
                    "file": damage.file.relative_path(), "what": damage.what,
                })
            });
            let verified = json!({
                "run": look.run(), "records": log.records, "bytes": log.bytes,
                "torn_bytes": log.torn_bytes, "files": found.read, "file_bytes": found.bytes,
                "damaged": damaged.collect::<Vec<_>>(),
                "salvaged": salvaged.as_ref().map(|kept| json!({
                    "records": kept.records, "lost": kept.lost, "kept_aside": kept.kept_aside,
                })),
            });
            writeln!(out, "{verified}")?;
        } else {
            if let Some(salvaged) = &salvaged {
                tell_salvaged(&mut out, &look, salvaged)?;
            }
            tell(&mut out, &look, &log, &found)?;
        }
        out.flush()?;
        let whole = found.damaged.is_empty();
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(exit::ERROR) })
    }
}

/// Reads every file of every recorded step.
fn files(look: &Look) -> Result<Files, RunError> {
    let mut found = Files::default();
    for step in look.steps(None) {
        let step = step?;
        for file in step.record.files {
            found.read += 1;
            found.bytes += file.size();
            if let Some(what) = file.damaged(look.run_dir()) {
                let (stage, item) = (step.stage.clone(), step.item.clone());
                found.damaged.push(Damage { stage, item, file, what });
            }
        }
    }
    // Failures and starts read back, too, or they are damage.
    look.failures().try_for_each(|failed| failed.map(drop))?;
    look.calls()?;
    Ok(found)
}

fn records(look: &Look) -> Result<Vec<Artefact>, RunError> {
    let mut files = Vec::new();
    for step in look.steps(None) {
        files.extend(step?.record.files);
    }
    Ok(files)
}

fn tell_salvaged(
    out: &mut impl Write,
    look: &Look,
    salvaged: &checkpoint::Salvaged,
) -> io::Result<()> {
    let lost: u64 = salvaged.lost.iter().map(|(_, bytes)| bytes).sum();
    let (kept, lost) = (human::count(salvaged.records, "record"), human::bytes(lost));
    writeln!(out, "salvaged    {kept}; {lost} did not verify: `run` does again what stood there")?;
    match &salvaged.kept_aside {
        Some(aside) => {
            writeln!(out, "            the old file is {}", look.run_dir().join(aside).display())
        }
        None => Ok(()),
    }
}

fn tell(
    out: &mut impl Write,
    look: &Look,
    log: &checkpoint::Verified,
    found: &Files,
) -> io::Result<()> {
    let (records, bytes) = (human::count(log.records, "record"), human::bytes(log.bytes));
    writeln!(out, "checkpoint  {records}, {bytes}: whole")?;
    if log.torn_bytes > 0 {
        writeln!(
            out,
            "            and {} of a write that was cut off, promised to nobody: the next run puts \
             them aside",
            human::bytes(log.torn_bytes)
        )?;
    }
    let (files, bytes) = (human::count(found.read, "file"), human::bytes(found.bytes));
    write!(out, "artefacts   {files}, {bytes}: ")?;
    if found.damaged.is_empty() {
        return writeln!(out, "whole");
    }
    writeln!(out, "{} damaged\n", found.damaged.len())?;
    for damage in &found.damaged {
        writeln!(out, "  {}: {}", human::step(&damage.stage, &damage.item), damage.what)?;
    }
    let there = found.damaged.iter().map(|damage| look.run_dir().join(damage.file.relative_path()));
    let there: Vec<_> = there.filter(|path| path.exists()).collect();
    if there.is_empty() {
        return writeln!(out, "\n`run` makes them again.");
    }
    writeln!(out, "\n`run` makes them again once what is left of them is removed:")?;
    for path in there {
        writeln!(out, "  rm {}", shell(&path.display().to_string()))?;
    }
    Ok(())
}

/// A path as a shell takes it.
fn shell(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+%~".contains(c);
    if path.chars().all(plain) {
        path.to_string()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

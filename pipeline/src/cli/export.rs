//! `export`: the run in another tool's format.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::{Outcome, Place, exit, human};
use crate::error::RunError;
use crate::look::Look;
use crate::record::Ran;

#[derive(Args, Clone, Debug)]
pub(super) struct Export {
    /// As GNU parallel's --joblog: a tab-separated line for each step that ended
    #[arg(long, required = true)]
    joblog: bool,
}

/// A step that ended, for better or worse.
struct Job {
    command: String,
    ran: Ran,
    failed: bool,
    bytes: usize,
}

impl Export {
    #[allow(clippy::unused_self)] // the only format there is so far
    pub(super) fn go(self, place: &Place) -> Outcome {
        let look = Look::at(&place.root, place.run()?)?;
        let mut jobs = jobs(&look)?;
        jobs.sort_by(|a, b| (a.ran.at_ms, &a.command).cmp(&(b.ran.at_ms, &b.command)));
        let mut out = exit::out();
        // The columns of parallel(1); `:` is its name for this machine.
        writeln!(out, "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand")?;
        for (n, job) in jobs.iter().enumerate() {
            let (ms, us) = (job.ran.at_ms, job.ran.ran_us);
            writeln!(
                out,
                "{}\t:\t{}.{:03}\t{:>10.3}\t0\t{}\t{}\t0\t{}",
                n + 1,
                ms / 1_000,
                ms % 1_000,
                us as f64 / 1e6,
                job.bytes,
                u8::from(job.failed),
                job.command
            )?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn jobs(look: &Look) -> Result<Vec<Job>, RunError> {
    let mut jobs = Vec::new();
    let command = |stage: &str, item: &str| match item {
        "" => stage.to_string(),
        item => format!("{stage} {}", human::line(item)),
    };
    for step in look.steps(None) {
        let step = step?;
        let (command, bytes) = (command(&step.stage, &step.item), step.record.value.get().len());
        jobs.push(Job { command, ran: step.record.ran, failed: false, bytes });
    }
    for step in look.failures() {
        let step = step?;
        let command = command(&step.stage, &step.item);
        jobs.push(Job { command, ran: step.record.ran, failed: true, bytes: 0 });
    }
    Ok(jobs)
}

//! What came of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::artefact::Artefact;

/// What came of a run: its output if it has one, and what every stage did.
///
/// Displayed, it is a few lines for a person; failures with one cause are one line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report<T> {
    /// The target's value; `None` if something that it needs failed or did not run.
    pub output: Option<T>,
    /// How the run ended.
    pub end: End,
    /// The stages that the target needs, each behind those that it needs.
    pub stages: Vec<StageReport>,
    /// What failed this time, in the order in which it failed; at most 1 000 of them. All are in
    /// the checkpoint, and the next run tries them again.
    pub failures: Vec<Failure>,
    /// What was spent this time, in US dollars, as far as the steps said so.
    pub spent_usd: f64,
    pub(crate) run_dir: PathBuf,
}

/// What a stage did this time, in steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageReport {
    /// The stage's name.
    pub name: String,
    /// Steps that ran and whose results were recorded.
    pub ran: u64,
    /// Steps whose results were recorded before.
    pub reused: u64,
    /// Steps that failed for good this time.
    pub failed: u64,
    /// Steps that could not run, for something that they need failed.
    pub blocked: u64,
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The stage's name.
    pub stage: String,
    /// The item's key; of nested fan-outs all keys with `/` between them; empty for the run's own.
    pub item: String,
    /// How often it was tried this time.
    pub attempts: u32,
    /// The last cause, with the causes behind it.
    pub cause: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Everything that could run has run.
    Finished,
    /// Somebody asked it to stop.
    Stopped,
    /// It gave up: too many failures, a service without capacity, or a step that said that nothing
    /// can succeed.
    Halted {
        /// Why.
        reason: String,
    },
}

impl<T> Report<T> {
    /// Where an artefact of the run lies on this machine.
    pub fn path(&self, artefact: &Artefact) -> PathBuf {
        artefact.resolve(&self.run_dir)
    }

    /// The run's folder: its checkpoint, its lock, and `files/`.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// How many steps failed this time.
    pub fn failed(&self) -> u64 {
        self.stages.iter().map(|stage| stage.failed).sum()
    }

    pub(crate) fn map<U>(self, output: Option<U>) -> Report<U> {
        Report {
            output,
            end: self.end,
            stages: self.stages,
            failures: self.failures,
            spent_usd: self.spent_usd,
            run_dir: self.run_dir,
        }
    }
}

impl<T> fmt::Display for Report<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: fn(&StageReport) -> u64| self.stages.iter().map(of).sum::<u64>();
        write!(f, "{} ran, {} reused", sum(|s| s.ran), sum(|s| s.reused))?;
        write!(f, ", {} failed, {} blocked", sum(|s| s.failed), sum(|s| s.blocked))?;
        for ((stage, cause), items) in grouped(&self.failures) {
            let (first, more) = (items[0], items.len() - 1);
            match (first.is_empty(), more) {
                (true, _) => write!(f, "\n{stage}: {cause}")?,
                (false, 0) => write!(f, "\n{stage} [{first}]: {cause}")?,
                (false, more) => write!(f, "\n{stage} [{first} and {more} more]: {cause}")?,
            }
        }
        match &self.end {
            End::Finished => Ok(()),
            End::Stopped => f.write_str("\nstopped; run it again to go on"),
            End::Halted { reason } => write!(f, "\nhalted: {reason}; run it again to go on"),
        }
    }
}

/// One line for all items that failed for one cause.
fn grouped(failures: &[Failure]) -> BTreeMap<(&str, &str), Vec<&str>> {
    let mut groups = BTreeMap::<_, Vec<&str>>::new();
    for failure in failures {
        groups.entry((&*failure.stage, &*failure.cause)).or_default().push(&failure.item);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_failures_of_one_cause_are_one_line() {
        let failure = |n: usize| Failure {
            stage: "script".into(),
            item: format!("slide-{n}"),
            attempts: 1,
            cause: "401: wrong key".into(),
        };
        let report = Report::<()> {
            output: None,
            end: End::Halted { reason: "401: wrong key".into() },
            stages: vec![StageReport { name: "script".into(), failed: 200, ..Default::default() }],
            failures: (0..200).map(failure).collect(),
            spent_usd: 0.0,
            run_dir: PathBuf::new(),
        };
        let text = report.to_string();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("script [slide-0 and 199 more]: 401: wrong key"), "{text}");
    }
}

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
        // What ended the run is said once, with the steps that found it out.
        let halted = match &self.end {
            End::Halted { reason } => Some(&**reason),
            End::Finished | End::Stopped => None,
        };
        let mut found_out = Vec::new();
        for ((stage, cause), items) in grouped(&self.failures) {
            let steps = steps(stage, &items);
            if halted == Some(cause) {
                found_out.push(steps);
            } else {
                write!(f, "\n{steps}: {cause}")?;
            }
        }
        match &self.end {
            End::Finished => Ok(()),
            End::Stopped => f.write_str("\nstopped; run it again to go on"),
            End::Halted { reason } if found_out.is_empty() => {
                write!(f, "\nhalted: {reason}; run it again to go on")
            }
            End::Halted { reason } => {
                write!(f, "\nhalted: {reason} ({}); run it again to go on", found_out.join(", "))
            }
        }
    }
}

/// A stage's steps in a word: `script [slide-1 and 4 more]`, or the stage alone if it runs once.
fn steps(stage: &str, items: &[&str]) -> String {
    match items {
        [] | [""] => stage.to_string(),
        [only] => format!("{stage} [{only}]"),
        [first, more @ ..] => format!("{stage} [{first} and {} more]", more.len()),
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

    fn report(end: End, failures: Vec<Failure>) -> Report<()> {
        let failed = failures.len() as u64;
        Report {
            output: None,
            end,
            stages: vec![StageReport { name: "script".into(), failed, ..Default::default() }],
            failures,
            spent_usd: 0.0,
            run_dir: PathBuf::new(),
        }
    }

    fn failure(stage: &str, item: &str, cause: &str) -> Failure {
        Failure { stage: stage.into(), item: item.into(), attempts: 1, cause: cause.into() }
    }

    #[test]
    fn two_hundred_failures_of_one_cause_are_one_line() {
        let item = |n: usize| failure("script", &format!("slide-{n}"), "too long");
        let text = report(End::Finished, (0..200).map(item).collect()).to_string();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.ends_with("\nscript [slide-0 and 199 more]: too long"), "{text}");
    }

    #[test]
    fn what_halted_the_run_is_said_once_however_many_steps_found_it_out() {
        let failures = vec![
            failure("image", "a", "401: wrong key"),
            failure("script", "a", "401: wrong key"),
            failure("script", "b", "401: wrong key"),
            failure("script", "c", "too long"),
            failure("video", "", "401: wrong key"),
        ];
        let text = report(End::Halted { reason: "401: wrong key".into() }, failures).to_string();
        assert_eq!(
            text.lines().skip(1).collect::<Vec<_>>(),
            [
                "script [c]: too long",
                "halted: 401: wrong key (image [a], script [a and 1 more], video); \
                 run it again to go on",
            ]
        );
    }

    #[test]
    fn a_run_that_halts_for_its_failures_names_them_apart() {
        let end = End::Halted { reason: "2 steps failed".into() };
        let text = report(end, vec![failure("script", "a", "too long")]).to_string();
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            ["script [a]: too long", "halted: 2 steps failed; run it again to go on"]
        );
    }
}

//! Exit codes, and the one place that prints an error.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, StdoutLock};
use std::process::ExitCode;

use crate::error::RunError;
use crate::report::{End, Report};

pub(super) const ERROR: u8 = 1;
pub(super) const USAGE: u8 = 2;
pub(super) const FAILURES: u8 = 3;
pub(super) const HALTED: u8 = 5;
/// `EX_TEMPFAIL` of sysexits: try again later.
pub(super) const IN_USE: u8 = 75;
/// As a shell says of what SIGINT ended.
pub(super) const INTERRUPTED: u8 = 130;

/// Why a command could not do what it was asked to.
pub(super) enum Trouble {
    Run(RunError),
    /// Standard output took no more.
    Output(io::Error),
}

impl From<RunError> for Trouble {
    fn from(error: RunError) -> Self {
        Trouble::Run(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Output(error)
    }
}

impl Trouble {
    /// Says it, once.
    pub(super) fn complain(self, name: &str) -> ExitCode {
        match self {
            Trouble::Run(error) => complain(name, &said(&error), of(&error)),
            // Its reader has seen enough, as of `results | head`.
            Trouble::Output(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Trouble::Output(error) => {
                complain(name, &format!("cannot write to standard output: {error}"), ERROR)
            }
        }
    }
}

/// The error, with remedies that a command line has.
fn said(error: &RunError) -> String {
    let RunError::Checkpoint { run, source } = error else { return error.to_string() };
    match source.downcast_ref() {
        Some(checkpoint::Error::Corrupt { path, offset, last_good_seq }) => format!(
            "the checkpoint of run `{run}`: {} is damaged at byte {offset}, the last good record \
             is {last_good_seq}; nothing was changed: restore the file from a copy, or keep every \
             record that still verifies with `verify --salvage`",
            path.display()
        ),
        _ => error.to_string(),
    }
}

/// Standard output, to be flushed when all is written. `println!` would panic where a reader
/// leaves.
pub(super) fn out() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

fn of(error: &RunError) -> u8 {
    match error {
        RunError::InUse { .. } => IN_USE,
        RunError::UnknownStage { .. } | RunError::NoSuchRun { .. } => USAGE,
        _ => ERROR,
    }
}

pub(super) fn of_report<T>(report: &Report<T>) -> u8 {
    match &report.end {
        End::Stopped => INTERRUPTED,
        End::Halted { .. } => HALTED,
        End::Finished if report.failed() > 0 => FAILURES,
        End::Finished => 0,
    }
}

/// One line on standard error.
pub(super) fn complain(name: &str, error: &dyn Display, code: u8) -> ExitCode {
    eprintln!("{name}: {error}");
    ExitCode::from(code)
}

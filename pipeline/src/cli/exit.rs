//! Exit codes, and the one place that prints an error.

use std::fmt::Display;
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

pub(super) fn of(error: &RunError) -> u8 {
    match error {
        RunError::InUse { .. } => IN_USE,
        RunError::UnknownStage { .. } => USAGE,
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

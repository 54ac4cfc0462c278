//! Why a run ends before everything was done.

use std::sync::{Mutex, PoisonError};

use crate::error::RunError;
use crate::report::End;

pub(super) enum Ending {
    Stopped,
    Halted(String),
    Error(RunError),
}

/// The first reason wins: the others mostly follow from it.
#[derive(Default)]
pub(super) struct Endings(Mutex<Option<Ending>>);

impl Endings {
    pub(super) fn first(&self, ending: Ending) {
        // A reason is put in or taken out whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(ending);
    }

    /// How the run ended; [`End::Finished`] if nobody said anything else.
    pub(super) fn take(&self) -> Result<End, RunError> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(End::Finished),
            Some(Ending::Stopped) => Ok(End::Stopped),
            Some(Ending::Halted(reason)) => Ok(End::Halted { reason }),
            Some(Ending::Error(error)) => Err(error),
        }
    }
}

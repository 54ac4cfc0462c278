//! The first signal stops the run in order; the second ends the process at once.

use std::process;

use super::exit;
use crate::stop::Stop;

/// Says a line to the person who started the run, whatever else is on the screen.
pub(super) type Say = Box<dyn Fn(&str) + Send + Sync>;

/// Installs the handlers, on a thread of their own. A program that has its own keeps them.
pub(super) fn install(stop: &Stop, say: Say) {
    let stop = stop.clone();
    let handler = move || {
        if stop.is_stopped() {
            // Whatever is recorded is on disk, and what is in flight is in doubt: that is known.
            process::exit(exit::INTERRUPTED.into());
        }
        say("stopping: finishing what is in flight; once more to leave now");
        stop.stop();
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::warn!("no signal handler: {error}");
    }
}

//! What the program does, told line by line to whoever asks for it.

use std::env;
use std::io;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::Error;

/// Writes to standard error what `RUST_LOG` names: `debug`, or `pipeline=debug,checkpoint=info`.
/// Without it, or with nothing in it, nothing is written. Names and figures, never a value, an
/// input or a key.
///
/// # Errors
///
/// [`Error::Log`], if the variable holds anything else.
pub fn start() -> Result<(), Error> {
    let text = env::var_os("RUST_LOG").unwrap_or_default();
    let text = text.to_string_lossy();
    if text.is_empty() {
        return Ok(());
    }
    let targets: Targets =
        text.parse().map_err(|error: tracing_subscriber::filter::ParseError| Error::Log {
            text: text.to_string(),
            problem: error.to_string(),
        })?;
    let lines = fmt::layer().with_writer(io::stderr).with_thread_names(true).with_ansi(false);
    // Refused only where one was installed before: this is called once, before anything else.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
    Ok(())
}

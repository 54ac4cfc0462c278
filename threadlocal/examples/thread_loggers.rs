//! A logger per thread and name, each writing its own lines with `tracing`.
//!
//! `cargo run -p threadlocal --example thread_loggers`
//!
//! `get_logger(name)` gives the calling thread its own logger of that name: no lock around a buffer
//! that everybody shares, and lines of one thread never break into those of another. A logger here is
//! a `tracing` dispatcher over a buffer of its own that is written out in one piece when the thread is
//! done.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use threadlocal::PerThreadMap;
use tracing::dispatcher::{self, Dispatch};

/// One thread's logger of one name. Its lines come out together, at its end.
struct Logger {
    dispatch: Dispatch,
    lines: Lines,
}

impl Logger {
    fn new(name: &str) -> Self {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .with_thread_names(true)
            .finish();
        let dispatch = Dispatch::new(subscriber);
        dispatcher::with_default(&dispatch, || tracing::info!("logger {name:?} opened"));
        Self { dispatch, lines }
    }

    /// What is traced inside goes to this logger.
    fn log<R>(&mut self, f: impl FnOnce() -> R) -> R {
        dispatcher::with_default(&self.dispatch, f)
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        let lines = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to tell that standard output is closed.
        let _ = io::stdout().lock().write_all(&lines);
    }
}

/// Where a logger's lines wait.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let loggers =
        PerThreadMap::new(|name: &String| Ok::<_, std::convert::Infallible>(Logger::new(name)));
    let workers: Vec<_> = ["ada", "bob"]
        .into_iter()
        .map(|name| {
            let loggers = loggers.clone();
            thread::Builder::new().name(name.to_owned()).spawn(move || {
                for slide in 1..=3 {
                    loggers.with("audio", |logger| {
                        logger.log(|| tracing::info!(slide, "spoken"));
                        // Another name is another logger: nesting is fine.
                        loggers.with("image", |other| {
                            other.log(|| tracing::warn!(slide, "drawn twice"));
                        })
                    })??;
                }
                Ok::<_, threadlocal::UseError<std::convert::Infallible>>(())
            })
        })
        .collect::<io::Result<_>>()?;
    for worker in workers {
        worker.join().expect("no worker panics")?;
    }
    println!("{} loggers are left: each ended with its thread", loggers.len());
    Ok(())
}

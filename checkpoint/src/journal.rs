//! The sink of the group commit: the file lock around the log.

use std::sync::Arc;
use std::time::Instant;

use crate::group::Sink;
use crate::lock::locked;
use crate::log::Log;
use crate::run::Run;
use crate::vfs::LockFile;
use crate::{Result, recover};

/// The run's lock file and its log. Whoever has it leads.
#[derive(Debug)]
pub(crate) struct Journal {
    lock: Box<dyn LockFile>,
    log: Log,
}

impl Journal {
    pub(crate) fn new(lock: Box<dyn LockFile>, run: Arc<Run>) -> Self {
        Self { lock, log: Log::new(run) }
    }

    /// Runs `work` under the lock.
    pub(crate) fn locked<R>(&mut self, exclusive: bool, work: impl FnOnce() -> R) -> Result<R> {
        let run = &self.log.run;
        locked(&mut *self.lock, &*run.folder, exclusive, run.options.lock_timeout, work)
    }

    /// Takes in what other processes wrote.
    pub(crate) fn refresh(&mut self) -> Result<()> {
        let run = Arc::clone(&self.log.run);
        let seen = self.locked(false, || {
            let mut tail = run.tail();
            tail.check_poison(&run)?;
            recover::look(&run, &mut tail)
        })??;
        if seen {
            return Ok(());
        }
        self.locked(true, || {
            let mut tail = run.tail();
            tail.check_poison(&run)?;
            recover::catch_up(&run, &mut tail)
        })?
    }
}

impl Sink for Journal {
    type Held = Log;

    /// Leader and followers settle into two groups that take turns; a short wait joins them.
    fn gather(&mut self, crowd: usize, queued: &dyn Fn() -> usize) {
        let (begun, most) = (Instant::now(), self.log.last_flush / 4);
        while queued() < crowd && begun.elapsed() < most {
            std::thread::yield_now();
        }
    }

    fn hold<R>(&mut self, work: impl FnOnce(Result<&mut Log>) -> R) -> R {
        let Self { lock, log } = self;
        let run = Arc::clone(&log.run);
        let mut work = Some(work);
        let held = locked(&mut **lock, &*run.folder, true, run.options.lock_timeout, || {
            work.take().map(|work| work(Ok(log)))
        });
        match (held, work) {
            (Ok(Some(result)), _) => result,
            (Err(error), Some(work)) => work(Err(error)),
            // `locked` runs its work exactly once or says why not.
            _ => unreachable!("the lock was taken and its work was not run"),
        }
    }
}

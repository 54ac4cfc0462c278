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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Journal, Sink as _};
    use crate::builder::{Options, create_log, lock_file};
    use crate::disk::Disk;
    use crate::recover::adopt;
    use crate::run::Run;
    use crate::{Durability, RunId};

    /// How often a leader who expects three looks at a queue that has one more at each look.
    fn looks(last_flush: Duration) -> usize {
        let root = tempfile::tempdir().unwrap();
        let id = RunId::new("a").unwrap();
        let folder = Disk::create(root.path(), "a").unwrap();
        create_log(&folder, &id).unwrap();
        let view = adopt(&folder, &id).unwrap().view;
        let options =
            Options { durability: Durability::Disk, lock_timeout: None, max_value_bytes: 1000 };
        let run = Arc::new(Run::new(Box::new(folder), id, options, view, 0));
        let mut journal = Journal::new(lock_file(&*run.folder).unwrap(), run);
        journal.log.last_flush = last_flush;
        let looks = Cell::new(0);
        journal.gather(3, &|| looks.replace(looks.get() + 1));
        looks.get()
    }

    #[test]
    fn a_leader_waits_until_the_crowd_is_there_and_not_where_flushes_cost_nothing() {
        assert_eq!(looks(Duration::from_secs(3600)), 4);
        assert_eq!(looks(Duration::ZERO), 1);
    }
}

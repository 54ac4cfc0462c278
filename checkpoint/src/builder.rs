//! How a run is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::Inner;
use crate::draft::Draft;
use crate::group::Group;
use crate::journal::Journal;
use crate::lock::locked;
use crate::recover::{Adopted, adopt};
use crate::run::Run;
use crate::vfs::{Folder, LOG, LockFile, uninterrupted};
use crate::{Checkpoint, Error, Result, RunId, disk};

/// What a save has survived when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// Power loss: the record was flushed to the disk.
    #[default]
    Disk,
    /// The death of the process, `kill -9` included, but not of the machine: it is appended and
    /// ordered, and no flush is waited for. The next flush of this run takes it along.
    Process,
}

/// A value's size limit unless the builder sets another: 16 MiB.
const VALUE_BYTES_MAX: usize = 16 << 20;

/// Lines count their length in 32 bits.
const VALUE_BYTES_LIMIT: usize = 1 << 30;

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) durability: Durability,
    pub(crate) lock_timeout: Option<Duration>,
    pub(crate) max_value_bytes: usize,
}

/// What opening a run found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Records that were read and verified, each file's first line included.
    pub records: u64,
    /// Nodes in the state.
    pub nodes: usize,
    /// Bytes of a torn tail that were cut off: a save that never returned.
    pub torn_bytes: u64,
    /// Where they were copied to, relative to the run's folder; a long one is copied in part.
    pub quarantined: Option<String>,
}

/// Options for opening a run; made by [`Checkpoint::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder opens nothing until open() is called"]
pub struct Builder {
    root: PathBuf,
    run: RunId,
    options: Options,
    network: bool,
}

impl Builder {
    pub(crate) fn new(root: &Path, run: &RunId) -> Self {
        let options = Options {
            durability: Durability::default(),
            lock_timeout: None,
            max_value_bytes: VALUE_BYTES_MAX,
        };
        Self { root: root.to_owned(), run: run.clone(), options, network: false }
    }

    /// What `save` and `save_all` promise; `Disk` unless set.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.options.durability = durability;
        self
    }

    /// How long any call waits for other processes; unless set, as long as it takes.
    ///
    /// With a timeout the lock is polled, which is not fair: a steady stream of others' saves can
    /// keep this process waiting. Without one the kernel queues the waiters.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.options.lock_timeout = Some(timeout);
        self
    }

    /// The largest value, and the largest batch, in bytes of JSON; 16 MiB unless set, never more
    /// than 1 GiB.
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.options.max_value_bytes = bytes.min(VALUE_BYTES_LIMIT);
        self
    }

    /// Opens a run on a network file system, where its lock may exclude this machine only.
    pub fn allow_network_file_system(mut self, allow: bool) -> Self {
        self.network = allow;
        self
    }

    /// Opens the run, making it if it is not there; reads and verifies all of its log.
    ///
    /// Blocks while other processes hold the run's lock.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Locked`], [`Error::UnsupportedVersion`],
    /// [`Error::NetworkFileSystem`], [`Error::Io`].
    pub fn open(self) -> Result<Checkpoint> {
        let path = self.root.join(self.run.as_str());
        let folder = disk::Disk::create(&self.root, self.run.as_str())
            .map_err(Error::io("make or open the run's folder (no link, writable)", &path))?;
        let kind = disk::network_kind(&path).map_err(Error::io("look at", &path))?;
        if let (Some(kind), false) = (kind, self.network) {
            return Err(Error::NetworkFileSystem { path: self.root, kind });
        }
        open_in(Box::new(folder), self.run, self.options)
    }
}

/// Opens a run in a folder of any kind.
pub(crate) fn open_in(folder: Box<dyn Folder>, id: RunId, options: Options) -> Result<Checkpoint> {
    let mut lock = lock_file(&*folder)?;
    let adopted = locked(&mut *lock, &*folder, true, options.lock_timeout, || {
        // A courtesy: what stays now is swept by a later open.
        if let Err(error) = uninterrupted(|| folder.sweep()) {
            tracing::warn!(path = %folder.path().display(), %error, "could not be swept");
        }
        create_log(&*folder, &id)?;
        adopt(&*folder, &id)
    })??;
    let Adopted { view, records, torn_bytes, quarantined } = adopted;
    let report = OpenReport { records, nodes: view.index.len(), torn_bytes, quarantined };
    let durable = view.end.seq;
    let run = Arc::new(Run::new(folder, id, options, view, durable));
    let group = Group::new(Journal::new(lock, Arc::clone(&run)));
    Ok(Checkpoint::from_parts(Inner::new(run, group, report)))
}

pub(crate) fn lock_file(folder: &dyn Folder) -> Result<Box<dyn LockFile>> {
    let path = folder.path().join(crate::vfs::LOCK);
    uninterrupted(|| folder.lock_file())
        .map_err(Error::io("open for writing (checkpoint::read needs only to read)", &path))
}

/// Makes the first log if there is none. Under the lock.
pub(crate) fn create_log(folder: &dyn Folder, id: &RunId) -> Result<()> {
    let there = uninterrupted(|| folder.identity(LOG))
        .map_err(Error::io("look at", &folder.path().join(LOG)))?;
    if there.is_none() {
        Draft::begin(folder, id, false)?.publish().map_err(|failed| failed.error)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Builder;
    use crate::RunId;

    #[test]
    fn a_value_has_16_mib_and_never_more_than_1_gib() {
        let builder = Builder::new(Path::new("runs"), &RunId::new("a").unwrap());
        assert_eq!(builder.options.max_value_bytes, 16_777_216);
        let builder = builder.max_value_bytes(usize::MAX);
        assert_eq!(builder.options.max_value_bytes, 1_073_741_824);
    }
}

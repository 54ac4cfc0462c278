//! Reading a run without a lock and without a handle.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::disk::Disk;
use crate::recover::{Whole, read_whole, rest_of};
use crate::scan::{LogFile, Rest, judge};
use crate::vfs::{Folder, LOG, uninterrupted};
use crate::{Error, Result, RunId, Seq, Snapshot};

/// A log that changes under a reader can look damaged once, not this often.
const ATTEMPTS: u32 = 5;

/// What [`verify`] checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Records that verified, the file's first line included.
    pub records: u64,
    /// Nodes in the state.
    pub nodes: usize,
    /// The last record.
    pub seq: Seq,
    /// Bytes that verified.
    pub bytes: u64,
    /// Bytes behind them that nobody was promised; the next open cuts them off.
    pub torn_bytes: u64,
}

/// Reads the state of a run: no lock, no handle, also while others write, also on read-only media.
///
/// It is a prefix of what was committed, with at least everything that was acknowledged before the
/// call; it may show saves whose outcome is not decided yet.
///
/// # Errors
/// [`Error::NoSuchRun`], [`Error::Corrupt`], [`Error::UnsupportedVersion`], [`Error::Io`].
pub fn read(root: impl AsRef<Path>, run: &RunId) -> Result<Snapshot> {
    let (log, whole, _) = read_in(&*folder_of(root.as_ref(), run)?, run)?;
    Ok(snapshot(run, log, whole))
}

/// Checks every byte of a run's log and changes nothing. Takes no lock.
///
/// # Errors
/// As [`read`].
pub fn verify(root: impl AsRef<Path>, run: &RunId) -> Result<Verified> {
    let (_, whole, torn_bytes) = read_in(&*folder_of(root.as_ref(), run)?, run)?;
    Ok(Verified {
        records: whole.records,
        nodes: whole.index.len(),
        seq: Seq(whole.end.seq),
        bytes: whole.end.offset,
        torn_bytes,
    })
}

pub(crate) fn snapshot(run: &RunId, log: LogFile, whole: Whole) -> Snapshot {
    Snapshot {
        run: run.clone(),
        log: Arc::new(log),
        seq: Seq(whole.end.seq),
        updated_at: whole.updated_at,
        index: Arc::new(whole.index),
    }
}

/// The folder of a run that must be there.
pub(crate) fn folder_of(root: &Path, run: &RunId) -> Result<Box<dyn Folder>> {
    let path = root.join(run.as_str());
    match Disk::open(root, run.as_str()) {
        Ok(folder) => Ok(Box::new(folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NoSuchRun { path }),
        Err(error) => Err(Error::io("open the run's folder (it must not be a link)", &path)(error)),
    }
}

/// The longest valid prefix of the log, and how many bytes stand behind it.
pub(crate) fn read_in(folder: &dyn Folder, run: &RunId) -> Result<(LogFile, Whole, u64)> {
    patiently(|| read_once(folder, run))
}

fn patiently<T>(mut read: impl FnMut() -> Result<T>) -> Result<T> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match read() {
            Err(Error::Corrupt { .. }) if attempt < ATTEMPTS => {}
            result => return result,
        }
    }
}

fn read_once(folder: &dyn Folder, run: &RunId) -> Result<(LogFile, Whole, u64)> {
    let path = folder.path().join(LOG);
    let file = uninterrupted(|| folder.open(LOG, false)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NoSuchRun { path: folder.path().to_owned() },
        _ => Error::io("open", &path)(error),
    })?;
    let (log, start) = LogFile::open(file, &path, Some(run))?;
    let mut whole = read_whole(&log, start)?;
    while !whole.clean {
        let rest = rest_of(&log, &whole.end)?;
        if judge(&rest, &whole.end, log.nonce) == Rest::Torn {
            return Ok((log, whole, rest.len() as u64));
        }
        // A later record vouches for what was bad here; but a writer may have filled this place
        // between two reads. What stands before a record was written before it: only bytes that are
        // bad when they are read after that record was seen are damaged.
        if !whole.read_on(&log)? {
            return Err(log.corrupt(&whole.end));
        }
    }
    Ok((log, whole, 0))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{patiently, read};
    use crate::{Error, RunId, Seq};

    #[test]
    fn damage_is_believed_when_it_was_seen_five_times() {
        let damaged = || Error::Corrupt { path: PathBuf::new(), offset: 0, last_good_seq: Seq(0) };
        let mut calls = 0;
        let read = patiently(|| -> crate::Result<()> {
            calls += 1;
            Err(damaged())
        });
        assert!(matches!(read, Err(Error::Corrupt { .. })));
        assert_eq!(calls, 5);
        let read = patiently(|| {
            calls -= 1;
            if calls == 0 { Ok("read") } else { Err(damaged()) }
        });
        assert_eq!(read.unwrap(), "read");
    }

    #[test]
    fn a_run_that_is_not_there_is_no_such_run() {
        let root = tempfile::tempdir().unwrap();
        let run = RunId::new("a").unwrap();
        assert!(matches!(read(root.path(), &run), Err(Error::NoSuchRun { .. })));
        std::fs::write(root.path().join("a"), "").unwrap();
        assert!(matches!(read(root.path(), &run), Err(Error::Io { .. })));
    }
}

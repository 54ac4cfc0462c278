//! The runs under a root: listing and deleting them.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::builder::lock_file;
use crate::lock::locked;
use crate::read::{folder_of, read_in};
use crate::vfs::{Flush, LOG};
use crate::{Error, Result, RunId};

/// One line of [`runs`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunInfo {
    /// Its name.
    pub name: RunId,
    /// How many nodes it has; 0 if it is damaged.
    pub nodes: usize,
    /// When its last record was written; `None` before the first.
    pub updated_at: Option<SystemTime>,
    /// Size of its log, without the space that is made ahead.
    pub bytes: u64,
    /// Where its log is damaged, if it is: see [`salvage`](crate::salvage).
    pub damaged_at: Option<u64>,
}

/// All runs under a root, by name. Reads and verifies each; takes no lock. None, if there is no
/// such root.
///
/// A folder without a log is no run: it is skipped.
///
/// # Errors
/// [`Error::Io`] and [`Error::UnsupportedVersion`]; a damaged run is listed with its damage.
pub fn runs(root: impl AsRef<Path>) -> Result<Vec<RunInfo>> {
    let root = root.as_ref();
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("list", root))?,
    };
    let mut infos = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list", root))?;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let name = entry.file_name().to_str().and_then(|name| RunId::new(name).ok());
        if let (Some(name), true) = (name, is_folder) {
            infos.extend(info(root, name)?);
        }
    }
    infos.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(infos)
}

fn info(root: &Path, name: RunId) -> Result<Option<RunInfo>> {
    let read = folder_of(root, &name).and_then(|folder| read_in(&*folder, &name));
    match read {
        Ok((_, whole, _)) => Ok(Some(RunInfo {
            name,
            nodes: whole.index.len(),
            updated_at: whole.updated_at,
            bytes: whole.end.offset,
            damaged_at: None,
        })),
        Err(Error::NoSuchRun { .. }) => Ok(None),
        Err(Error::Corrupt { path, offset, .. }) => {
            let bytes = std::fs::metadata(&path).map_err(Error::io("look at", &path))?.len();
            let damaged_at = Some(offset);
            Ok(Some(RunInfo { name, nodes: 0, updated_at: None, bytes, damaged_at }))
        }
        Err(error) => Err(error),
    }
}

/// Deletes a run: everything but its lock file, under that lock.
///
/// Handles that are open on it get [`Error::NoSuchRun`] from then on; opening it again begins anew.
///
/// # Errors
/// [`Error::NoSuchRun`], [`Error::Io`].
pub fn delete(root: impl AsRef<Path>, run: &RunId) -> Result<()> {
    let folder = folder_of(root.as_ref(), run)?;
    let failed = |doing| Error::io(doing, folder.path());
    let there = || folder.identity(LOG).map_err(failed("look at"));
    let no_such_run = || Error::NoSuchRun { path: folder.path().to_owned() };
    // Before the lock: a folder that never was a run gets no lock file.
    there()?.ok_or_else(no_such_run)?;
    locked(&mut *lock_file(&*folder)?, &*folder, true, None, || {
        there()?.ok_or_else(no_such_run)?;
        // The log first and for good: a crash leaves a folder that is no run.
        folder.remove(LOG).map_err(failed("delete the log of"))?;
        folder.sync(Flush::Deleted).map_err(failed("flush"))?;
        folder.clear().map_err(failed("clear"))
    })?
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn a_root_that_is_missing_has_no_runs_and_a_file_is_no_root() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(runs(root.path().join("missing")).unwrap(), []);
        std::fs::write(root.path().join("file"), "").unwrap();
        assert!(runs(root.path().join("file")).is_err());
    }
}

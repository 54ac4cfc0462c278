//! What can go wrong, what is true afterwards, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Seq;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that this crate refuses or fails to do.
///
/// Each message names the thing, says what holds now, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing of this call is in the run, now or after a crash; the handle goes on working.
    #[error(
        "nothing was written to {}: {source}; the state before this call holds: make space, then \
         save again",
        path.display()
    )]
    NotWritten {
        /// The log.
        path: PathBuf,
        /// Why: no space, a quota, a file size limit, a failed write.
        source: io::Error,
    },
    /// A flush failed and could not be made up for: this call may or may not be found later.
    #[error(
        "whether this save of {} is on disk is unknown, its flush failed: {source}; this handle \
         refuses further work: check the disk, then open the run again and read the node",
        path.display()
    )]
    Unknown {
        /// The log.
        path: PathBuf,
        /// What the flush said.
        source: io::Error,
    },
    /// An earlier failure left this handle unable to say what is on disk.
    #[error(
        "this handle of {} refuses work after an earlier failure ({reason}): check the disk, then \
         open the run again",
        path.display()
    )]
    Poisoned {
        /// The run's folder.
        path: PathBuf,
        /// The failure that did it.
        reason: String,
    },
    /// Another process holds the run's lock for longer than `lock_timeout`.
    #[error(
        "{} is locked by {}, waited {waited:?}; nothing was written: wait for it to end or give \
         a longer lock_timeout",
        path.display(),
        holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Its process id, where `/proc/locks` tells.
        holder: Option<u32>,
        /// How long this call waited.
        waited: Duration,
    },
    /// Bytes that were promised are damaged or gone.
    #[error(
        "{} is damaged at byte {offset}, the last good record is {last_good_seq}; nothing was \
         changed: restore the file from a copy, or call checkpoint::salvage to keep every record \
         that still verifies",
        path.display()
    )]
    Corrupt {
        /// The log.
        path: PathBuf,
        /// Where the first bad byte's record begins.
        offset: u64,
        /// The last record before it.
        last_good_seq: Seq,
    },
    /// `update` lost against other writers every time.
    #[error(
        "node {node:?} changed under {attempts} attempts to update it; nothing was written: \
         update it from fewer places, or try again"
    )]
    Conflict {
        /// The node.
        node: String,
        /// How often its function was run.
        attempts: u32,
    },
    /// A value or batch is above the limit.
    #[error(
        "node {node:?} would take {bytes} bytes, the limit is {limit}; nothing was written: save \
         the data as a file and its name here, or raise max_value_bytes"
    )]
    TooLarge {
        /// The node, or the first of the batch.
        node: String,
        /// Its size as JSON.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// A run id or a node name that is not one.
    #[error("{name:?} is no name for a {what}: {rule}")]
    InvalidName {
        /// `run` or `node`.
        what: &'static str,
        /// The name that was given.
        name: String,
        /// What a name must look like.
        rule: &'static str,
    },
    /// The log was written by another version of this crate.
    #[error(
        "{} has format {found}, this version reads format {supported}: use the version that \
         wrote it",
        path.display()
    )]
    UnsupportedVersion {
        /// The log.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        supported: u64,
    },
    /// The run is on a file system where a lock may lock nothing.
    #[error(
        "{} is on a network file system ({kind}), where locks may not exclude other machines: \
         use a local disk, or allow_network_file_system(true) if only one machine uses it",
        path.display()
    )]
    NetworkFileSystem {
        /// The root of the runs.
        path: PathBuf,
        /// Its kind.
        kind: &'static str,
    },
    /// A value that cannot be stored as JSON, or that does not read back as the type asked for.
    #[error("node {node:?}: {problem}: {source}")]
    Type {
        /// The node.
        node: String,
        /// What was tried, and what to do.
        problem: &'static str,
        /// What serde said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no such run.
    #[error(
        "there is no run in {}: check its name and root, checkpoint::runs lists them",
        path.display()
    )]
    NoSuchRun {
        /// The folder looked for.
        path: PathBuf,
    },
    /// The handle belongs to the process that forked this one.
    #[error(
        "this handle of {} was opened by process {opened_by} before a fork: open the run again in \
         the child",
        path.display()
    )]
    Forked {
        /// The run's folder.
        path: PathBuf,
        /// Who opened it.
        opened_by: u32,
    },
    /// The system refused something else; nothing was written by this call.
    #[error("could not {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// The same error for one more member of a group: `io::Error` does not clone.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::NotWritten { path, source } => {
                Self::NotWritten { path: path.clone(), source: copy(source) }
            }
            Self::Unknown { path, source } => {
                Self::Unknown { path: path.clone(), source: copy(source) }
            }
            Self::Locked { path, holder, waited } => {
                Self::Locked { path: path.clone(), holder: *holder, waited: *waited }
            }
            Self::Corrupt { path, offset, last_good_seq } => {
                Self::Corrupt { path: path.clone(), offset: *offset, last_good_seq: *last_good_seq }
            }
            Self::UnsupportedVersion { path, found, supported } => Self::UnsupportedVersion {
                path: path.clone(),
                found: *found,
                supported: *supported,
            },
            Self::NoSuchRun { path } => Self::NoSuchRun { path: path.clone() },
            Self::Io { doing, path, source } => {
                Self::Io { doing, path: path.clone(), source: copy(source) }
            }
            Self::Poisoned { path, reason } => {
                Self::Poisoned { path: path.clone(), reason: reason.clone() }
            }
            // The others are decided by one caller alone, before it joins a group.
            other => Self::Poisoned { path: PathBuf::new(), reason: other.to_string() },
        }
    }
}

fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

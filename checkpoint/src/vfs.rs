//! The seam to the file system: what the journal asks of a run's folder.
//!
//! The real one is [`crate::disk`]; the tests' one remembers what a power loss may take.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The only source of truth.
pub(crate) const LOG: &str = "checkpoint.log";
/// What stands between the last record and the end of the file: space that is there already, so that
/// a flush need not record a new size. It is white space to every reader of JSON.
pub(crate) const FILLER: u8 = b'\n';
/// Empty, locked, never deleted.
pub(crate) const LOCK: &str = "checkpoint.lock";
/// The derived view for people.
pub(crate) const VIEW: &str = "checkpoint.json";
/// Where torn tails go.
pub(crate) const QUARANTINE: &str = "quarantine";

/// Which file a name or a descriptor stands for: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Every flush by what it is for. The disk does not care; the tests leave each out in turn and must
/// see that it is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Flush {
    /// A group, before its savers are told.
    Group,
    /// A failed write was undone.
    Undo,
    /// A torn tail was cut off.
    TornTail,
    /// Unproven records were written again.
    Again,
    /// A new file, before it is renamed.
    NewFile,
    /// The entry of a file that somebody else may have renamed.
    FoundEntry,
    /// The entry of a file that was renamed here.
    NewEntry,
    /// A run that was deleted.
    Deleted,
}

/// A run's folder.
pub(crate) trait Folder: Debug + Send + Sync {
    fn path(&self) -> &Path;
    /// Opens a file that is there; never truncates, never follows a symbolic link.
    fn open(&self, name: &str, writable: bool) -> io::Result<Arc<dyn File>>;
    /// What stands under the name now.
    fn identity(&self, name: &str) -> io::Result<Option<Identity>>;
    /// A new file under a name of its own, safe from every [`Folder::sweep`] while this process
    /// lives and has it open.
    fn create_temporary(&self) -> io::Result<(String, Arc<dyn File>)>;
    /// Removes what killed processes left. Only under the lock.
    fn sweep(&self) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Flushes the folder's entries.
    fn sync(&self, why: Flush) -> io::Result<()>;
    /// Flushes the entry of the folder itself.
    fn sync_parent(&self, why: Flush) -> io::Result<()>;
    /// Keeps bytes that are about to be cut off, within bounds; returns the file's name.
    fn keep_aside(&self, bytes: &[u8]) -> io::Result<String>;
    /// Keeps the whole log under a second name; returns that.
    fn keep_log_aside(&self) -> io::Result<String>;
    /// Removes everything but the lock file, and flushes that. Only under the lock.
    fn clear(&self) -> io::Result<()>;
    /// Replaces the view for people in one step.
    fn replace_view(&self, write: &mut Writing<'_>) -> io::Result<()>;
    /// A descriptor of the lock file, made if it is not there.
    fn lock_file(&self) -> io::Result<Box<dyn LockFile>>;
    /// Pause between two looks at a lock that is waited for with a timeout.
    fn pause(&self, time: Duration);
    fn now(&self) -> SystemTime;
    /// A number that no earlier file of this run was sealed with, as far as chance can promise.
    fn nonce(&self) -> u32;
}

/// Something that writes a file's content.
pub(crate) type Writing<'a> = dyn FnMut(&mut dyn io::Write) -> io::Result<()> + 'a;

/// An open file. Calls may do less than asked; `EINTR` comes through.
pub(crate) trait File: Debug + Send + Sync {
    fn identity(&self) -> Identity;
    fn len(&self) -> io::Result<u64>;
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// `fdatasync`: bytes, and the size if it grew.
    fn sync_data(&self, why: Flush) -> io::Result<()>;
    /// `fsync`: everything, a smaller size, too.
    fn sync_all(&self, why: Flush) -> io::Result<()>;
}

/// An open lock file.
pub(crate) trait LockFile: Debug + Send {
    /// Runs `work` under the lock. Waits for it in the kernel, or returns `WouldBlock` at once.
    fn with(&mut self, exclusive: bool, wait: bool, work: &mut dyn FnMut()) -> io::Result<()>;
    /// The process that holds it, where the system tells.
    fn holder(&self) -> Option<u32>;
}

/// Tries again while a signal interrupts.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Writes all of `bytes`, in as many pieces as the system wants.
pub(crate) fn write_all(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match uninterrupted(|| file.write_at(bytes, offset))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
        }
    }
    Ok(())
}

/// Reads until `into` is full or the file ends; returns how much it was.
pub(crate) fn read_full(file: &dyn File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match uninterrupted(|| file.read_at(&mut into[filled..], offset + filled as u64))? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

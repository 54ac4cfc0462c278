//! What all clones of a handle share: the published view and the log's tail.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use crate::builder::Options;
use crate::index::{Change, Index};
use crate::scan::{LogFile, Position};
use crate::vfs::{Folder, LOG};
use crate::{Error, Result, RunId};

/// One opened run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) folder: Box<dyn Folder>,
    pub(crate) id: RunId,
    pub(crate) options: Options,
    /// What `get` sees. Changed only by [`Run::publish`] and [`Run::replace`], under `tail`.
    view: RwLock<View>,
    /// The append mutex: held over appending, let go over flushing.
    tail: Mutex<Tail>,
    /// Whether a group that will be flushed is being appended or flushed: only a hint, so that who has
    /// nothing to append behind need not wait for the tail to learn it.
    pub(crate) to_be_flushed: AtomicBool,
}

/// A published state. Its seq only grows.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) log: Arc<LogFile>,
    pub(crate) index: Index,
    /// The end of the last record that `index` holds.
    pub(crate) end: Position,
    pub(crate) updated_at: Option<SystemTime>,
}

/// Where the log ends, and what of it is not published or not durable yet.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) log: Arc<LogFile>,
    /// The end of the last record that was appended or taken in.
    pub(crate) end: Position,
    /// The file's length as far as this handle knows: up to here no append changes it.
    pub(crate) allocated: u64,
    /// The highest seq that this handle knows to be on disk.
    pub(crate) durable: u64,
    /// Changes up to `end` that the view does not show yet.
    pub(crate) pending: Vec<Change>,
    pub(crate) updated_at: Option<SystemTime>,
    /// This process holds the file lock and is flushing: others of it may append behind.
    pub(crate) flushing: bool,
    /// Why nobody may write any more.
    pub(crate) poisoned: Option<String>,
}

impl Run {
    pub(crate) fn new(
        folder: Box<dyn Folder>,
        id: RunId,
        options: Options,
        view: View,
        durable: u64,
    ) -> Self {
        let tail = Tail {
            log: Arc::clone(&view.log),
            end: view.end.clone(),
            // At least; the next append looks.
            allocated: view.end.offset,
            durable,
            pending: Vec::new(),
            updated_at: view.updated_at,
            flushing: false,
            poisoned: None,
        };
        Self {
            folder,
            id,
            options,
            view: RwLock::new(view),
            tail: Mutex::new(tail),
            to_be_flushed: AtomicBool::new(false),
        }
    }

    /// The view changes in one assignment or fold that cannot panic half way, so a poisoned lock
    /// still guards a whole one. The same holds for the tail, whose writers undo or poison it.
    pub(crate) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows everything up to the tail's end.
    pub(crate) fn publish(&self, tail: &mut Tail) {
        let mut view = self.view_mut();
        debug_assert!(view.end.seq <= tail.end.seq, "a view never goes back");
        for (node, slot) in tail.pending.drain(..) {
            view.index.apply(&node, slot);
        }
        view.end = tail.end.clone();
        view.updated_at = tail.updated_at;
    }

    /// Goes over to another file that holds at least what this handle has seen.
    pub(crate) fn replace(&self, tail: &mut Tail, new: View, durable: u64) {
        debug_assert!(new.end.seq >= tail.end.seq, "a file with less was adopted");
        tail.log = Arc::clone(&new.log);
        tail.end = new.end.clone();
        tail.allocated = new.end.offset;
        tail.durable = durable;
        tail.updated_at = new.updated_at;
        tail.pending.clear();
        *self.view_mut() = new;
    }

    pub(crate) fn log_path(&self) -> std::path::PathBuf {
        self.folder.path().join(LOG)
    }

    pub(crate) fn no_such_run(&self) -> Error {
        Error::NoSuchRun { path: self.folder.path().to_owned() }
    }
}

impl Tail {
    pub(crate) fn check_poison(&self, run: &Run) -> Result<()> {
        match &self.poisoned {
            None => Ok(()),
            Some(reason) => {
                Err(Error::Poisoned { path: run.folder.path().to_owned(), reason: reason.clone() })
            }
        }
    }
}

//! The handle.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::{Builder, Durability, OpenReport};
use crate::group::Group;
use crate::journal::Journal;
use crate::log::{Guard, Place, Reply, Request, append_behind};
use crate::run::Run;
use crate::snapshot::{Entry, Snapshot, read_entry};
use crate::value::to_json;
use crate::{Batch, Error, Result, RunId, Seq, compact, names, record, recover, time};

/// How often `update` runs its function before it gives up.
const UPDATE_ATTEMPTS: u32 = 1000;

/// A run that is open: clone it into every thread.
///
/// All clones share one view and one queue: threads that save at the same time share one flush.
/// Any number of processes may have the same run open. Dropping a handle writes nothing and waits
/// for nothing: what was saved is on disk already.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    run: Arc<Run>,
    pub(crate) group: Group<Journal>,
    report: OpenReport,
    opened_by: u32,
    /// One thread at a time compacts by itself.
    compacting: AtomicBool,
    /// After a compaction that failed: not before the log is this long.
    compact_from: AtomicU64,
}

/// What [`Checkpoint::save_once`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved<T> {
    /// The node was not there: it is now, by this record.
    Inserted(Seq),
    /// Somebody was first: this is his value.
    Existing(Entry<T>),
}

impl Checkpoint {
    /// Opens the run `run` under `root`, making both where they are missing.
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub fn open(root: impl AsRef<Path>, run: &RunId) -> Result<Self> {
        Self::builder(root, run).open()
    }

    /// The same with options.
    pub fn builder(root: impl AsRef<Path>, run: &RunId) -> Builder {
        Builder::new(root.as_ref(), run)
    }

    pub(crate) fn from_parts(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Saves a value under a node's name, replacing what was there.
    ///
    /// When it returns, the value is on disk (unless the builder said [`Durability::Process`]).
    /// Blocks for one flush, at most for two, and for other processes' turns. Costs the same
    /// however much is in the run already.
    ///
    /// # Errors
    /// After [`Error::NotWritten`], [`Error::Locked`], [`Error::TooLarge`], [`Error::InvalidName`],
    /// [`Error::Type`] and [`Error::Corrupt`] nothing of it is in the run. After [`Error::Unknown`]
    /// it may be.
    pub fn save<T: Serialize + ?Sized>(&self, node: &str, value: &T) -> Result<Seq> {
        self.save_with(node, value, self.inner.run.options.durability)
    }

    /// Saves with a promise of its own. A `Process` record does not wait for the disk: while others
    /// flush, it is appended behind them.
    ///
    /// # Errors
    /// As [`Checkpoint::save`].
    pub fn save_with<T: Serialize + ?Sized>(
        &self,
        node: &str,
        value: &T,
        durability: Durability,
    ) -> Result<Seq> {
        let json = to_json(node, value)?;
        let request = self.request(node, Some(&json), Guard::Free, durability)?;
        self.written(request)
    }

    /// Makes all changes of a batch, or none, also after a crash. An empty one changes nothing.
    ///
    /// # Errors
    /// As [`Checkpoint::save`].
    pub fn save_all(&self, batch: Batch) -> Result<Seq> {
        self.check_fork()?;
        batch.check_names()?;
        let Some((first, _)) = batch.changes.first() else {
            return Ok(Seq(self.inner.run.view().end.seq));
        };
        let first = first.clone();
        let now = self.inner.run.folder.now();
        let changes = batch.changes.iter().map(|(node, value)| (&**node, value.as_deref()));
        let mut starts = Vec::new();
        let body = record::batch(&time::format(now), changes, |at| starts.push(at));
        self.check_size(&first, body.len())?;
        let (mut starts, end) = (starts.into_iter(), body.len());
        let changes = batch.changes.into_iter().map(|(node, value)| {
            let place = value.map(|json| Place::of(&json, end - starts.next().unwrap_or(end)));
            (node, place)
        });
        self.written(Request {
            changes: changes.collect(),
            body: Some(body),
            time: now,
            guard: Guard::Free,
            durability: self.inner.run.options.durability,
        })
    }

    /// Saves a value if the node is not there; otherwise returns what is: the first writer wins,
    /// across threads and processes. Either answer is on disk.
    ///
    /// # Errors
    /// As [`Checkpoint::save`] and [`Checkpoint::get`].
    pub fn save_once<T>(&self, node: &str, value: &T) -> Result<Saved<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        let json = to_json(node, value)?;
        loop {
            let request = self.request(node, Some(&json), Guard::Absent, Durability::Disk)?;
            if let Reply::Done(seq) = self.submit(request)? {
                return Ok(Saved::Inserted(seq));
            }
            // Refused, but removed again since: then this writer may be the first.
            if let Some(entry) = self.get(node)? {
                return Ok(Saved::Existing(entry));
            }
        }
    }

    /// Replaces a node's value by what `f` makes of it; no update is lost, across processes.
    ///
    /// `f` gets `None` if the node is not there, and removes it by returning `None`. It runs under
    /// no lock, and again if the node was changed meanwhile: it must not have effects of its own.
    ///
    /// # Errors
    /// As [`Checkpoint::save`] and [`Checkpoint::get`]; [`Error::Conflict`] after 1000 attempts.
    pub fn update<T>(&self, node: &str, mut f: impl FnMut(Option<T>) -> Option<T>) -> Result<Seq>
    where
        T: Serialize + DeserializeOwned,
    {
        self.check_fork()?;
        names::check_node(node)?;
        for _ in 0..UPDATE_ATTEMPTS {
            let old = self.get::<T>(node)?;
            let seen = Guard::Seen(old.as_ref().map(|entry| entry.seq.0));
            let was_there = old.is_some();
            let new = f(old.map(|entry| entry.value));
            let json = new.map(|new| to_json(node, &new)).transpose()?;
            let mut request = self.request(node, json.as_deref(), seen, Durability::Disk)?;
            if json.is_none() && !was_there {
                request.body = None;
            }
            if let Reply::Done(seq) = self.submit(request)? {
                return Ok(seq);
            }
        }
        Err(Error::Conflict { node: node.to_owned(), attempts: UPDATE_ATTEMPTS })
    }

    /// Removes a node; says whether it was there. Either answer is on disk.
    ///
    /// # Errors
    /// As [`Checkpoint::save`].
    pub fn remove(&self, node: &str) -> Result<bool> {
        let request = self.request(node, None, Guard::Present, Durability::Disk)?;
        Ok(matches!(self.submit(request)?, Reply::Done(_)))
    }

    /// Reads one value from this handle's view; `None` if the node is not there.
    ///
    /// The view holds what this handle's clones saved, and what other processes had saved at the
    /// last save, [`refresh`](Checkpoint::refresh) or [`load`](Checkpoint::load). It never goes
    /// back. Blocks for one read of the disk, for no lock of another process.
    ///
    /// # Errors
    /// [`Error::Type`] if it does not read back as `T`; [`Error::Corrupt`] if its bytes were
    /// damaged since; [`Error::Io`]; [`Error::Forked`].
    pub fn get<T: DeserializeOwned>(&self, node: &str) -> Result<Option<Entry<T>>> {
        self.check_fork()?;
        let (log, slot) = {
            let view = self.inner.run.view();
            (Arc::clone(&view.log), view.index.get(node))
        };
        read_entry(&log, node, slot)
    }

    /// Whether the node is there in this handle's view; reads memory only.
    pub fn contains(&self, node: &str) -> bool {
        self.inner.run.view().index.get(node).is_some()
    }

    /// Refreshes, then returns one consistent state. Copies the names.
    ///
    /// # Errors
    /// As [`Checkpoint::refresh`].
    pub fn load(&self) -> Result<Snapshot> {
        self.refresh()?;
        Ok(self.snapshot())
    }

    /// Takes in what other processes wrote; returns the last record of the view.
    ///
    /// Blocks for a group of this process and of others that is being written.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Locked`], [`Error::NoSuchRun`] if the run was deleted,
    /// [`Error::Poisoned`], [`Error::Forked`], [`Error::Io`].
    pub fn refresh(&self) -> Result<Seq> {
        self.check_fork()?;
        self.inner.group.claim(Journal::refresh)??;
        Ok(Seq(self.inner.run.view().end.seq))
    }

    /// What opening found: how many records, and whether a torn tail was cut off.
    pub fn report(&self) -> &OpenReport {
        &self.inner.report
    }

    /// Rewrites the log to its live state and writes `checkpoint.json`.
    ///
    /// It happens by itself when the log is above 1 MiB and twice its live state (without the JSON
    /// file). Others go on saving meanwhile.
    ///
    /// # Errors
    /// As [`Checkpoint::refresh`]; the old log holds and nothing is lost.
    pub fn compact(&self) -> Result<()> {
        self.check_fork()?;
        compact::compact(&self.inner.run, &self.inner.group)?;
        self.write_view()
    }

    /// Compacts, writes `checkpoint.json` and returns every error that this meets.
    ///
    /// Other clones go on working. Dropping a handle instead loses nothing, it only leaves this
    /// tidying to the next one.
    ///
    /// # Errors
    /// As [`Checkpoint::compact`].
    pub fn close(self) -> Result<()> {
        self.compact()
    }

    fn write_view(&self) -> Result<()> {
        let run = &self.inner.run;
        let path = run.folder.path().join(crate::vfs::VIEW);
        let written = self.inner.group.claim(|journal| {
            journal.locked(true, || {
                let mut tail = run.tail();
                tail.check_poison(run)?;
                // Or a view that another process has written already would go back.
                recover::catch_up(run, &mut tail)?;
                drop(tail);
                let snapshot = self.snapshot();
                let replaced = run.folder.replace_view(&mut |out| {
                    serde_json::to_writer(&mut *out, &snapshot)?;
                    out.write_all(b"\n")
                });
                replaced.map_err(Error::io("replace", &path))
            })
        });
        written??
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let run = &self.inner.run;
        let view = run.view();
        Snapshot {
            run: run.id.clone(),
            log: Arc::clone(&view.log),
            index: Arc::new(view.index.clone()),
            seq: Seq(view.end.seq),
            updated_at: view.updated_at,
        }
    }

    pub(crate) fn request(
        &self,
        node: &str,
        json: Option<&[u8]>,
        guard: Guard,
        durability: Durability,
    ) -> Result<Request> {
        self.check_fork()?;
        names::check_node(node)?;
        let now = self.inner.run.folder.now();
        let when = time::format(now);
        let body = match json {
            Some(json) => {
                self.check_size(node, json.len())?;
                record::put(node, &when, json)
            }
            None => record::remove(node, &when),
        };
        let changes = vec![(node.into(), json.map(|json| Place::of(json, json.len())))];
        Ok(Request { changes, body: Some(body), time: now, guard, durability })
    }

    fn written(&self, request: Request) -> Result<Seq> {
        if request.durability == Durability::Process
            && let Some(seq) = append_behind(&self.inner.run, &request)
        {
            return Ok(seq);
        }
        match self.submit(request)? {
            Reply::Done(seq) => Ok(seq),
            // Only a guard refuses, and an unguarded request has none.
            Reply::Refused => unreachable!("a request without a guard was refused"),
        }
    }

    fn submit(&self, request: Request) -> Result<Reply> {
        let reply = self.inner.group.submit(request);
        self.inner.compact_if_due();
        reply.map_err(|error| match error {
            // The group knows no files.
            Error::Poisoned { path, reason } if path.as_os_str().is_empty() => {
                Error::Poisoned { path: self.inner.run.folder.path().to_owned(), reason }
            }
            error => error,
        })
    }

    fn check_size(&self, node: &str, bytes: usize) -> Result<()> {
        let limit = self.inner.run.options.max_value_bytes;
        if bytes > limit {
            return Err(Error::TooLarge { node: node.to_owned(), bytes, limit });
        }
        Ok(())
    }

    fn check_fork(&self) -> Result<()> {
        let opened_by = self.inner.opened_by;
        if std::process::id() == opened_by {
            return Ok(());
        }
        Err(Error::Forked { path: self.inner.run.folder.path().to_owned(), opened_by })
    }
}

impl Inner {
    pub(crate) fn new(run: Arc<Run>, group: Group<Journal>, report: OpenReport) -> Self {
        Self {
            run,
            group,
            report,
            opened_by: std::process::id(),
            compacting: AtomicBool::new(false),
            compact_from: AtomicU64::new(0),
        }
    }

    /// A compaction that fails fails no save: the old log holds, and a later one tries again.
    fn compact_if_due(&self) {
        // ORDERING: Relaxed: a hint; a late one costs an attempt.
        if !compact::is_due(&self.run, self.compact_from.load(Ordering::Relaxed)) {
            return;
        }
        // ORDERING: Acquire pairs with the Release below: one compaction sees the last one's end.
        if self.compacting.swap(true, Ordering::Acquire) {
            return;
        }
        if let Err(error) = compact::compact(&self.run, &self.group) {
            tracing::warn!(run = %self.run.id, %error, "a compaction failed, the old log holds");
            let from = self.run.view().end.offset + compact::SMALL;
            // ORDERING: Relaxed, see above.
            self.compact_from.store(from, Ordering::Relaxed);
        }
        // ORDERING: Release pairs with the Acquire above.
        self.compacting.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;

//! What a step knows of itself, and what it may say.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ratelimit::Cancel;

use crate::artefact::{self, Artefact};
use crate::fault::Fault;
use crate::name::{Item, check_extension};

/// One attempt of a step, lent to the stage's closure on its worker's thread, which it does not
/// leave: it is not `Sync`. Nothing here blocks but the making of files.
#[derive(Debug)]
pub struct Cx<'run> {
    about: About<'run>,
    spent_usd: Cell<f64>,
    used: RefCell<Vec<(String, u64)>>,
    files: RefCell<Vec<Artefact>>,
    deadline: Cell<Option<Instant>>,
}

/// What the engine tells an attempt.
#[derive(Debug)]
pub(crate) struct About<'run> {
    pub(crate) run_dir: &'run Path,
    pub(crate) stage: &'run str,
    pub(crate) item: &'run Item,
    pub(crate) idempotency_key: &'run str,
    pub(crate) attempt: u32,
    pub(crate) in_doubt: bool,
    /// Set when the run ends, however it ends.
    pub(crate) stopping: &'run Cancel,
    /// Nobody waits for this attempt any longer.
    pub(crate) abandoned: &'run AtomicBool,
}

/// What an attempt said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) spent_usd: f64,
    pub(crate) files: Vec<Artefact>,
}

impl<'run> Cx<'run> {
    pub(crate) fn new(about: About<'run>) -> Self {
        Cx {
            about,
            spent_usd: Cell::new(0.0),
            used: RefCell::default(),
            files: RefCell::default(),
            deadline: Cell::new(None),
        }
    }

    /// The call begins.
    pub(crate) fn begin(&self, deadline: Option<Instant>) {
        self.deadline.set(deadline);
    }

    pub(crate) fn said(&self) -> Said {
        Said { spent_usd: self.spent_usd.get(), files: self.files.take() }
    }

    /// What the call really used of the limit `name`, the last word of each counting.
    pub(crate) fn used_of(&self, name: &str) -> Option<u64> {
        self.used.borrow().iter().rev().find(|(limit, _)| limit == name).map(|(_, amount)| *amount)
    }

    pub(crate) fn limits_named(&self) -> Vec<String> {
        self.used.borrow().iter().map(|(limit, _)| limit.clone()).collect()
    }
}

impl Cx<'_> {
    /// The stage's name.
    pub fn stage(&self) -> &str {
        self.about.stage
    }

    /// The item's key; of nested fan-outs all keys from the outermost in, with `/` between them;
    /// empty for a step of the run itself.
    pub fn item(&self) -> &str {
        self.about.item.shown()
    }

    /// Which attempt this is, from 1. A call that was rate limited counts as none.
    pub fn attempt(&self) -> u32 {
        self.about.attempt
    }

    /// A key for the provider: the same on every retry and on every resume of this step, another as
    /// soon as its input changes. 64 hex digits: BLAKE3 of pipeline, run, stage, item and inputs.
    pub fn idempotency_key(&self) -> &str {
        self.about.idempotency_key
    }

    /// When this attempt should be over, if the stage has a [`timeout`](crate::Stage::timeout): for
    /// the client's own timeouts. A blocking call cannot be ended from outside.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.get()
    }

    /// Whether an earlier process began this very step and did not live to record how it ended: the
    /// call may have been made and paid. Who can, asks the provider for
    /// [`idempotency_key`](Cx::idempotency_key) before calling again.
    pub fn in_doubt(&self) -> bool {
        self.about.in_doubt
    }

    /// Whether the run is stopping: a long step may give up early, with any fault. It will run
    /// again when the run is continued.
    pub fn is_stopping(&self) -> bool {
        self.about.stopping.is_cancelled()
    }

    /// Says what the call really used of the stage's limit `limit`: the permit is settled by it
    /// when the closure returns. The last word for a limit counts. A limit that was not named keeps
    /// what the stage's cost had estimated.
    pub fn used(&self, limit: &str, amount: u64) {
        self.used.borrow_mut().push((limit.to_string(), amount));
    }

    /// Says what the call cost, in US dollars; several add up. Counted for failed attempts, too.
    /// NaN and infinities are no price: they are left out, with a warning in the log.
    pub fn spent_usd(&self, usd: f64) {
        if usd.is_finite() {
            self.spent_usd.set(self.spent_usd.get() + usd);
        } else {
            tracing::warn!(stage = self.stage(), usd, "cx.spent_usd(..) of what is no price");
        }
    }

    /// Makes a file: `write` fills the path that it is handed, which has the extension `ext`; then
    /// the file is flushed and renamed to `files/<stage>/<item>.<ext>` in the run's folder. Blocks
    /// on the disk.
    ///
    /// # Errors
    /// What `write` returned; a transient fault if the disk refuses; a fatal one if `ext` is no
    /// extension, if `write` left no file, or if this step made a file of that name already.
    pub fn file(
        &self,
        ext: &str,
        write: impl FnOnce(&Path) -> Result<(), Fault>,
    ) -> Result<Artefact, Fault> {
        self.make(None, ext, write)
    }

    /// [`file`](Cx::file) for steps that make several: `files/<stage>/<item>.<name>.<ext>`.
    ///
    /// # Errors
    /// As of [`file`](Cx::file).
    pub fn file_named(
        &self,
        name: &str,
        ext: &str,
        write: impl FnOnce(&Path) -> Result<(), Fault>,
    ) -> Result<Artefact, Fault> {
        self.make(Some(name), ext, write)
    }

    /// Where an artefact of this run lies on this machine.
    pub fn path(&self, artefact: &Artefact) -> PathBuf {
        artefact.resolve(self.about.run_dir)
    }

    fn make(
        &self,
        name: Option<&str>,
        ext: &str,
        write: impl FnOnce(&Path) -> Result<(), Fault>,
    ) -> Result<Artefact, Fault> {
        check_extension(ext).map_err(Fault::fatal)?;
        // ORDERING: Acquire pairs with the Release in the engine: the run may be another process's
        // by now, whose files these are.
        if self.about.abandoned.load(Ordering::Acquire) {
            return Err(Fault::transient("the run ended, and did not wait for this step"));
        }
        let relative = self.about.item.file(self.about.stage, name, ext);
        if self.files.borrow().iter().any(|made| made.relative_path() == relative) {
            return Err(Fault::fatal(format!(
                "this step made `{relative}` already: tell its files apart with \
                 `cx.file_named(name, \"{ext}\", ..)`"
            )));
        }
        let made = artefact::create(self.about.run_dir, &relative, ext, write)?;
        self.files.borrow_mut().push(made.clone());
        Ok(made)
    }
}
